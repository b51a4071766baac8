//! Making a change: all of it, or nothing.

use std::sync::Arc;

use super::{Owner, followed::FileRead, now, trail::Deed};
use crate::{
    api::{ChangeOptions, ChangeState, Changed, ErrorCode, Problem},
    daemon::explain::{explain_change, in_words},
    policy::{
        Author,
        change::{self, Change},
    },
    store::{
        Deadline, Draft, PendingChange, StoreError,
        audit::{Appended, Record},
    },
};

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
    pub(super) fn note_done(&mut self, deed: &Deed, record: &Record, appended: Appended) {
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
