//! Bringing the kernel's maps from one policy to the next.
//!
//! A few entries of one list are changed in place. Everything else is built beside what is in force, and one
//! pointer is swapped; what was in force is freed later.

use std::{collections::BTreeMap, sync::Arc, thread};

use allowlist_common::abi::{Node, PolicyTable, maps};
use aya::{
    Pod,
    maps::{ArrayOfMaps, MapData, MapError},
};

use super::{
    clock::boot_clock,
    edits::{
        FamilyKey, changed_families, few_edits, nodes_v4, nodes_v6, selection_v4, selection_v6,
    },
    error::{LoadError, SyncError},
    live_table::LiveTable,
    load::Loaded,
    pool::{EMPTY_SLOT, Installed, Pool},
    retry::patiently,
};
use crate::policy::{
    Policy, Service,
    entry::BootClock,
    table::{self, Placement, Selection, Surroundings, TrieSlots},
};

/// Up to so many entries are changed in place.
const IN_PLACE: usize = 1024;

type Root = ArrayOfMaps<MapData, MapData>;

/// The maps, and the policy that they enforce.
pub(super) struct Enforced {
    root: Root,
    v4: Pool<[u8; 4]>,
    v6: Pool<[u8; 16]>,
    policy: Policy,
    interfaces: BTreeMap<String, Placement>,
    tries: BTreeMap<u16, Tries>,
    selections: BTreeMap<Selection, Tries>,
    live: LiveTable,
}

/// The tries of a service; none where it has no entries of the family.
#[derive(Default)]
struct Tries {
    v4: Option<Installed<[u8; 4]>>,
    v6: Option<Installed<[u8; 16]>>,
}

impl Tries {
    fn has_family_of(&self, key: &FamilyKey) -> bool {
        match key {
            FamilyKey::V4(_) => self.v4.is_some(),
            FamilyKey::V6(_) => self.v6.is_some(),
        }
    }

    fn set(&mut self, key: &FamilyKey, node: Option<Node>) -> Result<(), MapError> {
        match key {
            FamilyKey::V4(key) => self.v4.as_mut().map_or(Ok(()), |trie| trie.set(key, node)),
            FamilyKey::V6(key) => self.v6.as_mut().map_or(Ok(()), |trie| trie.set(key, node)),
        }
    }
}

/// What was built for a service.
#[derive(Default)]
struct Built {
    v4: Family<[u8; 4]>,
    v6: Family<[u8; 16]>,
}

/// What was built for a family of a service.
#[derive(Default)]
enum Family<A: Pod> {
    /// Nothing: its entries are the same.
    #[default]
    Kept,
    /// A trie, where there are entries.
    New(Option<Installed<A>>),
}

impl<A: Pod> Family<A> {
    fn into_trie(self) -> Option<Installed<A>> {
        match self {
            Self::Kept => None,
            Self::New(trie) => trie,
        }
    }

    /// Puts what was built in the place of what was there, and returns that.
    fn replace(self, place: &mut Option<Installed<A>>) -> Option<Installed<A>> {
        match self {
            Self::Kept => None,
            Self::New(trie) => std::mem::replace(place, trie),
        }
    }
}

