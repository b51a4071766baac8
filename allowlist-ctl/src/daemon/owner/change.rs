//! Making a change: all of it, or nothing.

use std::sync::Arc;

use tracing::{error, info};

use super::{Owner, now};
use crate::{
    api::{ChangeOptions, Changed, ErrorCode, Problem},
    daemon::explain::{describe, explain_refusal, explain_store, explain_sync, in_words},
    policy::{
        Author, Policy,
        change::{self, Change},
    },
    store::{Deadline, Draft, PendingChange, Stamp, StoreError},
};

impl Owner {
    pub(super) fn change(
        &mut self,
        change: &Change,
        options: ChangeOptions,
        author: &Arc<Author>,
    ) -> Result<Changed, Problem> {
        self.check_free()?;
        self.check_revision(options)?;
        let outcome = change::apply(&self.policy, change, author, now())
            .map_err(|refusal| explain_refusal(&refusal))?;
        let before = self.policy.clone();
        let mut done = Changed {
            changed: outcome.policy.revision != before.revision,
            dry_run: options.dry_run,
            ..Changed::default()
        };
        if done.changed {
            done.cuts = self.guard(&outcome.policy, options)?;
            if !options.dry_run {
                let stamp =
                    Stamp { time: now(), author: Arc::clone(author), what: in_words(change) };
                let pending = options.confirm.map(|seconds| PendingChange {
                    what: stamp.what.clone(),
                    by: Arc::clone(author),
                    revision: outcome.policy.revision,
                    back_to: before.revision,
                    deadline: Deadline::after(seconds),
                    interface: None,
                });
                self.commit(&outcome.policy, &stamp, |draft| draft.pending(pending.as_ref()))?;
                self.kernel.forget_hits(&outcome.restored);
                self.set_pending(pending);
                let revision = self.policy.revision;
                let (by, uid) = (author.name.as_str(), author.uid);
                info!(revision, by, uid, "{}", describe(change, &outcome));
            }
        }
        Ok(self.report(change, &before, outcome, done))
    }

    /// While a change waits to be confirmed, no other one is made.
    pub(super) fn check_free(&self) -> Result<(), Problem> {
        let Some(pending) = &self.pending else { return Ok(()) };
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

    /// Makes the next policy the one in force and on disk; on failure neither has changed.
    ///
    /// `also` writes what belongs into the same transaction.
    pub(super) fn commit(
        &mut self,
        next: &Policy,
        stamp: &Stamp,
        also: impl FnOnce(&Draft<'_>) -> Result<(), StoreError>,
    ) -> Result<(), Problem> {
        let before = &self.policy;
        let draft = self.store.draft().map_err(|error| explain_store(&error))?;
        let written = draft.policy(before, next, stamp).and_then(|()| also(&draft));
        written.map_err(|error| explain_store(&error))?;
        self.untidy += 1;
        if let Err(error) = self.kernel.apply(next) {
            self.is_unsettled = true;
            return Err(explain_sync(&error));
        }
        if let Err(failed) = draft.commit() {
            if let Err(error) = self.kernel.apply(before) {
                error!("the kernel enforces a change that is not on disk: {error}");
                self.is_unsettled = true;
            }
            return Err(explain_store(&failed));
        }
        self.policy = next.clone();
        self.shared.set_hits(self.kernel.hits());
        self.shared.set_policy(next.clone());
        Ok(())
    }

    pub(super) fn set_pending(&mut self, pending: Option<PendingChange>) {
        self.pending = pending;
        self.shared.set_pending(self.pending.clone());
    }
}
