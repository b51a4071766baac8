//! The audit trail: what was asked for, by whom, and what came of it.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tracing::{Level, error, info, warn};

use super::Owner;
use crate::{
    api::{AuditRow, AuditTrail, AuditVerification, ChangeEvent, ChangeState, ErrorCode, Problem},
    policy::{
        Author, Policy,
        audit::AuditResult,
        change::{Change, Tally},
        difference::{differences, differing},
    },
    store::audit::{Appended, Filter, PRUNE_BATCH, Record, Row, Verification},
};

/// So many differing entries of a change are kept word by word; all of them are in the store's revisions.
const KEPT_DIFFERENCES: usize = 100;

/// Something that somebody asks for.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Deed {
    /// One word, mostly the command.
    pub(in crate::daemon) action: &'static str,
    /// Services, groups and interfaces that it is about.
    pub(in crate::daemon) subjects: BTreeSet<String>,
    /// The command with what it is about.
    pub(in crate::daemon) what: String,
    /// Who asks.
    pub(in crate::daemon) author: Arc<Author>,
    /// Whether what is done is to stay.
    pub(in crate::daemon) state: ChangeState,
}

impl Deed {
    fn new(
        action: &'static str,
        subjects: BTreeSet<String>,
        what: String,
        author: &Arc<Author>,
    ) -> Self {
        Self { action, subjects, what, author: Arc::clone(author), state: ChangeState::Done }
    }

    /// The same, where what is done is to stay or not.
    pub(super) fn that_is(self, state: ChangeState) -> Self {
        Self { state, ..self }
    }

    /// A command about a service, group or interface.
    pub(in crate::daemon) fn about(action: &'static str, name: &str, author: &Arc<Author>) -> Self {
        let subjects = BTreeSet::from([name.to_owned()]);
        let what = format!("{action} {name}");
        Self::new(action, subjects, what, author)
    }

    /// A command about everything.
    pub(in crate::daemon) fn of_everything(
        action: &'static str,
        what: String,
        author: &Arc<Author>,
    ) -> Self {
        Self::new(action, BTreeSet::new(), what, author)
    }

    /// A change of the policy.
    pub(super) fn of(change: &Change, what: String, author: &Arc<Author>) -> Self {
        let subjects = change.name().map(ToString::to_string).into_iter().collect();
        Self::new(change.verb(), subjects, what, author)
    }

    /// What the trail says of it where it is done.
    pub(super) fn done(&self, from: u64, to: u64, details: Value) -> Record {
        Record {
            time: Timestamp::now(),
            author: self.author.as_ref().clone(),
            action: self.action.to_owned(),
            subjects: self.subjects.clone(),
            from_revision: from,
            to_revision: to,
            result: AuditResult::Done,
            message: self.remark(),
            details,
        }
    }

    /// The same for a change of the policy, with what it was before and after.
    pub(super) fn changed(&self, before: &Policy, after: &Policy, tally: Tally) -> Record {
        let differences = differences(before, after, KEPT_DIFFERENCES, tally.changed());
        let mut record = self.done(before.revision, after.revision, json!(differences));
        // Not only those of the differences that are kept.
        record.subjects.extend(differing(before, after).into_iter().map(|name| name.to_string()));
        record
    }

    /// What is told of it to whoever follows changes, where the trail has this.
    pub(super) fn told(&self, record: &Record) -> ChangeEvent {
        ChangeEvent {
            revision: record.to_revision,
            time: record.time,
            author: record.author.clone(),
            action: record.action.clone(),
            subjects: record.subjects.clone(),
            message: record.message.clone(),
            state: self.state,
        }
    }

    /// What the action and its subjects leave open.
    fn remark(&self) -> Option<String> {
        let said =
            self.subjects.iter().fold(self.action.to_owned(), |said, name| said + " " + name);
        (said != self.what).then(|| self.what.clone())
    }
}

impl Owner {
    /// Tells the log of what the trail has.
    pub(super) fn log_done(deed: &Deed, record: &Record, appended: Appended) {
        info!(
            audit = appended.id,
            hash = %appended.hash,
            action = deed.action,
            revision = record.to_revision,
            from = record.from_revision,
            by = deed.author.name,
            uid = deed.author.uid,
            result = "done",
            "{}",
            deed.what
        );
    }

