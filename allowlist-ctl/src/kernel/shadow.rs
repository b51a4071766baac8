//! A policy on trial: beside the one in force, and judging the same packets without touching them.
//!
//! Its tries are in the same pools, its table is in a map of its own. Packets are judged by it only while the table in
//! force says so.

use std::collections::BTreeMap;

use allowlist_common::abi::maps;
use aya::maps::MapError;

use super::{
    error::{LoadError, SyncError},
    item::Items,
    live_table::LiveTable,
    load::Loaded,
    sync::{Enforced, Lists, Root, needed},
    tries::Tries,
};
use crate::policy::{
    Policy,
    entry::BootClock,
    table::{self, Surroundings, TrieSlots},
};

/// The policy on trial, if there is one.
pub(super) struct Trial {
    slot: Root,
    candidate: Option<Candidate>,
}

struct Candidate {
    policy: Policy,
    tries: BTreeMap<Lists, Tries>,
    table: LiveTable,
    /// Whether the ends in the tries are wrong, for somebody has set the clock.
    has_wrong_ends: bool,
}

impl Trial {
    pub(super) fn new(loaded: &mut Loaded) -> Result<Self, LoadError> {
        Ok(Self { slot: loaded.take_map(maps::TRIAL)?.try_into()?, candidate: None })
    }

    /// The policy on trial.
    pub(super) fn policy(&self) -> Option<&Policy> {
        self.candidate.as_ref().map(|candidate| &candidate.policy)
    }

    /// Takes the ends in the tries for wrong.
    pub(super) fn note_clock(&mut self) {
        if let Some(candidate) = &mut self.candidate {
            candidate.has_wrong_ends = true;
        }
    }
}

impl Enforced {
    /// Puts a policy on trial, in the place of another one.
    ///
    /// # Errors
    /// [`SyncError`]; what was on trial may stay so, or nothing is.
    pub(super) fn try_out(&mut self, policy: Policy, clock: &BootClock) -> Result<(), SyncError> {
        let interfaces = self.interfaces().clone();
        self.build_selections(&policy, &interfaces)?;
        let mut tries = BTreeMap::new();
        let placed = self.build_trial(&policy, clock, &mut tries).and_then(|()| {
            let table = self.table_of(&policy, &tries)?;
            let calls = self.calls().clone();
            self.trial.put(&table, &calls)?;
            Ok(table)
        });
        match placed {
            Ok(table) => {
                let candidate = Candidate { policy, tries, table, has_wrong_ends: false };
                let before = self.trial.candidate.replace(candidate);
                self.retire_candidate(before);
                let published = self.publish_anew();
                if published.is_err() {
                    let unseen = self.trial.candidate.take();
                    self.retire_candidate(unseen);
                }
                published
            }
            Err(error) => {
                for tries in tries.into_values() {
                    self.retire(tries);
                }
                Err(error)
            }
        }
    }

    /// Ends the trial.
    ///
    /// # Errors
    /// [`SyncError`]; packets may still be judged twice then, which changes nothing about them.
    pub(super) fn end_trial(&mut self) -> Result<(), SyncError> {
        let Some(candidate) = self.trial.candidate.take() else { return Ok(()) };
        let published = self.publish_anew();
        if published.is_err() {
            self.trial.candidate = Some(candidate);
            return published;
        }
        // Nothing leads to its table any more, which the next trial's takes the place of.
        self.retire_candidate(Some(candidate));
        Ok(())
    }

    /// Brings the trial to interfaces that are others now.
    pub(super) fn trial_elsewhere(&mut self) -> Result<(), SyncError> {
        let Some(mut candidate) = self.trial.candidate.take() else { return Ok(()) };
        let interfaces = self.interfaces().clone();
        let placed = self.build_selections(&candidate.policy, &interfaces).and_then(|()| {
            let table = self.table_of(&candidate.policy, &candidate.tries)?;
            let calls = self.calls().clone();
            self.trial.put(&table, &calls)?;
            candidate.table = table;
            Ok(())
        });
        self.trial.candidate = Some(candidate);
        placed
    }

    /// Writes the ends anew where the clock was set.
    pub(super) fn mend_trial(&mut self, clock: &BootClock) {
        let wrong = self.trial.candidate.as_ref().filter(|candidate| candidate.has_wrong_ends);
        let Some(policy) = wrong.map(|candidate| candidate.policy.clone()) else { return };
        if let Err(error) = self.try_out(policy, clock) {
            tracing::debug!("the trial goes on with ends by the clock as it was: {error}");
        }
    }

    fn build_trial(
        &mut self,
        policy: &Policy,
        clock: &BootClock,
        tries: &mut BTreeMap<Lists, Tries>,
    ) -> Result<(), SyncError> {
        for (lists, sources) in needed(policy) {
            let items = Items::of(&sources, clock);
            let (v4, v6) = self.engines.build(&items, (true, true), None);
            let built = tries.entry(lists).or_default();
            let v6 = v6.map(|v6| built.v6 = v6.flatten());
            built.v4 = v4?.flatten();
            v6?;
        }
        Ok(())
    }

    fn table_of(
        &self,
        policy: &Policy,
        tries: &BTreeMap<Lists, Tries>,
    ) -> Result<LiveTable, SyncError> {
        let slots = |service: &std::sync::Arc<crate::policy::Service>| {
            let lists: Lists = policy.sources(service).lists().collect();
            (service.number, tries.get(&lists).map_or_else(TrieSlots::default, Tries::slots))
        };
        let around = Surroundings {
            interfaces: self.interfaces().clone(),
            tries: policy.services.values().map(slots).collect(),
            selections: self.selection_slots(),
            ..Surroundings::default()
        };
        Ok(LiveTable::new(table::compile(policy, &around)?, self.calls())?)
    }

    fn retire_candidate(&mut self, candidate: Option<Candidate>) {
        let tries = candidate.into_iter().flat_map(|candidate| candidate.tries.into_values());
        tries.for_each(|tries| self.retire(tries));
    }
}

impl Trial {
    fn put(&mut self, table: &LiveTable, calls: &super::Calls) -> Result<(), MapError> {
        calls.patiently(|| self.slot.set(0, &table.map, 0))
    }
}
