//! A policy on trial: judged beside the one in force for a while, and told of when that is over.

use std::{cell::Cell, cmp::Reverse, collections::BTreeMap, sync::Arc, time::Instant};

use allowlist_common::abi::Sighted;
use jiff::Timestamp;
use tracing::{info, warn};

use super::{Owner, now, watch::after};
use crate::{
    api::{
        CutConnection, ErrorCode, Problem, SshSession, Trial, TrialQuery, TrialReport, TrialSource,
        WouldBe,
    },
    daemon::{
        explain::{explain_change, explain_sync, explain_watch, in_words},
        learning::MANY,
    },
    kernel::{Sighting, Sightings},
    policy::{
        Author, Name, Policy,
        change::{self, Change},
    },
};

/// A policy is on trial.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct OnTrial {
    id: u64,
    what: String,
    by: Arc<Author>,
    since: Timestamp,
    until: Timestamp,
    end: Instant,
    revision: u64,
    differs: bool,
    session: Option<SshSession>,
    /// What its services are called, by number.
    names: BTreeMap<u16, Name>,
    /// The same of those in force when it began, which may be gone since.
    in_force: BTreeMap<u16, Name>,
}

impl OnTrial {
    /// As it is told.
    pub(in crate::daemon) fn told(&self) -> Trial {
        Trial {
            id: self.id,
            what: self.what.clone(),
            by: self.by.as_ref().clone(),
            since: self.since,
            until: self.until,
            seconds_left: self.end.saturating_duration_since(Instant::now()).as_secs(),
            revision: self.revision,
        }
    }

    fn told_to_be_running(&self) -> Problem {
        let (what, by) = (&self.what, &self.by.name);
        let left = self.told().seconds_left;
        let message =
            format!("'{what}' of {by} is on trial, for {left} seconds more; one at a time can be");
        Problem::new(ErrorCode::Pending, message).hint(
            "try again when it is over; `allowlist-ctl try --end` ends it and tells what was seen",
        )
    }
}

fn names(policy: &Policy) -> BTreeMap<u16, Name> {
    policy.services.iter().map(|(name, service)| (service.number, name.clone())).collect()
}

fn unread(error: impl std::fmt::Display) -> Problem {
    Problem::new(ErrorCode::Failed, format!("cannot read what was noted: {error}"))
}

/// What the kernel has noted. Many sources take a while to read, and whoever only wants to look has them read before it
/// is his turn.
pub(in crate::daemon) struct Noted {
    /// When it began to be read.
    since: Timestamp,
    /// Whose packets would be judged otherwise.
    seen: Vec<Sighting>,
    /// How many sources there were, others too.
    number: usize,
}

impl Noted {
    /// Reads it.
    ///
    /// # Errors
    /// [`ErrorCode::Failed`]
    pub(in crate::daemon) fn read(sightings: &Sightings) -> Result<Self, Problem> {
        let since = Timestamp::now();
        let number = Cell::new(0_usize);
        let seen = sightings.seen(|what, _| {
            number.set(number.get() + 1);
            what != Sighted::Passed
        });
        Ok(Self { since, seen: seen.map_err(unread)?, number: number.get() })
    }
}

fn no_trial() -> Problem {
    Problem::new(ErrorCode::NotFound, "no policy is on trial")
        .hint("`allowlist-ctl try -f FILE` puts one on trial; a restart of the daemon ends it")
}

impl Owner {
    /// Puts on trial what the policy in force would be after a change.
    pub(super) fn try_out(
        &mut self,
        change: &Change,
        query: TrialQuery,
        by: &Arc<Author>,
    ) -> Result<Trial, Problem> {
        if let Some(trial) = &self.trial {
            return Err(trial.told_to_be_running());
        }
        let mut outcome = change::apply(&self.policy, change, by, now())
            .map_err(|refusal| explain_change(change, &refusal))?;
        // Files that groups would come to follow are read, and nobody hears of it.
        self.read_files(change, &mut outcome)?;
        let candidate = outcome.policy;
        let (names, in_force) = (names(&candidate), names(&self.policy));
        let differs = candidate.revision != self.policy.revision;
        self.untidy += 1;
        self.kernel.try_out(candidate).map_err(|error| explain_watch(&error))?;
        let (end, until) = after(query.seconds);
        let trial = OnTrial {
            id: self.ids.next(),
            what: in_words(change),
            by: Arc::clone(by),
            since: Timestamp::now(),
            until,
            end,
            revision: self.policy.revision,
            differs,
            session: query.session,
            names,
            in_force,
        };
        let told = trial.told();
        self.set_trial(Some(trial));
        self.last_trial = None;
        info!(by = by.name, seconds = query.seconds, "'{}' is on trial", told.what);
        Ok(told)
    }

