//! Bringing the kernel's maps from one policy to the next.
//!
//! A few entries of one list are changed in place. Everything else is built beside what is in force, and one
//! pointer is swapped; what was in force is freed later.

mod building;
mod in_place;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use allowlist_common::abi::{PolicyTable, maps};
use aya::maps::{ArrayOfMaps, MapData, MapError};
use jiff::{SignedDuration, Timestamp};

use super::{
    clock::boot_clock,
    engine::{EngineSettings, EngineState, Engines, InFlat, Trie},
    error::{LoadError, SyncError},
    item::Items,
    live_table::LiveTable,
    load::Loaded,
    retry::Calls,
    shadow::Trial,
    tries::{Built, Held, Tries},
};
use crate::policy::{
    ListNumber, Policy, Service, Sources,
    entry::BootClock,
    table::{self, Placement, Selection, Surroundings, TrieSlots},
};

/// By so much the wall clock must have been set for ends to be written anew.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(1);

pub(super) type Root = ArrayOfMaps<MapData, MapData>;

/// The lists whose entries a trie holds. Services that the same lists decide about share their tries.
pub(super) type Lists = Vec<ListNumber>;

/// The maps, and the policy that they enforce.
pub(super) struct Enforced {
    root: Root,
    pub(super) engines: Engines,
    policy: Policy,
    interfaces: BTreeMap<String, Placement>,
    tries: BTreeMap<Lists, Held>,
    selections: BTreeMap<Selection, Tries>,
    live: LiveTable,
    /// When the boot clock was 0, by the wall clock as it was when the ends in the tries were written.
    booted_at: Timestamp,
    /// Numbers of services whose sources are noted though they are not in mode monitor.
    pub(super) watched: BTreeSet<u16>,
    pub(super) trial: Trial,
    calls: Calls,
}

impl Enforced {
    /// The maps of a program that has just been loaded; they protect nothing yet.
    ///
    /// # Errors
    /// [`LoadError`].
    pub(super) fn new(
        loaded: &mut Loaded,
        engine: EngineSettings,
        calls: Calls,
    ) -> Result<Self, LoadError> {
        let mut root: Root = loaded.take_map(maps::ROOT)?.try_into()?;
        let live = LiveTable::new(Box::new(PolicyTable::EMPTY), &calls)?;
        calls.patiently(|| root.set(0, &live.map, 0))?;
        Ok(Self {
            root,
            engines: Engines::new(loaded, engine, &calls)?,
            policy: Policy::default(),
            interfaces: BTreeMap::new(),
            tries: BTreeMap::new(),
            selections: BTreeMap::new(),
            live,
            trial: Trial::new(loaded)?,
            watched: BTreeSet::new(),
            calls,
            booted_at: boot_clock().booted_at,
        })
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// When the boot clock was 0, by which the ends in the tries were written.
    pub(super) fn booted_at(&self) -> Timestamp {
        self.booted_at
    }

    /// Brings the maps to a policy.
    ///
    /// # Errors
    /// [`SyncError`]; the policy before stays in force.
    pub(super) fn apply(&mut self, next: &Policy) -> Result<(), SyncError> {
        match self.try_to_apply(next) {
            // What others left behind may be enough.
            Err(SyncError::OverBudget(_)) => {
                self.engines.make_room();
                self.try_to_apply(next).inspect_err(|_| self.engines.make_room())
            }
            result => result,
        }
    }

    /// The same, whatever entries may take: for a policy that is in force already, or was.
    pub(super) fn restore(&mut self, policy: &Policy) -> Result<(), SyncError> {
        self.beyond_the_limit(|enforced| enforced.apply(policy))
    }

    fn beyond_the_limit<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        // Mending may be part of restoring.
        let before = self.engines.lift_limit(true);
        let done = work(self);
        self.engines.lift_limit(before);
        done
    }

