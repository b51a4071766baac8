//! Going back: to an earlier revision, or because nobody confirmed.

use std::sync::Arc;

use nix::unistd::Uid;
use serde_json::Value;
use tracing::{error, warn};

use super::{Owner, commit::OnFailure, now, trail::Deed};
use crate::{
    api::{
        ChangeOptions, ChangeState, Changed, DegradedPart, ErrorCode, Problem, RevisionView,
        Revisions,
    },
    daemon::{access::Access, caller::Caller, explain::explain_sync},
    policy::{
        Author, Policy,
        change::{self, Change, Outcome},
    },
    store::{PendingChange, Stamp, Store, StoreError, audit::Record},
};

/// Who takes a change back that nobody confirmed.
pub(super) fn daemon() -> Arc<Author> {
    Arc::new(Author { uid: Uid::effective().as_raw(), name: "allowlistd".into() })
}

/// What a change that was to be confirmed while no daemon ran leaves at the start.
pub(in crate::daemon) struct Reverted {
    /// The policy on disk.
    pub(in crate::daemon) policy: Policy,
    /// The policy to be enforced: another one only where it could not be written, which is tried again.
    pub(in crate::daemon) enforced: Policy,
    /// The interface on which the change was taken back.
    pub(in crate::daemon) interface: Option<String>,
    /// Ids of entries that are back as they were.
    pub(in crate::daemon) restored: Vec<u32>,
}

/// Takes a change back that was to be confirmed while no daemon ran; to be called before the kernel is loaded.
///
/// # Errors
/// A sentence: what was before it cannot be read.
pub(in crate::daemon) fn revert_at_start(
    store: &mut Store,
    policy: Policy,
) -> anyhow::Result<Reverted> {
    let none = |policy: Policy| Reverted {
        enforced: policy.clone(),
        policy,
        interface: None,
        restored: Vec::new(),
    };
    let Some(pending) = store.pending()? else { return Ok(none(policy)) };
    if pending.deadline.seconds_left() > 0 {
        return Ok(none(policy));
    }
    let Some(target) = store.policy_at(pending.back_to)? else {
        error!("revision {} is not kept, and cannot be gone back to", pending.back_to);
        return Ok(none(policy));
    };
    let deed = revert_of(&pending, "revert", &daemon());
    let outcome = change::apply(&policy, &Change::Restore(target), &deed.author, now())?;
    let Outcome { policy: next, tally, restored, .. } = outcome;
    let record = deed.changed(&policy, &next, tally);
    let stamp = Stamp { time: now(), author: Arc::clone(&deed.author), what: deed.what.clone() };
    let written = store.draft().and_then(|draft| {
        if next.revision != policy.revision {
            draft.policy(&policy, &next, &stamp)?;
        }
        if let Some((name, was_attached)) = &pending.interface {
            draft.interface(name, *was_attached)?;
        }
        draft.pending(None)?;
        let appended = draft.audit(&record)?;
        draft.commit().map(|()| appended)
    });
    let interface = pending.interface.map(|(name, _)| name);
    match written {
        Ok(appended) => {
            Owner::log_done(&deed, &record, appended);
            warn!(
                revision = next.revision,
                "nobody confirmed '{}': it was taken back", pending.what
            );
            Ok(Reverted { policy: next.clone(), enforced: next, interface, restored })
        }
        Err(error) => {
            error!("'{}' is taken back, and that could not be written yet: {error}", pending.what);
            Ok(Reverted { policy, enforced: next, interface, restored })
        }
    }
}

/// Makes a store that was adopted another one, before anything of it is in force: what goes on with the same past
/// elsewhere does not take over from it unasked.
///
/// # Errors
/// [`StoreError`]; it is the one that it was then.
pub(in crate::daemon) fn adopt(
    store: &mut Store,
    revision: u64,
    message: &str,
) -> Result<(), StoreError> {
    let deed = Deed::of_everything("adopt", "adopt".into(), &daemon());
    let done = deed.done(revision, revision, Value::Null);
    let record = Record { message: Some(message.to_owned()), ..done };
    let appended = store.adopt(&record)?;
    Owner::log_done(&deed, &record, appended);
    Ok(())
}

