//! The LPM engine: tries of the kernel, in one array of maps for each family.

use std::mem;

use allowlist_common::abi::{Ruling, TRIE_ENTRIES};
use aya::{
    Pod,
    maps::{
        ArrayOfMaps, Map, MapData, MapError,
        lpm_trie::{Key, LpmTrie},
    },
};
use aya_obj::generated::BPF_F_NO_PREALLOC;

use super::{
    budget::{Budget, Reservation},
    error::SyncError,
    retry::Calls,
    slots::Slots,
};

type Trie<A> = LpmTrie<MapData, A, [u32; 5]>;

/// The tries of one family, whose addresses are `A`.
pub(super) struct Pool<A: Pod> {
    slots: Slots<Trie<A>>,
    /// An empty trie in a slot of its own: putting one there takes an RCU grace period, which nobody should have
    /// to wait for.
    spare: Option<Installed<A>>,
    /// What retired tries still take.
    dying: Vec<Reservation>,
    budget: Budget,
    calls: Calls,
}

/// A trie in a slot of its pool.
pub(super) struct Installed<A: Pod> {
    slot: u32,
    trie: Trie<A>,
    reserved: Reservation,
    calls: Calls,
}

/// Bytes that the kernel takes for a prefix at most: a node of its own, and one where it parts from another.
const fn bytes_of_prefix<A>() -> u64 {
    // Two pointers, a header, the key and the value, in the kernel's sizes of memory.
    let node = 40 + mem::size_of::<A>() + mem::size_of::<Ruling>();
    2 * (node as u64).next_power_of_two()
}

impl<A: Pod> Pool<A> {
    pub(super) fn new(map: Map, budget: Budget, calls: Calls) -> Result<Self, MapError> {
        let array = ArrayOfMaps::try_from(map)?;
        let slots = Slots::new(array, calls.patiently(create)?, calls.clone())?;
        Ok(Self { slots, spare: None, dying: Vec::new(), budget, calls })
    }

    /// Builds a trie of these nodes beside those in force, and puts it in a free slot.
    ///
    /// # Errors
    /// Nothing is left behind then.
    pub(super) fn build(
        &mut self,
        nodes: impl Iterator<Item = (Key<A>, Ruling)>,
    ) -> Result<Installed<A>, SyncError> {
        let mut installed = match self.spare.take() {
            Some(spare) => spare,
            None => self.install()?,
        };
        for (key, node) in nodes {
            if let Err(error) = installed.set(&key, None, Some(node)) {
                self.retire(installed);
                return Err(error);
            }
        }
        Ok(installed)
    }

    /// Puts an empty trie in a free slot.
    fn install(&mut self) -> Result<Installed<A>, SyncError> {
        let reserved = self.budget.reserve(0)?;
        let trie = self.calls.patiently(create)?;
        let slot = self.slots.put(&trie)?;
        Ok(Installed { slot, trie, reserved, calls: self.calls.clone() })
    }

    /// Takes back a trie that no policy in force refers to; [`Pool::tidy`] frees its memory.
    pub(super) fn retire(&mut self, installed: Installed<A>) {
        self.slots.retire(installed.slot);
        self.dying.push(installed.reserved);
    }

    /// Frees the memory of retired tries.
    pub(super) fn make_room(&mut self) {
        if self.slots.free_retired() {
            self.dying.clear();
        }
    }

    /// Makes a spare trie, and frees the memory of retired ones; each takes an RCU grace period.
    pub(super) fn tidy(&mut self) {
        self.make_room();
        if self.spare.is_none() {
            // Without a spare one, the next change makes its own and reports what is in the way.
            self.spare = self.install().ok();
        }
    }
}

impl<A: Pod> Installed<A> {
    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// Makes a prefix, which said the one, say the other; a packet sees what it said before or what it says now.
    ///
    /// # Errors
    /// [`SyncError`]; it says what it said before then.
    pub(super) fn set(
        &mut self,
        key: &Key<A>,
        before: Option<Ruling>,
        after: Option<Ruling>,
    ) -> Result<(), SyncError> {
        let bytes = bytes_of_prefix::<A>();
        let Some(node) = after else {
            return match self.calls.patiently(|| self.trie.remove(key)) {
                Err(MapError::KeyNotFound) => Ok(()),
                result => {
                    result?;
                    self.reserved.shrink(bytes);
                    Ok(())
                }
            };
        };
        let needed = if before.is_none() { bytes } else { 0 };
        self.reserved.grow(needed)?;
        let set = self.calls.patiently(|| self.trie.insert(key, node.to_words(), 0));
        if set.is_err() {
            self.reserved.shrink(needed);
        }
        Ok(set?)
    }
}

fn create<A: Pod>() -> Result<Trie<A>, MapError> {
    LpmTrie::create(TRIE_ENTRIES, BPF_F_NO_PREALLOC)
}
