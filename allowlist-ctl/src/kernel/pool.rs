//! The pools of tries: one array of maps for each family.

use std::collections::BTreeSet;

use allowlist_common::abi::{Node, TRIE_ENTRIES, TRIES};
use aya::{
    Pod,
    maps::{
        ArrayOfMaps, Map, MapData, MapError,
        lpm_trie::{Key, LpmTrie},
    },
};
use aya_obj::generated::BPF_F_NO_PREALLOC;

use super::{error::SyncError, retry::Calls};

/// The slot of a trie that is always there and always empty.
pub(super) const EMPTY_SLOT: u32 = 0;

type Trie<A> = LpmTrie<MapData, A, [u32; 5]>;

/// The tries of one family, whose addresses are `A`.
pub(super) struct Pool<A: Pod> {
    slots: ArrayOfMaps<MapData, Trie<A>>,
    free: BTreeSet<u32>,
    /// Slots that no policy refers to any more, still holding their trie.
    retired: Vec<u32>,
    /// An empty trie in a slot of its own: putting one there takes an RCU grace period, which nobody should have
    /// to wait for.
    spare: Option<Installed<A>>,
    empty: Trie<A>,
    calls: Calls,
}

/// A trie in a slot of its pool.
pub(super) struct Installed<A: Pod> {
    slot: u32,
    trie: Trie<A>,
    calls: Calls,
}

impl<A: Pod> Pool<A> {
    pub(super) fn new(map: Map, calls: Calls) -> Result<Self, MapError> {
        let mut slots = ArrayOfMaps::try_from(map)?;
        let empty = calls.patiently(create)?;
        calls.patiently(|| slots.set(EMPTY_SLOT, &empty, 0))?;
        let free = (1..TRIES).collect();
        Ok(Self { slots, free, retired: Vec::new(), spare: None, empty, calls })
    }

    /// Builds a trie of these nodes beside those in force, and puts it in a free slot; without nodes there is
    /// none to build.
    ///
    /// # Errors
    /// Nothing is left behind then.
    pub(super) fn build(
        &mut self,
        nodes: impl Iterator<Item = (Key<A>, Node)>,
    ) -> Result<Option<Installed<A>>, SyncError> {
        let mut nodes = nodes.peekable();
        if nodes.peek().is_none() {
            return Ok(None);
        }
        let mut installed = match self.spare.take() {
            Some(spare) => spare,
            None => self.install()?,
        };
        for (key, node) in nodes {
            if let Err(error) = installed.set(&key, Some(node)) {
                self.retire(installed);
                return Err(error.into());
            }
        }
        Ok(Some(installed))
    }

    /// Puts an empty trie in a free slot.
    fn install(&mut self) -> Result<Installed<A>, SyncError> {
        if self.free.is_empty() {
            self.free_retired();
        }
        let trie = self.calls.patiently(create)?;
        let slot = self.free.pop_first().ok_or(SyncError::PoolFull)?;
        if let Err(error) = self.calls.patiently(|| self.slots.set(slot, &trie, 0)) {
            self.free.insert(slot);
            return Err(error.into());
        }
        Ok(Installed { slot, trie, calls: self.calls.clone() })
    }

    /// Takes back a trie that no policy in force refers to; [`Pool::tidy`] frees its memory.
    #[expect(clippy::needless_pass_by_value, reason = "whoever retires a trie gives it up")]
    pub(super) fn retire(&mut self, installed: Installed<A>) {
        self.retired.push(installed.slot);
    }

    /// Makes a spare trie, and frees the memory of retired ones; each takes an RCU grace period.
    pub(super) fn tidy(&mut self) {
        self.free_retired();
        if self.spare.is_none() {
            // Without a spare one, the next change makes its own and reports what is in the way.
            self.spare = self.install().ok();
        }
    }

    fn free_retired(&mut self) {
        if self.retired.is_empty() {
            return;
        }
        // A program that began before the table was changed in place may still be about to look up a retired trie.
        // The kernel waits for all of them when a map in maps is updated, if only by what was there.
        if self.calls.patiently(|| self.slots.set(EMPTY_SLOT, &self.empty, 0)).is_err() {
            return;
        }
        for slot in std::mem::take(&mut self.retired) {
            match self.calls.patiently(|| self.slots.set(slot, &self.empty, 0)) {
                Ok(()) => {
                    self.free.insert(slot);
                }
                Err(_) => self.retired.push(slot),
            }
        }
    }
}

impl<A: Pod> Installed<A> {
    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// Makes a prefix say this; a packet sees what it said before or what it says now.
    pub(super) fn set(&mut self, key: &Key<A>, node: Option<Node>) -> Result<(), MapError> {
        match node {
            Some(node) => self.calls.patiently(|| self.trie.insert(key, node.to_words(), 0)),
            None => match self.calls.patiently(|| self.trie.remove(key)) {
                Err(MapError::KeyNotFound) => Ok(()),
                result => result,
            },
        }
    }
}

fn create<A: Pod>() -> Result<Trie<A>, MapError> {
    LpmTrie::create(TRIE_ENTRIES, BPF_F_NO_PREALLOC)
}