/// What takes a pending change back.
fn revert_of(pending: &PendingChange, action: &'static str, author: &Arc<Author>) -> Deed {
    let mut deed = Deed::of_everything(action, format!("{action} of {}", pending.what), author);
    deed.subjects.extend(pending.interface.iter().map(|(name, _)| name.clone()));
    deed.that_is(ChangeState::Reverted)
}

impl Owner {
    /// Takes the pending change back where its time has come; what fails is tried again.
    pub(super) fn revert_if_due(&mut self) {
        let Some(pending) = self.pending.clone() else {
            return self.trouble.over(DegradedPart::Revert);
        };
        if pending.deadline.seconds_left() > 0 {
            return;
        }
        let is_taken_back = self.gone_back_from == Some(pending.revision);
        if is_taken_back && self.trouble.message(DegradedPart::Store).is_some() {
            // The disk alone is waited for.
            return;
        }
        let forced = ChangeOptions { yes: true, force: true, ..ChangeOptions::default() };
        let deed = revert_of(&pending, "revert", &daemon());
        match self.revert(&pending, &deed, forced, OnFailure::Keep) {
            Ok(_) => {
                warn!(
                    revision = self.policy.revision,
                    "nobody confirmed '{}': it was taken back", pending.what
                );
                self.trouble.over(DegradedPart::Revert);
            }
            Err(problem) => {
                let message = match self.trouble.message(DegradedPart::Store) {
                    Some(store) if self.gone_back_from == Some(pending.revision) => format!(
                        "'{}' was not confirmed and is taken back in the kernel already, but not on disk, which follows when the store can be written: {store}",
                        pending.what
                    ),
                    _ => format!("cannot take back '{}': {problem}", pending.what),
                };
                self.trouble.begin(DegradedPart::Revert, message);
            }
        }
    }

    /// Takes the pending change back.
    fn revert(
        &mut self,
        pending: &PendingChange,
        deed: &Deed,
        options: ChangeOptions,
        on_failure: OnFailure,
    ) -> Result<Changed, Problem> {
        let target = self.kept(pending.back_to)?;
        let before = self.policy.clone();
        let change = Change::Restore(target);
        let outcome = change::apply(&before, &change, &deed.author, now())
            .map_err(|error| Problem::new(ErrorCode::Failed, error))?;
        let mut done = Changed { dry_run: options.dry_run, ..Changed::default() };
        let changes_policy = outcome.policy.revision != before.revision;
        done.changed = changes_policy || pending.interface.is_some();
        if changes_policy {
            done.take(self.guard_undoing(&outcome.policy, options)?);
        }
        if let Some((name, was_attached)) = &pending.interface {
            done.take(self.guard_link(name, *was_attached, options)?);
        }
        if !options.dry_run {
            self.gone_back_from = None;
            if let Some((name, was_attached)) = &pending.interface {
                self.take_back_link(name, *was_attached, pending, deed, on_failure)?;
            }
            if changes_policy {
                if on_failure == OnFailure::Keep {
                    // A disk that is full must not leave in force what nobody confirmed.
                    let metrics = &self.shared.metrics;
                    metrics
                        .time_sync(|| self.kernel.restore(&outcome.policy))
                        .map_err(|error| explain_sync(&error))?;
                    self.gone_back_from = Some(pending.revision);
                }
                self.commit_or(&outcome, deed, on_failure, |draft| draft.pending(None))?;
            } else if pending.interface.is_none() {
                self.write(deed, Value::Null, |draft| draft.pending(None))?;
            }
            self.set_pending(None);
        }
        Ok(self.report(&change, &before, outcome, done))
    }

    /// Takes back an `attach` or a `detach`.
    fn take_back_link(
        &mut self,
        interface: &str,
        was: Option<bool>,
        pending: &PendingChange,
        deed: &Deed,
        on_failure: OnFailure,
    ) -> Result<(), Problem> {
        let is = self.wanted.remembered(interface);
        let restored = self.restore_link(interface, was);
        // What is wanted and not there yet is tried again by itself, what is not wanted and still there is not.
        if on_failure == OnFailure::Keep && self.wanted.wants(interface) {
            if let Err(problem) = &restored {
                warn!("{problem}");
            }
        } else if restored.is_err() {
            self.wanted.become_as(interface, is);
            self.tell_interfaces();
            return restored;
        }
        self.gone_back_from = Some(pending.revision);
        let written = self.write(deed, Value::Null, |draft| {
            draft.interface(interface, was)?;
            draft.pending(None)
        });
        if written.is_err() && on_failure == OnFailure::Undo {
            self.gone_back_from = None;
            if let Err(problem) = self.restore_link(interface, is) {
                error!("what is on disk could not be changed, and {problem}");
            }
        }
        written
    }

