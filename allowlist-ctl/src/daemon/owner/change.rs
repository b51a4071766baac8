//! Making a change: all of it, or nothing.

use std::sync::Arc;

use super::{
    Owner,
    followed::{self, FileRead},
    now,
    trail::Deed,
};
use crate::{
    api::{ChangeOptions, ChangeState, Changed, DegradedPart, ErrorCode, Problem},
    daemon::explain::{explain_change, explain_sync, in_words},
    kernel::SyncError,
    policy::{
        Author,
        change::{self, Change, Outcome},
    },
    store::{
        Deadline, Draft, PendingChange, Stamp, StoreError,
        audit::{Appended, Record},
    },
};

/// What becomes of the kernel where a policy is in force and cannot be written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum OnFailure {
    /// It goes back to what is on disk.
    Undo,
    /// It stays: what is on disk must not be in force any more.
    Keep,
}

impl Owner {
    pub(super) fn change(
        &mut self,
        change: &Change,
        options: ChangeOptions,
        author: &Arc<Author>,
    ) -> Result<Changed, Problem> {
        let deed = Deed::of(change, in_words(change), author);
        self.on_record(&deed, options.dry_run, |owner| owner.make(change, options, &deed))
    }

    fn make(
        &mut self,
        change: &Change,
        options: ChangeOptions,
        deed: &Deed,
    ) -> Result<Changed, Problem> {
        self.check_free()?;
        self.check_revision(options)?;
        let mut outcome = change::apply(&self.policy, change, &deed.author, now())
            .map_err(|refusal| explain_change(change, &refusal))?;
        let files = self.read_files(change, &mut outcome)?;
        let before = self.policy.clone();
        let mut done = Changed {
            changed: outcome.policy.revision != before.revision,
            dry_run: options.dry_run,
            ..Changed::default()
        };
        if done.changed {
            done.take(self.guard(&outcome.policy, options)?);
        }
        if done.changed && !options.dry_run {
            let pending = options.confirm.map(|seconds| PendingChange {
                what: deed.what.clone(),
                by: Arc::clone(&deed.author),
                revision: outcome.policy.revision,
                back_to: before.revision,
                deadline: Deadline::after(seconds),
                interface: None,
            });
            let state = pending.as_ref().map_or(ChangeState::Done, |_| ChangeState::Pending);
            self.commit(&outcome, &deed.clone().that_is(state), |draft| {
                files.iter().try_for_each(|file| file.write(draft))?;
                draft.pending(pending.as_ref())
            })?;
            self.set_pending(pending);
        }
        let mut report = self.report(change, &before, outcome, done);
        report.warnings.extend(files.iter().filter_map(FileRead::warning));
        if !options.dry_run {
            for file in files {
                self.tell_read(file);
            }
        }
        Ok(report)
    }

    /// While a change waits to be confirmed, no other one is made.
    pub(super) fn check_free(&self) -> Result<(), Problem> {
        let Some(pending) = &self.pending else { return Ok(()) };
        if pending.deadline.seconds_left() == 0 {
            let (what, by) = (&pending.what, &pending.by.name);
            let message = format!(
                "'{what}' of {by} was not confirmed and is being taken back; nothing was changed"
            );
            return Err(Problem::new(ErrorCode::Pending, message).hint(
                "try again when that is done; `allowlist-ctl status` says what is in its way",
            ));
        }
        let message = format!(
            "'{}' of {} waits to be confirmed, for {} seconds more; nothing was changed",
            pending.what,
            pending.by.name,
            pending.deadline.seconds_left()
        );
        Err(Problem::new(ErrorCode::Pending, message)
            .hint("keep it with `allowlist-ctl confirm`, or undo it with `allowlist-ctl rollback`"))
    }

    pub(super) fn check_revision(&self, options: ChangeOptions) -> Result<(), Problem> {
        let revision = self.policy.revision;
        match options.if_revision {
            Some(expected) if expected != revision => Err(Problem {
                revision: Some(revision),
                ..Problem::new(
                    ErrorCode::RevisionConflict,
                    format!(
                        "the policy is at revision {revision}, not {expected}; nothing was changed"
                    ),
                )
                .hint("look at what has changed, and try again with the new revision")
            }),
            _ => Ok(()),
        }
    }