    fn try_to_apply(&mut self, next: &Policy) -> Result<(), SyncError> {
        let clock = boot_clock();
        self.note_clock(&clock);
        self.build_selections(next, &self.interfaces.clone())?;
        let needed = needed(next);
        let table = table::compile(next, &self.surroundings(next))?;
        if *table != *self.live.table() || !self.change_in_place(&needed, &clock)? {
            self.build_and_swap(next, needed, &clock)?;
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
        // The policy is in force already: an interface is not left without a filter for what entries may take.
        let policy = self.policy.clone();
        self.beyond_the_limit(|enforced| enforced.build_selections(&policy, &interfaces))?;
        let around = Surroundings { interfaces, ..self.surroundings(&self.policy) };
        let table = table::compile(&self.policy, &around)?;
        if *table != *self.live.table() {
            self.publish(table)?;
        }
        self.interfaces = around.interfaces;
        self.beyond_the_limit(Self::trial_elsewhere);
        Ok(())
    }

    /// Puts the table of the policy in force anew, where what it is made for beside the policy has changed.
    pub(super) fn publish_anew(&mut self) -> Result<(), SyncError> {
        let table = table::compile(&self.policy, &self.surroundings(&self.policy))?;
        if *table != *self.live.table() {
            self.publish(table)?;
        }
        Ok(())
    }

    /// Whether the sources of some service are noted.
    pub(super) fn watches(&self) -> bool {
        let mut services = self.policy.services.values();
        services.any(|service| table::is_watched(service, &self.watched))
    }

    /// How sources are looked up at present.
    pub(super) fn engine(&self) -> EngineState {
        self.engines.state()
    }

    /// What the entries of services are in, by number.
    pub(super) fn in_flat(&self) -> BTreeMap<u16, InFlat> {
        let of_service = |service: &Arc<Service>| {
            let lists: Lists = self.policy.sources(service).lists().collect();
            let tries = self.tries.get(&lists).map(|held| &held.tries);
            let v4 = tries.and_then(|tries| tries.v4.as_ref()).map(Trie::is_flat);
            let v6 = tries.and_then(|tries| tries.v6.as_ref()).map(Trie::is_flat);
            (service.number, InFlat { v4, v6 })
        };
        self.policy.services.values().map(of_service).collect()
    }

    /// The interfaces that services may be limited to.
    pub(super) fn interfaces(&self) -> &BTreeMap<String, Placement> {
        &self.interfaces
    }

    /// Frees the tries that changes left behind.
    pub(super) fn tidy(&mut self) {
        let mut used = table::selections(&self.policy, &self.interfaces);
        if let Some(candidate) = self.trial.policy() {
            used.extend(table::selections(candidate, &self.interfaces));
        }
        let unused = self.selections.extract_if(.., |selection, _| !used.contains(selection));
        for (_, tries) in unused.collect::<Vec<_>>() {
            self.retire(tries);
        }
        self.engines.tidy();
    }

    fn surroundings(&self, policy: &Policy) -> Surroundings {
        self.surroundings_with(policy, &BTreeMap::new())
    }

    /// What a policy's table is made for, with the tries as they will be with what was built.
    fn surroundings_with(&self, policy: &Policy, built: &BTreeMap<Lists, Built>) -> Surroundings {
        let of_service = |service: &Arc<Service>| {
            let lists: Lists = policy.sources(service).lists().collect();
            let mut slots =
                self.tries.get(&lists).map_or_else(TrieSlots::default, |held| held.tries.slots());
            if let Some(built) = built.get(&lists) {
                slots = TrieSlots { v4: built.v4.number(slots.v4), v6: built.v6.number(slots.v6) };
            }
            (service.number, slots)
        };
        Surroundings {
            interfaces: self.interfaces.clone(),
            tries: policy.services.values().map(of_service).collect(),
            selections: self.selection_slots(),
            watched: self.watched.clone(),
            is_tried: self.trial.policy().is_some(),
        }
    }

    /// The tries of destination prefixes there are.
    pub(super) fn selection_slots(&self) -> BTreeMap<Selection, TrieSlots> {
        let slots = |(selection, tries): (&Selection, &Tries)| (selection.clone(), tries.slots());
        self.selections.iter().map(slots).collect()
    }

    /// The calls by which the kernel is asked.
    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Builds the tries of destination prefixes that a policy needs and are not there yet.
    pub(super) fn build_selections(
        &mut self,
        policy: &Policy,
        interfaces: &BTreeMap<String, Placement>,
    ) -> Result<(), SyncError> {
        for selection in table::selections(policy, interfaces) {
            if self.selections.contains_key(&selection) {
                continue;
            }
            let items = Items::of_selection(&selection);
            let tries = self.engines.build_in_kernel(&items)?;
            self.selections.insert(selection, tries);
        }
        Ok(())
    }

    /// Puts a table in force: in place where one service's row is all that differs, else by one pointer.
    fn publish(&mut self, table: Box<PolicyTable>) -> Result<(), MapError> {
        if self.live.become_in_place(&table) {
            return Ok(());
        }
        let live = LiveTable::new(table, &self.calls)?;
        self.calls.patiently(|| self.root.set(0, &live.map, 0))?;
        self.live = live;
        Ok(())
    }

    /// Takes the ends in the tries for wrong where somebody has set the wall clock since they were written: they are
    /// on the boot clock, which nobody sets.
    fn note_clock(&mut self, clock: &BootClock) {
        let moved = self.booted_at.duration_since(clock.booted_at).abs();
        if moved < CLOCK_STEP {
            return;
        }
        self.booted_at = clock.booted_at;
        self.trial.note_clock();
        for held in self.tries.values_mut().filter(|held| held.sources.have_ends()) {
            held.is_damaged = true;
        }
    }

    /// Rebuilds tries whose ends are wrong, or in which a change broke off and could not be undone; `true` where all is well then.
    pub(super) fn mend(&mut self, clock: &BootClock) -> bool {
        self.note_clock(clock);
        self.beyond_the_limit(|enforced| enforced.mend_what_is_damaged(clock))
    }

    fn mend_what_is_damaged(&mut self, clock: &BootClock) -> bool {
        self.mend_trial(clock);
        if !self.tries.values().any(|held| held.is_damaged) {
            return true;
        }
        let policy = self.policy.clone();
        let mended = self.build_and_swap(&policy, needed(&policy), clock).is_ok();
        if !mended {
            // It is tried again soon, and must not leave more and more behind.
            self.engines.make_room();
        }
        mended
    }

    pub(super) fn retire(&mut self, tries: Tries) {
        self.engines.retire(tries);
    }
}

/// The sources of a policy's services, by their lists; without those that have no entries.
pub(super) fn needed(policy: &Policy) -> BTreeMap<Lists, Sources> {
    policy
        .services
        .values()
        .map(|service| policy.sources(service))
        .map(|sources| (sources.lists().collect::<Lists>(), sources))
        .filter(|(lists, _)| !lists.is_empty())
        .collect()
}
