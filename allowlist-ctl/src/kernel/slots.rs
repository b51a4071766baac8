//! Places of maps in an array of maps: taken, and freed once no program can still be on its way there.

use std::collections::BTreeSet;

use aya::maps::{ArrayOfMaps, InnerMap, MapData, MapError};

use super::{error::SyncError, retry::Calls};

/// The slot that always has the empty map.
pub(super) const EMPTY_SLOT: u32 = 0;

/// An array of maps of one kind.
pub(super) struct Slots<V> {
    array: ArrayOfMaps<MapData, V>,
    free: BTreeSet<u32>,
    /// Slots that no policy refers to any more, still holding their map.
    retired: Vec<u32>,
    empty: V,
    calls: Calls,
}

impl<V: InnerMap> Slots<V> {
    /// The slots of an array; `empty` goes where nothing is.
    pub(super) fn new(
        array: ArrayOfMaps<MapData, V>,
        empty: V,
        calls: Calls,
    ) -> Result<Self, MapError> {
        let free = (1..array.len()).collect();
        let mut new = Self { array, free, retired: Vec::new(), empty, calls };
        new.set_empty(EMPTY_SLOT)?;
        Ok(new)
    }

    /// Puts a map in a free slot, which takes an RCU grace period.
    ///
    /// # Errors
    /// [`SyncError`]; no slot is taken then.
    pub(super) fn put(&mut self, map: &V) -> Result<u32, SyncError> {
        if self.free.is_empty() {
            self.free_retired();
        }
        let slot = self.free.pop_first().ok_or(SyncError::PoolFull)?;
        if let Err(error) = self.calls.patiently(|| self.array.set(slot, map, 0)) {
            self.free.insert(slot);
            return Err(error.into());
        }
        Ok(slot)
    }

    /// Takes back a slot that no policy in force refers to; [`Slots::free_retired`] lets go of its map.
    pub(super) fn retire(&mut self, slot: u32) {
        self.retired.push(slot);
    }

    /// Frees retired slots, which takes an RCU grace period for each; `true` where none is left.
    pub(super) fn free_retired(&mut self) -> bool {
        // A program that began before the table was changed in place may still be about to look up a retired map.
        if self.retired.is_empty() || !self.wait_for_programs() {
            return self.retired.is_empty();
        }
        for slot in std::mem::take(&mut self.retired) {
            match self.set_empty(slot) {
                Ok(()) => {
                    self.free.insert(slot);
                }
                Err(_) => self.retired.push(slot),
            }
        }
        self.retired.is_empty()
    }

    /// Waits until all programs that are running have ended; `false` where that is not known.
    ///
    /// The kernel waits for all of them when a map in maps is updated, if only by what was there.
    pub(super) fn wait_for_programs(&mut self) -> bool {
        self.set_empty(EMPTY_SLOT).is_ok()
    }

    fn set_empty(&mut self, slot: u32) -> Result<(), MapError> {
        self.calls.patiently(|| self.array.set(slot, &self.empty, 0))
    }
}