    /// Makes the policy of an outcome the one in force and on disk; on failure neither has changed.
    ///
    /// `also` writes what belongs into the same transaction.
    pub(super) fn commit(
        &mut self,
        outcome: &Outcome,
        deed: &Deed,
        also: impl FnOnce(&Draft<'_>) -> Result<(), StoreError>,
    ) -> Result<(), Problem> {
        self.commit_or(outcome, deed, OnFailure::Undo, also)
    }

    /// The same, with what becomes of the kernel where the store fails.
    pub(super) fn commit_or(
        &mut self,
        outcome: &Outcome,
        deed: &Deed,
        on_failure: OnFailure,
        also: impl FnOnce(&Draft<'_>) -> Result<(), StoreError>,
    ) -> Result<(), Problem> {
        let (before, next) = (&self.policy, &outcome.policy);
        let record = deed.changed(before, next, outcome.tally);
        let stamp =
            Stamp { time: now(), author: Arc::clone(&deed.author), what: deed.what.clone() };
        let draft = self.store.draft().map_err(|error| self.trouble.of_store(&error))?;
        let written = draft.policy(before, next, &stamp).and_then(|()| also(&draft));
        let appended = written
            .and_then(|()| draft.audit(&record))
            .map_err(|error| self.trouble.of_store(&error))?;
        self.untidy += 1;
        let metrics = &self.shared.metrics;
        if let Err(error) = metrics.time_sync(|| self.kernel.apply(next)) {
            self.is_unsettled = true;
            if matches!(error, SyncError::HalfDone(_)) {
                self.trouble.begin(DegradedPart::Kernel, &error);
            }
            return Err(explain_sync(&error));
        }
        if let Err(failed) = draft.commit() {
            if on_failure == OnFailure::Undo
                && let Err(error) = metrics.time_sync(|| self.kernel.apply(before))
            {
                let message = format!("the kernel enforces a change that is not on disk: {error}");
                self.trouble.begin(DegradedPart::Kernel, message);
                self.is_unsettled = true;
            }
            return Err(self.trouble.of_store(&failed));
        }
        let before = std::mem::replace(&mut self.policy, next.clone());
        // After the store: what is pinned is never ahead of it.
        self.note_store();
        self.kernel.forget_hits(outcome.restored.iter().copied());
        self.shared.set_hits(self.kernel.hits());
        self.shared.set_policy(next.clone());
        self.shared.set_last_change(Some(stamp.time));
        if followed::paths(&before) != followed::paths(next) {
            self.follow_files();
        }
        self.look_after_watches();
        self.note_done(deed, &record, appended);
        Ok(())
    }

    /// Writes what changes no policy, and that it was done.
    pub(super) fn write(
        &mut self,
        deed: &Deed,
        details: serde_json::Value,
        what: impl FnOnce(&Draft<'_>) -> Result<(), StoreError>,
    ) -> Result<(), Problem> {
        let revision = self.policy.revision;
        let record = deed.done(revision, revision, details);
        let written = self.store.draft().and_then(|draft| {
            what(&draft)?;
            let appended = draft.audit(&record)?;
            draft.commit().map(|()| appended)
        });
        let appended = written.map_err(|error| self.trouble.of_store(&error))?;
        self.untidy += 1;
        self.note_done(deed, &record, appended);
        Ok(())
    }

    /// Tells the log of what was done, and has it told to whoever follows changes.
    fn note_done(&mut self, deed: &Deed, record: &Record, appended: Appended) {
        Self::log_done(deed, record, appended);
        self.done.push(deed.told(record));
    }

    /// Tells whoever follows changes of those that were made; to be called when all else that can be asked for tells of
    /// them, too.
    pub(super) fn tell_changes(&mut self) {
        for change in self.done.drain(..) {
            self.shared.broadcast.changed(&change);
        }
    }

    pub(super) fn set_pending(&mut self, pending: Option<PendingChange>) {
        self.pending = pending;
        self.gone_back_from = None;
        self.shared.set_pending(self.pending.clone());
    }
}
