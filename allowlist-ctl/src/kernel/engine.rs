//! The engines that look sources up, and which one a list is in.

use std::thread;

use allowlist_common::{
    abi::maps,
    flat::{ELEMENTS_CHUNK, WORDS_CHUNK},
};
use aya::Pod;
use serde::{Deserialize, Serialize};

use super::{
    budget::Budget,
    error::{LoadError, SyncError},
    flat::{Chunks, Flat, FlatTrie, Roots},
    item::{Item, Items},
    load::Loaded,
    lpm::{Installed, Pool},
    retry::Calls,
    tries::{Address, Tries},
};
/// Lists with so many prefixes of a family are in flat memory, where it is left to the daemon.
const FLAT_FROM: usize = 256;

/// Which engine looks sources up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The kernel's tries for short lists, flat memory for longer ones.
    #[default]
    Auto,
    /// The kernel's tries.
    Lpm,
    /// Flat memory.
    Flat,
}

/// How sources are looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EngineSettings {
    /// Which engine does.
    pub kind: EngineKind,
    /// Bytes of the kernel's memory that entries may take.
    pub memory: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { kind: EngineKind::Auto, memory: 1 << 30 }
    }
}

/// How sources are looked up at present.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EngineState {
    /// The settings.
    pub settings: EngineSettings,
    /// Whether there is flat memory: not with a program that is one function.
    pub has_flat: bool,
    /// Bytes of the kernel's memory that are taken for entries; of the kernel's own tries an upper bound.
    pub memory: u64,
}

/// What the entries of a service are in, by family: whether in flat memory; `None` where there are none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InFlat {
    /// The IPv4 ones.
    pub v4: Option<bool>,
    /// The IPv6 ones.
    pub v6: Option<bool>,
}

/// A trie of one family, whose addresses are `A`.
pub(super) struct Trie<A: Pod> {
    pub(super) place: Place<A>,
    /// Prefixes in it.
    pub(super) len: usize,
}

/// What a trie is in.
pub(super) enum Place<A: Pod> {
    Lpm(Installed<A>),
    Flat(FlatTrie),
}

impl<A: Pod> Trie<A> {
    /// Its number, as services have it.
    pub(super) fn number(&self) -> u32 {
        match &self.place {
            Place::Lpm(installed) => installed.slot(),
            Place::Flat(trie) => trie.number(),
        }
    }

    pub(super) fn is_flat(&self) -> bool {
        matches!(self.place, Place::Flat(_))
    }
}

/// What was built of a family: nothing where that was not wanted, no trie where it has no entries.
pub(super) type BuiltTrie<A> = Result<Option<Option<Trie<A>>>, SyncError>;

/// The memory of all tries.
pub(super) struct Engines {
    v4: Pool<[u8; 4]>,
    v6: Pool<[u8; 16]>,
    pub(super) flat: Option<Flat>,
    settings: EngineSettings,
    budget: Budget,
}

impl Engines {
    /// The engines of a program that has just been loaded.
    ///
    /// # Errors
    /// [`LoadError`].
    pub(super) fn new(
        loaded: &mut Loaded,
        settings: EngineSettings,
        calls: &Calls,
    ) -> Result<Self, LoadError> {
        let budget = Budget::new(settings.memory);
        let (of, with) = (|| budget.clone(), || calls.clone());
        let v4 = Pool::new(loaded.take_map(maps::TRIES_V4)?, of(), with())?;
        let v6 = Pool::new(loaded.take_map(maps::TRIES_V6)?, of(), with())?;
        let flat = if loaded.variant.has_flat() {
            let roots = Roots::new(loaded.take_map(maps::FLAT_ROOTS)?, of(), with())?;
            let elements = loaded.take_map(maps::FLAT_ELEMENTS)?;
            let elements = Chunks::new(elements, ELEMENTS_CHUNK, of(), with())?;
            let words = Chunks::new(loaded.take_map(maps::FLAT_WORDS)?, WORDS_CHUNK, of(), with())?;
            Some(Flat::new(roots, elements, words))
        } else {
            None
        };
        Ok(Self { v4, v6, flat, settings, budget })
    }

    pub(super) fn state(&self) -> EngineState {
        let has_flat = self.flat.is_some();
        EngineState { settings: self.settings, has_flat, memory: self.budget.used() }
    }

