//! What is being written: blocks that no program comes upon before the whole is published.

use std::collections::BTreeSet;

use allowlist_common::{
    abi::{NEVER, Ruling},
    flat::{Element, Node, Rule, Says, Shape, Word},
};

use super::arena::Arena;
use crate::kernel::error::SyncError;

/// The memory of elements and words.
pub(super) struct Space {
    pub(super) elements: Arena<Element>,
    pub(super) words: Arena<Word>,
}

/// A block of the one or the other kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Block {
    Elements(u32, u32),
    Words(u32, u32),
}

/// What was written, and what is no longer needed once it is published.
#[derive(Debug, Default)]
pub(super) struct Written {
    fresh: Vec<Block>,
    stale: Vec<Block>,
}

/// Something that is being written.
pub(super) struct Draft<'a> {
    space: &'a mut Space,
    written: Written,
}

impl Space {
    /// Writes something; what was written of it is taken back where it fails.
    pub(super) fn draft<R>(
        &mut self,
        write: impl FnOnce(&mut Draft<'_>) -> Result<R, SyncError>,
    ) -> Result<(R, Written), SyncError> {
        let mut draft = Draft { space: self, written: Written::default() };
        let result = write(&mut draft);
        let written = draft.written;
        match result {
            Ok(result) => Ok((result, written)),
            Err(error) => {
                self.abandon(written);
                Err(error)
            }
        }
    }

    /// Takes back what was written and never published.
    pub(super) fn abandon(&mut self, written: Written) {
        for block in written.fresh {
            self.give_back(block);
        }
    }

    /// Has a block for others, which no program may come upon any more.
    pub(super) fn give_back(&mut self, block: Block) {
        match block {
            Block::Elements(at, length) => self.elements.give_back(at, length),
            Block::Words(at, length) => self.words.give_back(at, length),
        }
    }
}

impl Written {
    /// What is no longer needed now that the rest is published.
    pub(super) fn into_stale(self) -> Vec<Block> {
        self.stale
    }
}

impl Draft<'_> {
    /// Writes a block of elements; none for none.
    pub(super) fn elements(&mut self, elements: &[Element]) -> Result<u32, SyncError> {
        if elements.is_empty() {
            return Ok(0);
        }
        let at = self.space.elements.put(elements)?;
        self.written.fresh.push(Block::Elements(at, length(elements)));
        Ok(at)
    }

    /// Writes a block of words; none for none.
    pub(super) fn words(&mut self, words: &[Word]) -> Result<u32, SyncError> {
        if words.is_empty() {
            return Ok(0);
        }
        let at = self.space.words.put(words)?;
        self.written.fresh.push(Block::Words(at, length(words)));
        Ok(at)
    }

    /// The word for what a prefix says for good; `None` where something of it ends.
    pub(super) fn word_for_good(says: &Ruling) -> Option<Word> {
        if says.except_until == NEVER {
            Some(Word::new(Says::Deny(says.except)))
        } else if says.allow_until == NEVER && says.except_until == 0 {
            Some(Word::new(Says::Allow(says.allow)))
        } else {
            None
        }
    }

    /// The word for what a prefix says while some of it ends; `under` is what the less specific ones of its slot say.
    pub(super) fn rule_word(&mut self, says: &Ruling, under: Word) -> Result<Word, SyncError> {
        let Ruling { allow, except, allow_until, except_until, .. } = *says;
        let rule = Rule { allow, except, allow_until, except_until, under };
        Ok(Word::new(Says::Rule(self.elements(&[rule.into()])?)))
    }

    /// What the prefix of a word says by itself, as far as it matters.
    pub(super) fn says(&self, word: Word, prefix_len: u32) -> Ruling {
        let says = Ruling { prefix_len, ..Ruling::default() };
        match word.says() {
            Says::Nothing => says,
            Says::Allow(allow) => Ruling { allow, allow_until: NEVER, ..says },
            Says::Deny(except) => Ruling { except, except_until: NEVER, ..says },
            Says::Rule(at) => {
                let Rule { allow, except, allow_until, except_until, .. } = self.rule(at);
                Ruling { allow, except, allow_until, except_until, prefix_len }
            }
        }
    }

    fn rule(&self, at: u32) -> Rule {
        self.space.elements.get(at).unwrap_or_default().rule()
    }

    /// The element at a place.
    pub(super) fn element(&self, at: u32) -> Element {
        self.space.elements.get(at).unwrap_or_default()
    }

    /// The elements of a node, in the order of their slots.
    pub(super) fn children(&self, node: &Node) -> Vec<Element> {
        self.space.elements.block(node.first_child, node.children.count_ones()).collect()
    }

    /// Has a block of elements for others, once the rest is published.
    pub(super) fn discard_elements(&mut self, at: u32, length: u32) {
        if length != 0 {
            self.written.stale.push(Block::Elements(at, length));
        }
    }

    /// The same of a node's words and their rules.
    pub(super) fn discard_words(&mut self, node: &Node) {
        let length = node.runs.count_ones();
        if length != 0 {
            let words = self.space.words.block(node.first_word, length).collect();
            self.discard_rules(words);
            self.written.stale.push(Block::Words(node.first_word, length));
        }
    }

    /// The same of the rules of some words, each of which may be there more than once.
    pub(super) fn discard_rules(&mut self, words: Vec<Word>) {
        let mut seen = BTreeSet::new();
        for mut word in words {
            while let Says::Rule(at) = word.says()
                && seen.insert(at)
            {
                word = self.rule(at).under;
            }
        }
        for at in seen {
            self.discard_elements(at, 1);
        }
    }

    /// The same of all that an element leads to.
    pub(super) fn discard_below(&mut self, element: &Element) {
        match element.shape() {
            Shape::Tail(tail) => self.discard_rules(vec![tail.word]),
            Shape::Node(node) => {
                self.discard_words(&node);
                for child in self.children(&node) {
                    self.discard_below(&child);
                }
                self.discard_elements(node.first_child, node.children.count_ones());
            }
        }
    }
}

fn length<T>(values: &[T]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}