    /// Goes back to a revision; without one, the pending change is undone, or else the last one.
    pub(super) fn roll_back(
        &mut self,
        to: Option<u64>,
        options: ChangeOptions,
        caller: &Caller,
        access: &Access,
    ) -> Result<Changed, Problem> {
        let author = caller.author();
        if let (None, Some(pending)) = (to, self.pending.clone()) {
            let deed = revert_of(&pending, "rollback", &author);
            return self.on_record(&deed, options.dry_run, |owner| {
                access.require_settler(caller, &pending.by)?;
                owner.check_revision(options)?;
                if options.confirm.is_some() {
                    let message = format!(
                        "'{}' waits to be confirmed, and undoing it cannot wait as well",
                        pending.what
                    );
                    return Err(Problem::new(ErrorCode::Invalid, message)
                        .hint("leave --confirm out, or name a revision with --to"));
                }
                owner.revert(&pending, &deed, options, OnFailure::Undo)
            });
        }
        let what = to.map_or("rollback".to_owned(), |to| format!("rollback to {to}"));
        let deed = Deed::of_everything("rollback", what, &author);
        let target = self.on_record(&deed, options.dry_run, |owner| {
            access.require_admin(caller)?;
            let before = || owner.policy.revision.checked_sub(1);
            let to = to.or_else(before).ok_or_else(|| {
                Problem::new(ErrorCode::NotFound, "there is no revision before this one")
                    .hint("`allowlist-ctl revisions` shows those that are kept")
            })?;
            owner.kept(to)
        })?;
        self.change(&Change::Restore(target), options, &author)
    }

    fn kept(&mut self, revision: u64) -> Result<Policy, Problem> {
        let read = self.store.policy_at(revision);
        read.map_err(|error| self.trouble.of_store(&error))?.ok_or_else(|| {
            Problem::new(ErrorCode::NotFound, format!("revision {revision} is not kept"))
                .hint("`allowlist-ctl revisions` shows those that are")
        })
    }

    /// Keeps the pending change.
    pub(super) fn confirm(
        &mut self,
        options: ChangeOptions,
        caller: &Caller,
        access: &Access,
    ) -> Result<Changed, Problem> {
        let author = caller.author();
        let pending = self.pending.clone();
        let what = pending.as_ref().map_or("confirm".into(), |it| format!("confirm {}", it.what));
        let deed = Deed::of_everything("confirm", what, &author).that_is(ChangeState::Confirmed);
        self.on_record(&deed, options.dry_run, |owner| {
            let pending = pending.ok_or_else(|| {
                Problem::new(ErrorCode::NotFound, "nothing waits to be confirmed")
                    .hint("`allowlist-ctl revisions` shows the last changes")
            })?;
            access.require_settler(caller, &pending.by)?;
            if pending.deadline.seconds_left() == 0 {
                // The kernel may have gone back already, where only the store could not follow.
                let message = format!("'{}' is being taken back: its time is over", pending.what);
                return Err(Problem::new(ErrorCode::Pending, message).hint("make the change again"));
            }
            owner.check_revision(options)?;
            let done = Changed {
                revision: owner.policy.revision,
                changed: true,
                dry_run: options.dry_run,
                ..Changed::default()
            };
            if options.dry_run {
                return Ok(done);
            }
            owner.write(&deed, Value::Null, |draft| draft.pending(None))?;
            owner.set_pending(None);
            Ok(Changed { messages: vec![format!("'{}' is kept", pending.what)], ..done })
        })
    }

    pub(super) fn revisions(&mut self) -> Result<Revisions, Problem> {
        let kept = self.store.revisions().map_err(|error| self.trouble.of_store(&error))?;
        let view = |one: crate::store::Revision| RevisionView {
            revision: one.number,
            time: one.time,
            by: one.by,
            what: one.what,
        };
        Ok(Revisions {
            revision: self.policy.revision,
            revisions: kept.into_iter().map(view).collect(),
        })
    }
}
