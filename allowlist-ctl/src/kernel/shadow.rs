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
    /// Whether the table is for interfaces as they were.
    is_elsewhere: bool,
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
                let candidate =
                    Candidate { policy, tries, table, has_wrong_ends: false, is_elsewhere: false };
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

    /// Brings the trial to interfaces that are others now. Where that fails it is tried again with [`Enforced::mend`]: a
    /// trial is in nobody's way.
    pub(super) fn trial_elsewhere(&mut self) {
        let Some(mut candidate) = self.trial.candidate.take() else { return };
        match self.table_elsewhere(&candidate) {
            Ok(table) => {
                candidate.table = table;
                candidate.is_elsewhere = false;
            }
            Err(error) => {
                if !candidate.is_elsewhere {
                    tracing::warn!("the trial goes on by the interfaces as they were: {error}");
                }
                candidate.is_elsewhere = true;
            }
        }
        self.trial.candidate = Some(candidate);
    }

    fn table_elsewhere(&mut self, candidate: &Candidate) -> Result<LiveTable, SyncError> {
        let interfaces = self.interfaces().clone();
        self.build_selections(&candidate.policy, &interfaces)?;
        let table = self.table_of(&candidate.policy, &candidate.tries)?;
        let calls = self.calls().clone();
        self.trial.put(&table, &calls)?;
        Ok(table)
    }

    /// Writes the ends anew where the clock was set, and brings the trial to interfaces that it knows nothing of yet.
    pub(super) fn mend_trial(&mut self, clock: &BootClock) {
        if self.trial.candidate.as_ref().is_some_and(|candidate| candidate.is_elsewhere) {
            self.trial_elsewhere();
        }
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
