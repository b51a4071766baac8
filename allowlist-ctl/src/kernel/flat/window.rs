//! What the slots of a node or a root table say.

use allowlist_common::{abi::Ruling, flat::Word};

use super::draft::Draft;
use crate::kernel::{
    error::SyncError,
    item::{Item, between},
};

/// The prefixes that end within so many bits behind so many others, and the slots that these bits tell apart.
pub(super) struct Window {
    from: u32,
    bits: u32,
    /// Each with the less specific one that it lies in.
    prefixes: Vec<(Ruling, Option<usize>)>,
    /// The most specific one of each slot.
    slots: Vec<Option<usize>>,
}

impl Window {
    pub(super) fn new(from: u32, bits: u32) -> Self {
        Self { from, bits, prefixes: Vec::new(), slots: vec![None; 1 << bits] }
    }

    /// The slot that a key belongs to.
    pub(super) fn slot(&self, key: u128) -> usize {
        usize::try_from(between(key, self.from, self.bits)).unwrap_or(usize::MAX)
    }

    /// Whether a prefix of so many bits covers whole slots.
    pub(super) fn has(&self, bits: u32) -> bool {
        bits <= self.from + self.bits
    }

    /// Puts a prefix; less specific ones are there already.
    pub(super) fn put(&mut self, item: &Item) {
        let slot = self.slot(item.key);
        let slots = 1 << (self.from + self.bits - item.bits);
        let under = self.slots[slot];
        self.slots[slot..slot + slots].fill(Some(self.prefixes.len()));
        self.prefixes.push((item.says, under));
    }

    /// What the slots say.
    ///
    /// # Errors
    /// [`SyncError`]
    pub(super) fn words(&self, draft: &mut Draft<'_>) -> Result<Vec<Word>, SyncError> {
        let mut words = vec![None; self.prefixes.len()];
        self.slots.iter().map(|slot| self.word(draft, &mut words, *slot)).collect()
    }

    /// The word of a prefix, which is written when it is met first: those that others hide have none.
    fn word(
        &self,
        draft: &mut Draft<'_>,
        words: &mut [Option<Word>],
        prefix: Option<usize>,
    ) -> Result<Word, SyncError> {
        let Some(number) = prefix else { return Ok(Word::NOTHING) };
        if let Some(word) = words[number] {
            return Ok(word);
        }
        let (says, under) = self.prefixes[number];
        let word = if let Some(word) = Draft::word_for_good(&says) {
            word
        } else {
            let under = self.word(draft, words, under)?;
            draft.rule_word(&says, under)?
        };
        words[number] = Some(word);
        Ok(word)
    }
}

/// Words without repetitions, and a bit for each slot that has another one than the slot before. For at most 64 slots.
pub(super) fn runs(words: &[Word]) -> (u64, Vec<Word>) {
    let (mut runs, mut kept) = (0, Vec::new());
    let mut before = Word::NOTHING;
    for (slot, word) in words.iter().enumerate() {
        if *word != before {
            runs |= 1 << slot;
            kept.push(*word);
            before = *word;
        }
    }
    (runs, kept)
}