    /// Does what is asked for; where it is refused or fails, the trail says so.
    pub(super) fn on_record<T>(
        &mut self,
        deed: &Deed,
        dry_run: bool,
        work: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let done = work(self);
        if let (Err(problem), false) = (&done, dry_run) {
            self.note_refusal(deed, problem);
        }
        done
    }

    /// Records that something was refused or failed.
    pub(in crate::daemon) fn note_refusal(&mut self, deed: &Deed, problem: &Problem) {
        if !self.refusals.records(deed, Instant::now()) {
            return;
        }
        let failed = matches!(problem.code, ErrorCode::Failed | ErrorCode::Timeout);
        let result = if failed { AuditResult::Failed } else { AuditResult::Refused };
        let details = if problem.details.is_empty() {
            Value::Null
        } else {
            json!({ "problems": problem.details.iter().take(KEPT_DIFFERENCES).collect::<Vec<_>>() })
        };
        let level = if failed { Level::WARN } else { Level::INFO };
        self.record_alone(level, deed, result, &problem.message, details);
    }

    /// Records what is in no transaction of a change, and tells the log of it.
    pub(super) fn record_alone(
        &mut self,
        level: Level,
        deed: &Deed,
        result: AuditResult,
        message: &str,
        details: Value,
    ) {
        let revision = self.policy.revision;
        let record = Record {
            result,
            message: Some(message.to_owned()),
            ..deed.done(revision, revision, details)
        };
        let written = self.store.draft().and_then(|draft| {
            let appended = draft.audit(&record)?;
            draft.commit().map(|()| appended)
        });
        self.untidy += 1;
        let (by, uid) = (deed.author.name.as_str(), deed.author.uid);
        let result = result.word();
        match written {
            Ok(Appended { id, hash }) => {
                // The level of a line is part of the code.
                macro_rules! tell {
                    ($tell:ident) => {
                        $tell!(audit = id, %hash, action = deed.action, revision, from = revision, by, uid, result, "{}: {message}", deed.what)
                    };
                }
                match level {
                    Level::ERROR => tell!(error),
                    Level::WARN => tell!(warn),
                    _ => tell!(info),
                }
            }
            Err(error) => {
                warn!(
                    action = deed.action,
                    by, uid, result, "{}: {message}; it could not be recorded: {error}", deed.what
                );
                drop(self.trouble.of_store(&error));
            }
        }
    }

    /// Records how many refusals were not recorded one by one.
    pub(super) fn sum_up_refusals(&mut self, refusals: Vec<(Deed, u32)>) {
        for (last, more) in refusals {
            let message = format!("{more} more within a minute were refused, this one the last");
            self.record_alone(Level::INFO, &last, AuditResult::Refused, &message, Value::Null);
        }
    }

    /// Takes off some of what is no longer kept; `true` where there may be more.
    pub(super) fn prune_audit(&mut self) -> bool {
        let keep = self.keep.audit;
        let age = SignedDuration::from_hours(24 * i64::from(keep.days));
        let older_than = Timestamp::now().checked_sub(age).ok();
        match self.store.prune_audit(keep.count, older_than) {
            Ok(pruned) => pruned == PRUNE_BATCH,
            Err(error) => {
                drop(self.trouble.of_store(&error));
                false
            }
        }
    }

    pub(super) fn audit(&mut self, filter: &Filter) -> Result<AuditTrail, Problem> {
        let rows = self.store.audit(filter).map_err(|error| self.trouble.of_store(&error))?;
        Ok(AuditTrail { rows: rows.into_iter().map(told).collect(), did_you_mean: None })
    }

    pub(super) fn verify_audit(&mut self) -> Result<AuditVerification, Problem> {
        let found = self.store.verify_audit().map_err(|error| self.trouble.of_store(&error))?;
        let Verification { rows, first, last, pruned, head_hash, broken } = found;
        Ok(AuditVerification { rows, first, last, pruned, head_hash, broken })
    }
}

/// A row as it is told.
fn told(Row { id, record, hash }: Row) -> AuditRow {
    let Record { time, author, action, subjects, from_revision, to_revision, .. } = record;
    let Record { result, message, details, .. } = record;
    AuditRow {
        id,
        time,
        author,
        action,
        subjects,
        from_revision,
        to_revision,
        result,
        message,
        details,
        hash: hash.to_string(),
    }
}
