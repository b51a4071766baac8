//! Small changes inside one list, made in the tries that are in force.

use std::collections::{BTreeMap, BTreeSet};

use aya::maps::MapError;

use super::{Enforced, Lists};
use crate::{
    kernel::{
        edits::{Edit, FamilyKey, few_edits},
        error::SyncError,
    },
    policy::{Sources, entry::BootClock},
};

/// Up to so many entries are changed in place.
const IN_PLACE: usize = 1024;

/// The edits of one trie.
struct Edits<'a> {
    lists: &'a Lists,
    edits: Vec<(FamilyKey, Edit)>,
}

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
        if let Err(error) = self.make_edits(&edits) {
            let whole = self.mend(clock);
            return Err(if whole { SyncError::Refused(error) } else { SyncError::HalfDone(error) });
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
    ) -> Option<Vec<Edits<'a>>> {
        let mut all = Vec::new();
        let mut changed = BTreeSet::new();
        let mut room = IN_PLACE;
        for (lists, sources) in needed {
            let held = self.tries.get(lists).filter(|held| !held.is_damaged)?;
            changed.extend(held.sources.changed_lists(sources));
            let edits = few_edits(&held.sources, sources, clock, room)?;
            room -= edits.len();
            let edits: Vec<_> =
                edits.into_iter().map(|edit| (FamilyKey::from(edit.prefix), edit)).collect();
            let in_place = edits.iter().all(|(key, _)| held.tries.has_family_of(key));
            if changed.len() > 1 || !in_place {
                return None;
            }
            all.push(Edits { lists, edits });
        }
        Some(all)
    }

    /// Makes edits in place; on failure, those that were made are undone.
    fn make_edits(&mut self, edits: &[Edits<'_>]) -> Result<(), MapError> {
        for (number, of_trie) in edits.iter().enumerate() {
            let Some(held) = self.tries.get_mut(of_trie.lists) else { continue };
            for (done, (key, edit)) in of_trie.edits.iter().enumerate() {
                let Err(error) = held.tries.set(key, edit.after) else { continue };
                held.undo(&of_trie.edits[..done]);
                for of_trie in edits[..number].iter().rev() {
                    if let Some(held) = self.tries.get_mut(of_trie.lists) {
                        held.undo(&of_trie.edits);
                    }
                }
                return Err(error);
            }
        }
        Ok(())
    }
}
