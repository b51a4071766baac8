//! Tries in the kernel, and what user space knows of them.

use allowlist_common::abi::Ruling;
use aya::{Pod, maps::lpm_trie::Key};

use super::{
    edits::Edit,
    engine::{Place, Trie},
    error::SyncError,
    flat::FlatTrie,
    item::Item,
    slots::EMPTY_SLOT,
};
use crate::policy::{Prefix, Sources, table::TrieSlots};

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
    pub(super) v4: Option<Trie<[u8; 4]>>,
    pub(super) v6: Option<Trie<[u8; 16]>>,
}

/// An address of a family.
pub(super) trait Address: Pod {
    /// The key of a prefix in a trie of the kernel.
    fn key(item: &Item) -> Key<Self>;
}

impl Address for [u8; 4] {
    fn key(item: &Item) -> Key<Self> {
        let [a, b, c, d, ..] = item.key.to_be_bytes();
        Key::new(item.bits, [a, b, c, d])
    }
}

impl Address for [u8; 16] {
    fn key(item: &Item) -> Key<Self> {
        Key::new(item.bits, item.key.to_be_bytes())
    }
}

impl<A: Address> Trie<A> {
    /// Makes a prefix say something else, where the trie is one of the kernel.
    fn set(&mut self, edit: &Edit, after: Option<Ruling>) -> Result<(), SyncError> {
        match &mut self.place {
            Place::Lpm(installed) => {
                let key = A::key(&Item::new(edit.prefix, Ruling::default()));
                let before = if after == edit.after { edit.before } else { edit.after };
                installed.set(&key, before, after)
            }
            Place::Flat(_) => Ok(()),
        }
    }
}

impl Tries {
    pub(super) fn slots(&self) -> TrieSlots {
        TrieSlots { v4: number(self.v4.as_ref()), v6: number(self.v6.as_ref()) }
    }

    /// Whether the edits can be made in the tries that are there: those that `wants_flat` wants for as many prefixes as
    /// there will be.
    pub(super) fn suit(&self, edits: &[Edit], wants_flat: impl Fn(usize, bool) -> bool) -> bool {
        let suits = |v4: bool, held: Option<(usize, bool)>| {
            let of_family = || edits.iter().filter(move |edit| edit.prefix.is_v4() == v4);
            let Some((len, is_flat)) = held else { return of_family().next().is_none() };
            let added = of_family().filter(|edit| edit.before.is_none()).count();
            let removed = of_family().filter(|edit| edit.after.is_none()).count();
            wants_flat((len + added).saturating_sub(removed), is_flat) == is_flat
        };
        suits(true, self.v4.as_ref().map(|trie| (trie.len, trie.is_flat())))
            && suits(false, self.v6.as_ref().map(|trie| (trie.len, trie.is_flat())))
    }

    /// Notes that edits were made.
    pub(super) fn count(&mut self, edits: &[Edit]) {
        for Edit { prefix, before, after } in edits {
            let Some(len) = self.len_mut(*prefix) else { continue };
            match (before, after) {
                (None, Some(_)) => *len += 1,
                (Some(_), None) => *len = len.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn len_mut(&mut self, prefix: Prefix) -> Option<&mut usize> {
        if prefix.is_v4() {
            self.v4.as_mut().map(|trie| &mut trie.len)
        } else {
            self.v6.as_mut().map(|trie| &mut trie.len)
        }
    }

    /// The trie of a family that is in flat memory.
    pub(super) fn flat(&self, v4: bool) -> Option<&FlatTrie> {
        if v4 { self.v4.as_ref()?.place.flat() } else { self.v6.as_ref()?.place.flat() }
    }

    /// The same to be changed.
    pub(super) fn flat_mut(&mut self, v4: bool) -> Option<&mut FlatTrie> {
        if v4 { self.v4.as_mut()?.place.flat_mut() } else { self.v6.as_mut()?.place.flat_mut() }
    }

    /// Makes an edit in a trie of the kernel.
    pub(super) fn make(&mut self, edit: &Edit) -> Result<(), SyncError> {
        self.set(edit, edit.after)
    }

    fn set(&mut self, edit: &Edit, node: Option<Ruling>) -> Result<(), SyncError> {
        if edit.prefix.is_v4() {
            self.v4.as_mut().map_or(Ok(()), |trie| trie.set(edit, node))
        } else {
            self.v6.as_mut().map_or(Ok(()), |trie| trie.set(edit, node))
        }
    }
}

impl<A: Pod> Place<A> {
    fn flat(&self) -> Option<&FlatTrie> {
        match self {
            Self::Lpm(_) => None,
            Self::Flat(trie) => Some(trie),
        }
    }

    fn flat_mut(&mut self) -> Option<&mut FlatTrie> {
        match self {
            Self::Lpm(_) => None,
            Self::Flat(trie) => Some(trie),
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
    New(Option<Trie<A>>),
}

impl<A: Pod> Family<A> {
    pub(super) fn into_trie(self) -> Option<Trie<A>> {
        match self {
            Self::Kept => None,
            Self::New(trie) => trie,
        }
    }

    /// The number that the family's trie will have, where it has `kept` without what was built.
    pub(super) fn number(&self, kept: u32) -> u32 {
        match self {
            Self::Kept => kept,
            Self::New(trie) => number(trie.as_ref()),
        }
    }

    /// Puts what was built in the place of what was there, and returns that.
    pub(super) fn replace(self, place: &mut Option<Trie<A>>) -> Option<Trie<A>> {
        match self {
            Self::Kept => None,
            Self::New(trie) => std::mem::replace(place, trie),
        }
    }
}

impl Held {
    /// Takes edits back, the last one first.
    pub(super) fn undo(&mut self, edits: &[Edit]) {
        let mut undo = edits.iter().rev();
        if let Err(error) = undo.try_for_each(|edit| self.tries.set(edit, edit.before)) {
            tracing::error!("a change broke off and could not be undone: {error}");
            self.is_damaged = true;
        }
    }
}

fn number<A: Pod>(trie: Option<&Trie<A>>) -> u32 {
    trie.map_or(EMPTY_SLOT, Trie::number)
}
