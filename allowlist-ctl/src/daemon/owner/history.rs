//! Going back: to an earlier revision, or because nobody confirmed.

use std::sync::Arc;

use nix::unistd::Uid;
use tracing::{error, info, warn};

use super::{Owner, now};
use crate::{
    api::{ChangeOptions, Changed, ErrorCode, Problem, RevisionView, Revisions},
    daemon::{access::Access, caller::Caller, explain::explain_store},
    policy::{
        Author, Policy,
        change::{self, Change},
    },
    store::{PendingChange, Stamp, Store},
};

/// Who takes a change back that nobody confirmed.
pub(super) fn daemon() -> Arc<Author> {
    Arc::new(Author { uid: Uid::effective().as_raw(), name: "allowlistd".into() })
}

/// Takes a change back that was to be confirmed while no daemon ran; to be called before the kernel is loaded.
///
/// # Errors
/// A sentence.
pub(in crate::daemon) fn revert_at_start(
    store: &mut Store,
    policy: Policy,
) -> anyhow::Result<Policy> {
    let Some(pending) = store.pending()? else { return Ok(policy) };
    if pending.deadline.seconds_left() > 0 {
        return Ok(policy);
    }
    let Some(next) = reverted(store, &policy, &pending)? else { return Ok(policy) };
    let stamp = Stamp { time: now(), author: daemon(), what: format!("revert {}", pending.what) };
    let draft = store.draft()?;
    if next.revision != policy.revision {
        draft.policy(&policy, &next, &stamp)?;
    }
    if let Some((name, was_attached)) = &pending.interface {
        draft.interface(name, *was_attached)?;
    }
    draft.pending(None)?;
    draft.commit()?;
    warn!(revision = next.revision, "nobody confirmed '{}': it was taken back", pending.what);
    Ok(next)
}

/// The policy without a pending change; `None` where what was before it is not kept, which cannot be.
fn reverted(
    store: &Store,
    policy: &Policy,
    pending: &PendingChange,
) -> anyhow::Result<Option<Policy>> {
    let Some(target) = store.policy_at(pending.back_to)? else {
        error!("revision {} is not kept, and cannot be gone back to", pending.back_to);
        return Ok(None);
    };
    let outcome = change::apply(policy, &Change::Restore(target), &pending.by, now())?;
    Ok(Some(outcome.policy))
}

impl Owner {
    /// Takes the pending change back where its time has come; what fails is tried again.
    pub(super) fn revert_if_due(&mut self) {
        let Some(pending) = self.pending.clone() else { return };
        if pending.deadline.seconds_left() > 0 {
            return;
        }
        match self.revert(&pending, &daemon(), format!("revert {}", pending.what)) {
            Ok(_) => warn!(
                revision = self.policy.revision,
                "nobody confirmed '{}': it was taken back", pending.what
            ),
            Err(problem) => error!("cannot take back '{}': {problem}", pending.what),
        }
    }

    fn revert(
        &mut self,
        pending: &PendingChange,
        author: &Arc<Author>,
        what: String,
    ) -> Result<Changed, Problem> {
        let target = self.kept(pending.back_to)?;
        let before = self.policy.clone();
        let change = Change::Restore(target);
        let outcome = change::apply(&before, &change, author, now())
            .map_err(|error| Problem::new(ErrorCode::Failed, error))?;
        let stamp = Stamp { time: now(), author: Arc::clone(author), what };
        self.take_back(&outcome.policy, &stamp, pending)?;
        self.kernel.forget_hits(&outcome.restored);
        self.set_pending(None);
        let changed = self.policy.revision != before.revision;
        Ok(self.report(&change, &before, outcome, Changed { changed, ..Changed::default() }))
    }

    fn take_back(
        &mut self,
        next: &Policy,
        stamp: &Stamp,
        pending: &PendingChange,
    ) -> Result<(), Problem> {
        if let Some((name, was_attached)) = &pending.interface {
            self.restore_link(name, *was_attached)?;
        }
        if next.revision != self.policy.revision {
            return self.commit(next, stamp, |draft| draft.pending(None));
        }
        let draft = self.store.draft().map_err(|error| explain_store(&error))?;
        draft.pending(None).and_then(|()| draft.commit()).map_err(|error| explain_store(&error))
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
        if let (None, Some(pending), false) = (to, self.pending.clone(), options.dry_run) {
            self.check_revision(options)?;
            access.require_settler(caller, &pending.by)?;
            let done = self.revert(&pending, &author, format!("rollback of {}", pending.what))?;
            info!(by = author.name, uid = author.uid, "'{}' was undone", pending.what);
            return Ok(done);
        }
        access.require_admin(caller)?;
        self.check_free()?;
        let current = self.policy.revision;
        let to = match to {
            Some(to) => to,
            None => current.checked_sub(1).ok_or_else(|| {
                Problem::new(ErrorCode::NotFound, "there is no revision before this one")
            })?,
        };
        let target = self.kept(to)?;
        self.change(&Change::Restore(target), options, &author)
    }

    fn kept(&self, revision: u64) -> Result<Policy, Problem> {
        let unreadable = |error| explain_store(&error);
        self.store.policy_at(revision).map_err(unreadable)?.ok_or_else(|| {
            Problem::new(ErrorCode::NotFound, format!("revision {revision} is not kept"))
                .hint("`allowlist-ctl revisions` shows those that are")
        })
    }

    pub(super) fn confirm(&mut self, caller: &Caller, access: &Access) -> Result<Changed, Problem> {
        let pending = self.pending.clone().ok_or_else(|| {
            Problem::new(ErrorCode::NotFound, "nothing waits to be confirmed")
                .hint("`allowlist-ctl status` shows the revision, `allowlist-ctl revisions` the last changes")
        })?;
        access.require_settler(caller, &pending.by)?;
        let author = caller.author();
        let draft = self.store.draft().map_err(|error| explain_store(&error))?;
        draft.pending(None).and_then(|()| draft.commit()).map_err(|error| explain_store(&error))?;
        self.set_pending(None);
        info!(by = author.name, uid = author.uid, "'{}' was confirmed", pending.what);
        Ok(Changed {
            revision: self.policy.revision,
            changed: true,
            messages: vec![format!("'{}' is kept", pending.what)],
            ..Changed::default()
        })
    }

    pub(super) fn revisions(&self) -> Result<Revisions, Problem> {
        let kept = self.store.revisions().map_err(|error| explain_store(&error))?;
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
