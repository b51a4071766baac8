//! A policy becomes the one in force and on disk, or neither.

use std::{sync::Arc, thread};

use super::{Owner, STACK, followed, now, trail::Deed};
use crate::{
    api::{DegradedPart, Problem},
    daemon::{engine::Engines, explain::explain_sync, metrics::Metrics},
    kernel::{Kernel, SyncError},
    policy::{Policy, change::Outcome},
    store::{Draft, Stamp, StoreError},
};

/// From so many changed entries on the kernel and the store are brought to a policy side by side. Where they are fewer,
/// a thread costs more than it saves, and a disk that is full is found out before the kernel hears of the change.
const SIDE_BY_SIDE: usize = 10_000;

/// What becomes of the kernel where a policy is in force and cannot be written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum OnFailure {
    /// It goes back to what is on disk.
    Undo,
    /// It stays: what is on disk must not be in force any more.
    Keep,
}

impl Owner {
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
        let metrics = &self.shared.metrics;
        let write = || {
            draft.policy(before, next, &stamp)?;
            also(&draft)?;
            draft.audit(&record)
        };
        let changed = outcome.tally.changed();
        let (written, applied) = bring(&mut self.kernel, next, changed, metrics, write);
        self.untidy += 1;
        if let Some(Err(error)) = &applied {
            self.is_unsettled = true;
            if matches!(error, SyncError::HalfDone(_)) {
                self.trouble.begin(DegradedPart::Kernel, error);
            }
            if let Err(error) = &written {
                drop(self.trouble.of_store(error));
            }
            return Err(explain_sync(error));
        }
        let committed = written.and_then(|appended| draft.commit().map(|()| appended));
        let appended = match committed {
            Ok(appended) => appended,
            Err(failed) => {
                if applied.is_some()
                    && on_failure == OnFailure::Undo
                    && let Err(error) = metrics.time_sync(|| self.kernel.restore(before))
                {
                    let message =
                        format!("the kernel enforces a change that is not on disk: {error}");
                    self.trouble.begin(DegradedPart::Kernel, message);
                    self.is_unsettled = true;
                }
                return Err(self.trouble.of_store(&failed));
            }
        };
        let before = std::mem::replace(&mut self.policy, next.clone());
        // After the store: what is pinned is never ahead of it.
        self.note_store();
        self.kernel.forget_hits(outcome.restored.iter().copied());
        self.shared.set_hits(self.kernel.hits());
        self.shared.set_engine(Engines::of(&self.kernel));
        self.shared.set_policy(next.clone());
        self.shared.set_last_change(Some(stamp.time));
        if followed::paths(&before) != followed::paths(next) {
            self.follow_files();
        }
        self.look_after_watches();
        self.note_done(deed, &record, appended);
        Ok(())
    }
}

/// Has what is to be committed written, and brings the kernel to a policy: what came of both. Where many entries have
/// `changed`, which takes a while, they are done at the same time; where few have, and they cannot be written, the
/// kernel is left alone.
fn bring<T>(
    kernel: &mut Kernel,
    next: &Policy,
    changed: usize,
    metrics: &Metrics,
    write: impl FnOnce() -> Result<T, StoreError>,
) -> (Result<T, StoreError>, Option<Result<(), SyncError>>) {
    let (written, applied) = thread::scope(|scope| {
        let apply = || metrics.time_sync(|| kernel.apply(next));
        let builder = thread::Builder::new().name("kernel".into()).stack_size(STACK);
        let applying = if changed < SIDE_BY_SIDE {
            None
        } else {
            // Without a thread it is done afterwards.
            builder.spawn_scoped(scope, apply).ok()
        };
        let written = write();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        (written, applying.map(join))
    });
    let afterwards = || written.is_ok().then(|| metrics.time_sync(|| kernel.apply(next)));
    let applied = applied.or_else(afterwards);
    (written, applied)
}
