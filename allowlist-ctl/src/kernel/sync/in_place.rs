//! Small changes inside one list, made in the tries that are in force.

use std::collections::{BTreeMap, BTreeSet};

use super::{Enforced, Lists};
use crate::{
    kernel::{
        edits::{Edit, few_edits},
        error::SyncError,
        flat::{Prefixes, Staged},
        item::{Change, Item},
    },
    policy::{Sources, entry::BootClock},
};

/// Up to so many entries are changed in place.
const IN_PLACE: usize = 1024;

/// The edits of the tries of some lists.
struct OfLists<'a> {
    lists: &'a Lists,
    sources: &'a Sources,
    edits: Vec<Edit>,
}

/// What is written of a change for the tries of some lists, and whether of the IPv4 one.
type StagedOf<'a> = (&'a Lists, bool, Staged);

impl Enforced {
    /// Makes a change in place where it is small and inside one list; `false` where it is not.
    ///
    /// The tables must be the same before and after.
    pub(super) fn change_in_place(
        &mut self,
        needed: &BTreeMap<Lists, Sources>,
        clock: &BootClock,
    ) -> Result<bool, SyncError> {
        let Some(edits) = self.edits_in_place(needed, clock) else { return Ok(false) };
        if let Err(error) = self.make_all(&edits, clock) {
            let is_whole = self.mend(clock);
            return Err(if is_whole { error } else { SyncError::HalfDone(Box::new(error)) });
        }
        for (lists, sources) in needed {
            if let Some(held) = self.tries.get_mut(lists) {
                held.sources = sources.clone();
            }
        }
        Ok(true)
    }

    /// The edits of each trie, where they are few, and all of one list's entries.
    fn edits_in_place<'a>(
        &self,
        needed: &'a BTreeMap<Lists, Sources>,
        clock: &BootClock,
    ) -> Option<Vec<OfLists<'a>>> {
        let mut all = Vec::new();
        let mut changed = BTreeSet::new();
        let mut room = IN_PLACE;
        for (lists, sources) in needed {
            let held = self.tries.get(lists).filter(|held| !held.is_damaged)?;
            changed.extend(held.sources.changed_lists(sources));
            let edits = few_edits(&held.sources, sources, clock, room)?;
            room -= edits.len();
            let wants_flat = |len, is_flat| self.engines.wants_flat(len, is_flat);
            if changed.len() > 1 || !held.tries.suit(&edits, wants_flat) {
                return None;
            }
            all.push(OfLists { lists, sources, edits });
        }
        Some(all)
    }

    /// Makes edits: those in flat memory last, for nothing can go wrong with them once they are written.
    fn make_all(&mut self, all: &[OfLists<'_>], clock: &BootClock) -> Result<(), SyncError> {
        let mut staged = Vec::new();
        let made = all
            .iter()
            .try_for_each(|of_lists| self.stage(of_lists, clock, &mut staged))
            .and_then(|()| self.make_in_kernel(all));
        let Some(flat) = &mut self.engines.flat else { return made };
        if made.is_err() {
            for (.., staged) in staged {
                flat.abandon(staged);
            }
            return made;
        }
        for (lists, v4, staged) in staged {
            let held = self.tries.get_mut(lists);
            if let Some(trie) = held.and_then(|held| held.tries.flat_mut(v4)) {
                flat.commit(trie, staged);
            }
        }
        for of_lists in all {
            if let Some(held) = self.tries.get_mut(of_lists.lists) {
                held.tries.count(&of_lists.edits);
            }
        }
        Ok(())
    }

    /// Writes of some edits what is in flat memory.
    fn stage<'a>(
        &mut self,
        of_lists: &OfLists<'a>,
        clock: &BootClock,
        staged: &mut Vec<StagedOf<'a>>,
    ) -> Result<(), SyncError> {
        let Some(held) = self.tries.get(of_lists.lists) else { return Ok(()) };
        for v4 in [true, false] {
            let (Some(flat), Some(trie)) = (&mut self.engines.flat, held.tries.flat(v4)) else {
                continue;
            };
            let of_family = of_lists.edits.iter().filter(|edit| edit.prefix.is_v4() == v4);
            let mut changes: Vec<Change> =
                of_family.map(|edit| Change::new(edit.prefix, edit.after)).collect();
            changes.sort_unstable_by_key(Change::order);
            if !changes.is_empty() {
                let prefixes = InSources { sources: of_lists.sources, clock, v4 };
                staged.push((of_lists.lists, v4, flat.stage(trie, &prefixes, &changes)?));
            }
        }
        Ok(())
    }

    /// Makes the edits of the kernel's tries; on failure, those that were made are undone.
    fn make_in_kernel(&mut self, edits: &[OfLists<'_>]) -> Result<(), SyncError> {
        for (number, of_lists) in edits.iter().enumerate() {
            let Some(held) = self.tries.get_mut(of_lists.lists) else { continue };
            for (done, edit) in of_lists.edits.iter().enumerate() {
                let Err(error) = held.tries.make(edit) else { continue };
                held.undo(&of_lists.edits[..done]);
                for of_lists in edits[..number].iter().rev() {
                    if let Some(held) = self.tries.get_mut(of_lists.lists) {
                        held.undo(&of_lists.edits);
                    }
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The prefixes of a family of some sources.
struct InSources<'a> {
    sources: &'a Sources,
    clock: &'a BootClock,
    v4: bool,
}

impl Prefixes for InSources<'_> {
    fn window(&self, key: u128, depth: u32, longest: u32) -> Vec<Item> {
        let Some(prefix) = Item::prefix(key, depth, self.v4) else { return Vec::new() };
        let longest = u8::try_from(longest).unwrap_or(u8::MAX);
        let within = self.sources.within(prefix, longest).into_iter();
        within
            .filter_map(|prefix| Some(Item::new(prefix, self.sources.node(prefix, self.clock)?)))
            .collect()
    }
}
