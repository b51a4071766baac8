//! The flat engine: tries in memory that the program reads as [`allowlist_common::flat`] says.
//!
//! [`Flat`] has the memory. A [`FlatTrie`] is built in it beside those in force, or changed in two steps: what is new is
//! written where no program comes, which may fail and then leaves nothing behind, and then the slots of the root table are
//! stored, which cannot. A packet reads one slot, so that it is judged by all of a change or by nothing of it. What is no
//! longer needed is used again after every program that could still be on its way there has ended.

mod arena;
mod build;
mod draft;
mod edit;
mod root;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

use allowlist_common::{
    abi::Ruling,
    flat::{Element, ROOT_BITS, ROOT_SLOTS, Slot, Word},
};

use self::{
    arena::{Arena, Supply},
    draft::{Block, Draft, Space, Written},
    root::RootTable,
    window::Window,
};
pub(super) use self::{
    edit::Prefixes,
    root::{Chunks, Roots},
};
use super::{
    error::SyncError,
    item::{Change, Item, between, first},
};

/// The memory of all tries.
pub(super) struct Flat {
    space: Space,
    roots: Roots,
    /// What programs may still be on their way to.
    stale: Vec<Block>,
    retired: Vec<FlatTrie>,
}

/// A trie.
pub(super) struct FlatTrie {
    table: RootTable,
    /// The prefixes that the root table has words of.
    short: BTreeMap<(u128, u32), Ruling>,
}

/// A change that is written and not yet made.
pub(super) struct Staged {
    slots: Vec<(usize, Slot)>,
    short: Option<BTreeMap<(u128, u32), Ruling>>,
    written: Written,
}

impl Flat {
    pub(super) fn new(
        roots: Roots,
        elements: impl Supply<Element> + 'static,
        words: impl Supply<Word> + 'static,
    ) -> Self {
        let space = Space { elements: Arena::new(elements), words: Arena::new(words) };
        Self { space, roots, stale: Vec::new(), retired: Vec::new() }
    }

    /// Builds a trie of prefixes in order.
    ///
    /// # Errors
    /// [`SyncError`]; nothing is left behind then.
    pub(super) fn build(&mut self, items: &[Item]) -> Result<FlatTrie, SyncError> {
        self.with_room(|flat| flat.try_to_build(items))
    }

    fn try_to_build(&mut self, items: &[Item]) -> Result<FlatTrie, SyncError> {
        let (slots, written) = self.space.draft(|draft| whole(draft, items))?;
        let table = match self.roots.take() {
            Ok(table) => table,
            Err(error) => {
                self.space.abandon(written);
                return Err(error);
            }
        };
        for (index, slot) in slots {
            table.store(index, slot);
        }
        self.stale.extend(written.into_stale());
        Ok(FlatTrie { table, short: short(items) })
    }

    /// Writes a change of prefixes in order, where no program comes yet.
    ///
    /// # Errors
    /// [`SyncError`]; nothing is left behind then.
    pub(super) fn stage<P: Prefixes>(
        &mut self,
        trie: &FlatTrie,
        prefixes: &P,
        changes: &[Change],
    ) -> Result<Staged, SyncError> {
        let staged =
            self.with_room(|flat| flat.space.draft(|draft| stage(draft, trie, prefixes, changes)));
        staged.map(|((slots, short), written)| Staged { slots, short, written })
    }

    /// Does something; where there is no memory for it, once more with what can be done without. What a failure leaves free
    /// is given back.
    fn with_room<R>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<R, SyncError>,
    ) -> Result<R, SyncError> {
        if let Ok(done) = work(self) {
            return Ok(done);
        }
        self.make_room();
        let result = work(self);
        if result.is_err() {
            self.make_room();
        }
        result
    }

    /// Makes a change that was written.
    pub(super) fn commit(&mut self, trie: &mut FlatTrie, staged: Staged) {
        for (index, slot) in staged.slots {
            trie.table.store(index, slot);
        }
        if let Some(short) = staged.short {
            trie.short = short;
        }
        self.stale.extend(staged.written.into_stale());
    }

    /// Gives up a change that was written.
    pub(super) fn abandon(&mut self, staged: Staged) {
        self.space.abandon(staged.written);
    }

    /// Takes back a trie that no policy in force refers to; [`Flat::tidy`] frees its memory.
    pub(super) fn retire(&mut self, trie: FlatTrie) {
        self.retired.push(trie);
    }

    /// Frees what is no longer needed, and prepares for the next changes.
    pub(super) fn tidy(&mut self) {
        self.reclaim();
        self.space.elements.trim(1);
        self.space.words.trim(1);
        self.roots.tidy();
        if self.roots.are_used() {
            // Without it the next change makes its own and reports what is in the way.
            let _ = self.space.elements.prepare().and_then(|()| self.space.words.prepare());
        }
    }

    /// Frees whatever can be done without.
    pub(super) fn make_room(&mut self) {
        self.reclaim();
        self.space.elements.trim(0);
        self.space.words.trim(0);
        self.roots.give_up_spare();
        self.roots.tidy();
    }

    /// Bytes in use, of those that are taken.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.space.elements.used() + self.space.words.used() + self.roots.used()
    }

    fn has_stale(&self) -> bool {
        !self.stale.is_empty() || !self.retired.is_empty()
    }

    /// Frees what nothing leads to any more, once all programs that began before have ended.
    fn reclaim(&mut self) {
        if !self.has_stale() || !self.roots.wait_for_programs() {
            return;
        }
        let Self { space, roots, stale, retired } = self;
        for block in stale.drain(..) {
            space.give_back(block);
        }
        for trie in retired.drain(..) {
            let slots = trie.table.slots();
            let discarded = space.draft(|draft| {
                let words = slots.iter().map(|slot| slot.word).collect();
                draft.discard_rules(words);
                for slot in slots.iter().filter(|slot| slot.child != 0) {
                    draft.discard_below(&draft.element(slot.child));
                    draft.discard_elements(slot.child, 1);
                }
                Ok(())
            });
            if let Ok(((), written)) = discarded {
                for block in written.into_stale() {
                    space.give_back(block);
                }
            }
            roots.give_back(trie.table);
        }
    }
}

