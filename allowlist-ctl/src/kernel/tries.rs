//! Tries in the kernel, and what user space knows of them.

use allowlist_common::abi::Node;
use aya::{Pod, maps::MapError};

use super::{
    edits::{Edit, FamilyKey},
    pool::{EMPTY_SLOT, Installed},
};
use crate::policy::{Sources, table::TrieSlots};

/// Tries, and what they hold.
#[derive(Default)]
pub(super) struct Held {
    pub(super) sources: Sources,
    pub(super) tries: Tries,
    /// A change broke off in the middle, and could not be undone: what they hold is not known.
    pub(super) is_damaged: bool,
}

/// The tries of both families; none where there are no entries of one.
#[derive(Default)]
pub(super) struct Tries {
    pub(super) v4: Option<Installed<[u8; 4]>>,
    pub(super) v6: Option<Installed<[u8; 16]>>,
}

impl Tries {
    pub(super) fn slots(&self) -> TrieSlots {
        TrieSlots { v4: slot(self.v4.as_ref()), v6: slot(self.v6.as_ref()) }
    }

    pub(super) fn has_family_of(&self, key: &FamilyKey) -> bool {
        match key {
            FamilyKey::V4(_) => self.v4.is_some(),
            FamilyKey::V6(_) => self.v6.is_some(),
        }
    }

    pub(super) fn set(&mut self, key: &FamilyKey, node: Option<Node>) -> Result<(), MapError> {
        match key {
            FamilyKey::V4(key) => self.v4.as_mut().map_or(Ok(()), |trie| trie.set(key, node)),
            FamilyKey::V6(key) => self.v6.as_mut().map_or(Ok(()), |trie| trie.set(key, node)),
        }
    }
}

/// What was built for some lists.
#[derive(Default)]
pub(super) struct Built {
    pub(super) v4: Family<[u8; 4]>,
    pub(super) v6: Family<[u8; 16]>,
}

/// What was built for a family of some lists.
#[derive(Default)]
pub(super) enum Family<A: Pod> {
    /// Nothing: its entries are the same.
    #[default]
    Kept,
    /// A trie, where there are entries.
    New(Option<Installed<A>>),
}

impl<A: Pod> Family<A> {
    pub(super) fn into_trie(self) -> Option<Installed<A>> {
        match self {
            Self::Kept => None,
            Self::New(trie) => trie,
        }
    }

    /// The slot that the family will have, where it has `kept` without what was built.
    pub(super) fn slot(&self, kept: u32) -> u32 {
        match self {
            Self::Kept => kept,
            Self::New(trie) => slot(trie.as_ref()),
        }
    }

    /// Puts what was built in the place of what was there, and returns that.
    pub(super) fn replace(self, place: &mut Option<Installed<A>>) -> Option<Installed<A>> {
        match self {
            Self::Kept => None,
            Self::New(trie) => std::mem::replace(place, trie),
        }
    }
}

impl Held {
    /// Takes edits back, the last one first.
    pub(super) fn undo(&mut self, edits: &[(FamilyKey, Edit)]) {
        let mut undo = edits.iter().rev();
        if let Err(error) = undo.try_for_each(|(key, edit)| self.tries.set(key, edit.before)) {
            tracing::error!("a change broke off and could not be undone: {error}");
            self.is_damaged = true;
        }
    }
}

fn slot<A: Pod>(trie: Option<&Installed<A>>) -> u32 {
    trie.map_or(EMPTY_SLOT, Installed::slot)
}