impl Enforced {
    /// The maps of a program that has just been loaded; they protect nothing yet.
    ///
    /// # Errors
    /// [`LoadError`].
    pub(super) fn new(loaded: &mut Loaded) -> Result<Self, LoadError> {
        let mut root: Root = loaded.take_map(maps::ROOT)?.try_into()?;
        let live = LiveTable::new(Box::new(PolicyTable::EMPTY))?;
        patiently(|| root.set(0, &live.map, 0))?;
        Ok(Self {
            root,
            v4: Pool::new(loaded.take_map(maps::TRIES_V4)?)?,
            v6: Pool::new(loaded.take_map(maps::TRIES_V6)?)?,
            policy: Policy::default(),
            interfaces: BTreeMap::new(),
            tries: BTreeMap::new(),
            selections: BTreeMap::new(),
            live,
        })
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Brings the maps to a policy.
    ///
    /// # Errors
    /// [`SyncError`]; the policy before stays in force.
    pub(super) fn apply(&mut self, next: &Policy) -> Result<(), SyncError> {
        let clock = boot_clock();
        self.build_selections(next, &self.interfaces.clone())?;
        let table = table::compile(next, &self.surroundings())?;
        if *table != *self.live.table() || !self.change_in_place(next, &clock)? {
            self.build_and_swap(next, &clock)?;
        }
        self.policy = next.clone();
        Ok(())
    }

    /// Tells which interfaces there are, for services that are limited to some.
    ///
    /// # Errors
    /// [`SyncError`]; the interfaces are those from before then.
    pub(super) fn set_interfaces(
        &mut self,
        interfaces: BTreeMap<String, Placement>,
    ) -> Result<(), SyncError> {
        self.build_selections(&self.policy.clone(), &interfaces)?;
        let around = Surroundings { interfaces, ..self.surroundings() };
        let table = table::compile(&self.policy, &around)?;
        if *table != *self.live.table() {
            self.publish(table)?;
        }
        self.interfaces = around.interfaces;
        Ok(())
    }

    /// The interfaces that services may be limited to.
    pub(super) fn interfaces(&self) -> &BTreeMap<String, Placement> {
        &self.interfaces
    }

    /// Frees the tries that changes left behind.
    pub(super) fn tidy(&mut self) {
        let used = table::selections(&self.policy, &self.interfaces);
        let unused = self.selections.extract_if(.., |selection, _| !used.contains(selection));
        for (_, tries) in unused.collect::<Vec<_>>() {
            self.retire(tries);
        }
        self.v4.tidy();
        self.v6.tidy();
    }

    fn surroundings(&self) -> Surroundings {
        let number = |(number, tries): (&u16, &Tries)| (*number, slots(tries));
        Surroundings {
            interfaces: self.interfaces.clone(),
            tries: self.tries.iter().map(number).collect(),
            selections: self
                .selections
                .iter()
                .map(|(selection, tries)| (selection.clone(), slots(tries)))
                .collect(),
        }
    }

    /// Builds the tries of destination prefixes that a policy needs and are not there yet.
    fn build_selections(
        &mut self,
        policy: &Policy,
        interfaces: &BTreeMap<String, Placement>,
    ) -> Result<(), SyncError> {
        for selection in table::selections(policy, interfaces) {
            if self.selections.contains_key(&selection) {
                continue;
            }
            let v4 = self.v4.build(selection_v4(&selection))?;
            let mut tries = Tries { v4, v6: None };
            match self.v6.build(selection_v6(&selection)) {
                Ok(v6) => tries.v6 = v6,
                Err(error) => {
                    self.retire(tries);
                    return Err(error);
                }
            }
            self.selections.insert(selection, tries);
        }
        Ok(())
    }

    /// Puts a table in force: in place where one service's row is all that differs, else by one pointer.
    fn publish(&mut self, table: Box<PolicyTable>) -> Result<(), MapError> {
        if self.live.become_in_place(&table) {
            return Ok(());
        }
        let live = LiveTable::new(table)?;
        patiently(|| self.root.set(0, &live.map, 0))?;
        self.live = live;
        Ok(())
    }

    /// Makes a change in place where it is small and inside one list; `false` where it is not.
    ///
    /// The tables must be the same before and after.
    fn change_in_place(&mut self, next: &Policy, clock: &BootClock) -> Result<bool, SyncError> {
        let mut changed = next.services.iter().filter_map(|(name, service)| {
            let before = self.policy.services.get(name)?;
            (!Arc::ptr_eq(before, service)).then_some((before, service))
        });
        let Some((before, after)) = changed.next() else { return Ok(true) };
        let edits = few_edits(&before.entries, &after.entries, clock, IN_PLACE);
        let (None, Some(edits)) = (changed.next(), edits) else { return Ok(false) };
        let Some(tries) = self.tries.get_mut(&after.number) else { return Ok(false) };
        let edits: Vec<_> = edits.iter().map(|edit| (FamilyKey::from(edit.prefix), edit)).collect();
        if !edits.iter().all(|(key, _)| tries.has_family_of(key)) {
            return Ok(false);
        }
        for (done, (key, edit)) in edits.iter().enumerate() {
            if let Err(error) = tries.set(key, edit.after) {
                let mut undo = edits[..done].iter().rev();
                return Err(match undo.try_for_each(|(key, edit)| tries.set(key, edit.before)) {
                    Ok(()) => SyncError::Refused(error),
                    Err(error) => SyncError::HalfDone(error),
                });
            }
        }
        Ok(true)
    }

    /// Builds the tries of every changed list beside those in force, and swaps the root.
    fn build_and_swap(&mut self, next: &Policy, clock: &BootClock) -> Result<(), SyncError> {
        let mut built = BTreeMap::new();
        let swapped = self.build_changed(next, clock, &mut built).and_then(|()| {
            let around = Surroundings { tries: self.slots_with(&built), ..self.surroundings() };
            Ok(self.publish(table::compile(next, &around)?)?)
        });
        if swapped.is_err() {
            for Built { v4, v6 } in built.into_values() {
                self.retire(Tries { v4: v4.into_trie(), v6: v6.into_trie() });
            }
            return swapped;
        }
        self.settle(next, built);
        Ok(())
    }

    fn build_changed(
        &mut self,
        next: &Policy,
        clock: &BootClock,
        built: &mut BTreeMap<u16, Built>,
    ) -> Result<(), SyncError> {
        for (name, after) in &next.services {
            let before = self.policy.services.get(name).cloned();
            // Only a service that keeps its number keeps its tries.
            let before = before.filter(|before| before.number == after.number);
            let changed = before.map_or((true, true), |before: Arc<Service>| {
                changed_families(&before.entries, &after.entries)
            });
            if changed == (false, false) {
                continue;
            }
            let built = built.entry(after.number).or_default();
            let (pool_v4, pool_v6) = (&mut self.v4, &mut self.v6);
            let mut build_v4 = || pool_v4.build(nodes_v4(&after.entries, clock));
            let mut build_v6 = || pool_v6.build(nodes_v6(&after.entries, clock));
            // Large lists take a while, and the families have pools of their own: a thread for each.
            let (v4, v6) = thread::scope(|scope| {
                let v6 = changed.1.then(|| scope.spawn(&mut build_v6));
                let v4 = changed.0.then(&mut build_v4);
                let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                (v4.transpose(), v6.map(join).transpose())
            });
            // What one family built is noted before the other one's error is reported.
            let v6 = v6.map(|v6| built.v6 = v6.map_or(Family::Kept, Family::New));
            built.v4 = v4?.map_or(Family::Kept, Family::New);
            v6?;
        }
        Ok(())
    }

    /// The slots as they will be with what was built.
    fn slots_with(&self, built: &BTreeMap<u16, Built>) -> BTreeMap<u16, TrieSlots> {
        let mut all = self.surroundings().tries;
        for (number, built) in built {
            let slots = all.entry(*number).or_default();
            if let Family::New(v4) = &built.v4 {
                slots.v4 = slot(v4.as_ref());
            }
            if let Family::New(v6) = &built.v6 {
                slots.v6 = slot(v6.as_ref());
            }
        }
        all
    }

    /// Keeps what the new root refers to, and retires what it no longer does.
    fn settle(&mut self, next: &Policy, built: BTreeMap<u16, Built>) {
        for (number, Built { v4, v6 }) in built {
            let tries = self.tries.entry(number).or_default();
            let replaced = Tries { v4: v4.replace(&mut tries.v4), v6: v6.replace(&mut tries.v6) };
            self.retire(replaced);
        }
        let numbers: Vec<u16> = next.services.values().map(|service| service.number).collect();
        let gone = self.tries.extract_if(.., |number, _| !numbers.contains(number));
        for (_, tries) in gone.collect::<Vec<_>>() {
            self.retire(tries);
        }
    }

    fn retire(&mut self, tries: Tries) {
        if let Some(v4) = tries.v4 {
            self.v4.retire(v4);
        }
        if let Some(v6) = tries.v6 {
            self.v6.retire(v6);
        }
    }
}

fn slots(tries: &Tries) -> TrieSlots {
    TrieSlots { v4: slot(tries.v4.as_ref()), v6: slot(tries.v6.as_ref()) }
}

fn slot<A: Pod>(trie: Option<&Installed<A>>) -> u32 {
    trie.map_or(EMPTY_SLOT, Installed::slot)
}