impl FlatTrie {
    /// Its number, as services have it.
    pub(super) fn number(&self) -> u32 {
        self.table.number()
    }
}

fn is_short(bits: u32) -> bool {
    bits <= ROOT_BITS
}

fn short(items: &[Item]) -> BTreeMap<(u128, u32), Ruling> {
    let short = items.iter().filter(|item| is_short(item.bits));
    short.map(|item| ((item.key, item.bits), item.says)).collect()
}

/// The words of a root table.
fn root_words(
    draft: &mut Draft<'_>,
    short: &BTreeMap<(u128, u32), Ruling>,
) -> Result<Vec<Word>, SyncError> {
    let mut window = Window::new(0, ROOT_BITS);
    for ((key, bits), says) in short {
        window.put(&Item { key: *key, bits: *bits, says: *says });
    }
    window.words(draft)
}

/// The slots that are not empty.
fn whole(draft: &mut Draft<'_>, items: &[Item]) -> Result<Vec<(usize, Slot)>, SyncError> {
    let words = root_words(draft, &short(items))?;
    let mut slots: Vec<Slot> = words.into_iter().map(|word| Slot { word, child: 0 }).collect();
    let long: Vec<Item> = items.iter().copied().filter(|item| !is_short(item.bits)).collect();
    let mut tops = Vec::new();
    for items in long.chunk_by(|a, b| root_slot(a.key) == root_slot(b.key)) {
        tops.push((root_slot(items[0].key), build::element(draft, items, ROOT_BITS)?));
    }
    // What the root table leads to comes last and side by side: it is what most sources that nothing covers come to.
    for (slot, element) in tops {
        slots[slot].child = draft.elements(&[element])?;
    }
    let filled = slots.into_iter().enumerate().filter(|(_, slot)| *slot != Slot::default());
    Ok(filled.collect())
}

type StagedSlots = (Vec<(usize, Slot)>, Option<BTreeMap<(u128, u32), Ruling>>);

fn stage<P: Prefixes>(
    draft: &mut Draft<'_>,
    trie: &FlatTrie,
    prefixes: &P,
    changes: &[Change],
) -> Result<StagedSlots, SyncError> {
    let mut slots: BTreeMap<usize, Slot> = BTreeMap::new();
    let (short, long): (Vec<Change>, Vec<Change>) =
        changes.iter().partition(|change| is_short(change.bits));
    for changes in long.chunk_by(|a, b| root_slot(a.key) == root_slot(b.key)) {
        let key = first(changes[0].key, ROOT_BITS);
        let index = root_slot(key);
        let before = trie.table.load(index);
        let old = (before.child != 0).then(|| draft.element(before.child));
        let new = edit::changed(draft, prefixes, old, (key, ROOT_BITS), changes)?;
        if before.child != 0 {
            draft.discard_elements(before.child, 1);
        }
        let child = new.map_or(Ok(0), |element| draft.elements(&[element]))?;
        slots.insert(index, Slot { child, ..before });
    }
    if short.is_empty() {
        return Ok((slots.into_iter().collect(), None));
    }
    let mut next = trie.short.clone();
    for Change { key, bits, says } in short {
        match says {
            Some(says) => next.insert((key, bits), says),
            None => next.remove(&(key, bits)),
        };
    }
    let words = root_words(draft, &next)?;
    let before = trie.table.slots();
    draft.discard_rules(before.iter().map(|slot| slot.word).collect());
    for (index, (before, word)) in before.iter().zip(words).enumerate() {
        if before.word != word {
            slots.entry(index).or_insert(*before).word = word;
        }
    }
    Ok((slots.into_iter().collect(), Some(next)))
}

/// The slot of a root table that a key belongs to.
#[expect(clippy::cast_possible_truncation, reason = "so few bits")]
fn root_slot(key: u128) -> usize {
    between(key, 0, ROOT_BITS) as usize % ROOT_SLOTS
}