    /// Whether a trie of so many prefixes belongs into flat memory. One that is there stays until it is much shorter.
    pub(super) fn wants_flat(&self, len: usize, is_flat: bool) -> bool {
        let wanted = match self.settings.kind {
            EngineKind::Lpm => false,
            EngineKind::Flat => true,
            EngineKind::Auto => len >= if is_flat { FLAT_FROM / 2 } else { FLAT_FROM },
        };
        wanted && self.flat.is_some()
    }

    /// Builds the tries of those families of some sources that are `wanted`, IPv4 first: in flat memory where they belong
    /// there. `held` are those that they will take the place of.
    pub(super) fn build(
        &mut self,
        items: &Items,
        wanted: (bool, bool),
        held: Option<&Tries>,
    ) -> (BuiltTrie<[u8; 4]>, BuiltTrie<[u8; 16]>) {
        let is_flat = |v4| held.is_some_and(|held| held.flat(v4).is_some());
        let flat_v4 = self.wants_flat(items.v4.len(), is_flat(true));
        let flat_v6 = self.wants_flat(items.v6.len(), is_flat(false));
        let Self { v4, v6, flat, .. } = self;
        if flat_v6 {
            let built = wanted.0.then(|| build(v4, flat.as_mut().filter(|_| flat_v4), &items.v4));
            let flat = flat.as_mut();
            return (built.transpose(), wanted.1.then(|| build(v6, flat, &items.v6)).transpose());
        }
        // Long lists take the kernel a while, and the families have pools of their own: a thread for each.
        thread::scope(|scope| {
            let v6 = wanted.1.then(|| scope.spawn(|| build(v6, None, &items.v6)));
            let flat = flat.as_mut().filter(|_| flat_v4);
            let built = wanted.0.then(|| build(v4, flat, &items.v4));
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            (built.transpose(), v6.map(join).transpose())
        })
    }

    /// Frees whatever can be done without.
    pub(super) fn make_room(&mut self) {
        self.v4.make_room();
        self.v6.make_room();
        if let Some(flat) = &mut self.flat {
            flat.make_room();
        }
    }

    /// Has entries take more than they may, or no longer; returns how it was before.
    pub(super) fn lift_limit(&self, is_lifted: bool) -> bool {
        self.budget.lift(is_lifted)
    }

    /// Builds tries of the kernel.
    ///
    /// # Errors
    /// [`SyncError`]; nothing is left behind then.
    pub(super) fn build_in_kernel(&mut self, items: &Items) -> Result<Tries, SyncError> {
        let v4 = build(&mut self.v4, None, &items.v4)?;
        match build(&mut self.v6, None, &items.v6) {
            Ok(v6) => Ok(Tries { v4, v6 }),
            Err(error) => {
                self.retire(Tries { v4, v6: None });
                Err(error)
            }
        }
    }

    /// Takes back tries that no policy in force refers to; [`Engines::tidy`] frees their memory.
    pub(super) fn retire(&mut self, tries: Tries) {
        let Self { v4, v6, flat, .. } = self;
        retire(v4, flat.as_mut(), tries.v4);
        retire(v6, flat.as_mut(), tries.v6);
    }

    /// Frees what changes left behind, and prepares for the next.
    pub(super) fn tidy(&mut self) {
        self.v4.tidy();
        self.v6.tidy();
        if let Some(flat) = &mut self.flat {
            flat.tidy();
        }
    }
}

fn retire<A: Pod>(pool: &mut Pool<A>, flat: Option<&mut Flat>, trie: Option<Trie<A>>) {
    match (trie.map(|trie| trie.place), flat) {
        (Some(Place::Lpm(installed)), _) => pool.retire(installed),
        (Some(Place::Flat(trie)), Some(flat)) => flat.retire(trie),
        (Some(Place::Flat(_)), None) | (None, _) => {}
    }
}

/// Builds a trie of prefixes in order; none without any.
///
/// # Errors
/// [`SyncError`]; nothing is left behind then.
fn build<A: Address>(
    pool: &mut Pool<A>,
    flat: Option<&mut Flat>,
    items: &[Item],
) -> Result<Option<Trie<A>>, SyncError> {
    if items.is_empty() {
        return Ok(None);
    }
    let place = match flat {
        Some(flat) => Place::Flat(flat.build(items)?),
        None => Place::Lpm(pool.build(items.iter().map(|item| (A::key(item), item.says)))?),
    };
    Ok(Some(Trie { place, len: items.len() }))
}
