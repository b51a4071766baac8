//! The walk from an address to what decides about it.

use super::{Key, ROOT_BITS, STRIDE, Says, Word};
use crate::decide::Sources;

/// Elements on the way to an IPv6 address: a node for every stride, and a tail.
const MAX_STEPS: usize = (128 - ROOT_BITS).div_ceil(STRIDE) as usize + 1;
/// Prefixes of one slot whose entries may have ended: as many as a root table tells apart.
const MAX_ENDED: usize = ROOT_BITS as usize + 1;

/// What decides about an address: a word that says nothing, allows or denies.
#[must_use]
#[inline(always)]
pub fn deciding<S: Sources>(sources: &S, root: u32, key: Key) -> Word {
    let Some(slot) = sources.slot(root, key.root_slot()) else { return Word::NOTHING };
    let mut found = Word::NOTHING;
    let (mut word, mut at) = (slot.word, slot.child);
    let mut rest = key.after(ROOT_BITS);
    for _ in 0..=MAX_STEPS {
        found = live(sources, word).or(found);
        if at == 0 {
            break;
        }
        let Some(element) = sources.element(at) else { break };
        if element.is_tail() {
            let tail = element.tail();
            word = if tail.covers(rest) { tail.word } else { Word::NOTHING };
            at = 0;
            continue;
        }
        let node = element.node();
        if node.path != rest.first(node.skip) {
            break;
        }
        let slot = node.slot(rest);
        let words = node.words_until(slot);
        word = Word::NOTHING;
        if words != 0 {
            word = sources.word(node.first_word + words - 1).unwrap_or_default();
        }
        at = 0;
        if node.has_child(slot) {
            at = node.first_child + node.children_before(slot);
        }
        rest = rest.after(node.skip + STRIDE);
    }
    found
}

/// What a word says now: that of the rule that still decides.
#[inline(always)]
fn live<S: Sources>(sources: &S, mut word: Word) -> Word {
    for _ in 0..MAX_ENDED {
        let Says::Rule(at) = word.says() else { break };
        let Some(element) = sources.element(at) else { return Word::NOTHING };
        let rule = element.rule();
        if sources.is_live(rule.except_until) {
            return Word::new(Says::Deny(rule.except));
        }
        if sources.is_live(rule.allow_until) {
            return Word::new(Says::Allow(rule.allow));
        }
        word = rule.under;
    }
    word
}
