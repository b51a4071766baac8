//! Everything else: built beside what is in force, which one pointer then leaves behind.

use std::collections::BTreeMap;

use super::{Enforced, Lists};
use crate::{
    kernel::{
        edits::changed_families,
        error::SyncError,
        item::Items,
        tries::{Built, Family, Held, Tries},
    },
    policy::{Policy, Sources, entry::BootClock, table},
};

impl Enforced {
    /// Builds the tries of every changed list beside those in force, and swaps the root.
    pub(super) fn build_and_swap(
        &mut self,
        next: &Policy,
        needed: BTreeMap<Lists, Sources>,
        clock: &BootClock,
    ) -> Result<(), SyncError> {
        let mut built = BTreeMap::new();
        let swapped = self.build_changed(&needed, clock, &mut built).and_then(|()| {
            let around = self.surroundings_with(next, &built);
            Ok(self.publish(table::compile(next, &around)?)?)
        });
        if swapped.is_err() {
            for Built { v4, v6 } in built.into_values() {
                self.retire(Tries { v4: v4.into_trie(), v6: v6.into_trie() });
            }
            return swapped;
        }
        self.settle(needed, built);
        Ok(())
    }

    fn build_changed(
        &mut self,
        needed: &BTreeMap<Lists, Sources>,
        clock: &BootClock,
        built: &mut BTreeMap<Lists, Built>,
    ) -> Result<(), SyncError> {
        for (lists, sources) in needed {
            let changed = match self.tries.get(lists) {
                Some(held) if !held.is_damaged => changed_families(&held.sources, sources),
                _ => (true, true),
            };
            if changed == (false, false) {
                continue;
            }
            let built = built.entry(lists.clone()).or_default();
            let held = self.tries.get(lists).map(|held| &held.tries);
            let (v4, v6) = self.engines.build(&Items::of(sources, clock), changed, held);
            // What one family built is noted before the other one's error is reported.
            let v6 = v6.map(|v6| built.v6 = v6.map_or(Family::Kept, Family::New));
            built.v4 = v4?.map_or(Family::Kept, Family::New);
            v6?;
        }
        Ok(())
    }

    /// Keeps what the new root refers to, and retires what it no longer does.
    fn settle(&mut self, needed: BTreeMap<Lists, Sources>, mut built: BTreeMap<Lists, Built>) {
        let gone = self.tries.extract_if(.., |lists, _| !needed.contains_key(lists));
        for (_, held) in gone.collect::<Vec<_>>() {
            self.retire(held.tries);
        }
        for (lists, sources) in needed {
            let Built { v4, v6 } = built.remove(&lists).unwrap_or_default();
            let Held { sources: held, tries, is_damaged } = self.tries.entry(lists).or_default();
            let replaced = Tries { v4: v4.replace(&mut tries.v4), v6: v6.replace(&mut tries.v6) };
            *held = sources;
            *is_damaged = false;
            self.retire(replaced);
        }
    }
}