    /// What the policy on trial would do by what was `noted`, or what the last one would have done.
    pub(super) fn trial_report(&mut self, noted: Noted) -> Result<TrialReport, Problem> {
        match &self.trial {
            // What was read before it began is another one's.
            Some(trial) if noted.since < trial.since => {
                self.report_on(trial, Noted::read(&self.kernel.sightings())?)
            }
            Some(trial) => self.report_on(trial, noted),
            None => self.last_trial.clone().ok_or_else(no_trial),
        }
    }

    /// Ends the trial, and tells of it; one that was over by itself is told of, too.
    pub(super) fn end_trial(&mut self, id: Option<u64>) -> Result<TrialReport, Problem> {
        let is_meant = |trial: &Trial| id.is_none_or(|id| trial.id == id);
        let Some(trial) = self.trial.as_ref().filter(|trial| is_meant(&trial.told())) else {
            let last = self.last_trial.clone().filter(|report| is_meant(&report.trial));
            return last.ok_or_else(no_trial);
        };
        let report = self.report_on(trial, Noted::read(&self.kernel.sightings())?)?;
        self.kernel.end_trial().map_err(|error| explain_sync(&error))?;
        let report = TrialReport { ended: Some(Timestamp::now()), ..report };
        self.untidy += 1;
        self.set_trial(None);
        self.last_trial = Some(report.clone());
        Ok(report)
    }

    /// Ends the trial when its time is over.
    pub(super) fn look_after_trial(&mut self) {
        let is_over = self.trial.as_ref().is_some_and(|trial| trial.end <= Instant::now());
        if is_over {
            self.stop_trial();
        }
    }

    /// Ends the trial, whatever can be told of it.
    pub(super) fn stop_trial(&mut self) {
        let Some(trial) = &self.trial else { return };
        if let Err(problem) = self.end_trial(Some(trial.id)) {
            warn!("a policy may be on trial longer than it was to be: {problem}");
        }
    }

    fn set_trial(&mut self, trial: Option<OnTrial>) {
        self.shared.set_trial(trial.clone());
        self.trial = trial;
    }

    fn report_on(&self, trial: &OnTrial, noted: Noted) -> Result<TrialReport, Problem> {
        let tried = self.kernel.sightings().tried().map_err(unread)?;
        let in_force = names(&self.policy);
        let mut sources: Vec<TrialSource> = noted
            .seen
            .into_iter()
            .map(|one| {
                let (would, named) = match one.what {
                    Sighted::NewlyAdmitted => (WouldBe::Admitted, in_force.get(&one.service)),
                    _ => (WouldBe::Dropped, trial.names.get(&one.service)),
                };
                TrialSource {
                    source: one.source,
                    service: named.or_else(|| trial.in_force.get(&one.service)).cloned(),
                    would,
                    packets: one.packets,
                    first: one.first,
                    last: one.last,
                }
            })
            .collect();
        sources.sort_by_key(|one| (one.would, Reverse(one.packets), one.source));
        let candidate = self.kernel.on_trial();
        Ok(TrialReport {
            trial: trial.told(),
            ended: None,
            differs: trial.differs,
            revision: self.policy.revision,
            packets: tried.packets,
            newly_dropped: tried.newly_dropped,
            newly_admitted: tried.newly_admitted,
            sources,
            cuts: candidate.map(|next| self.told_cuts(next, trial.session)).unwrap_or_default(),
            opens: candidate.map(|next| self.policy.opened_by(next)).unwrap_or_default(),
            incomplete: noted.number >= MANY,
        })
    }

    fn told_cuts(&self, next: &Policy, session: Option<SshSession>) -> Vec<CutConnection> {
        self.would_cut(next, session).unwrap_or_else(|error| {
            warn!("a report has no established connections: {error}");
            Vec::new()
        })
    }
}
