//! What a change did, for whoever asked for it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Owner, guard::Guarded};
use crate::{
    api::{Changed, Pending},
    daemon::ports::ephemeral_warning,
    policy::{
        Name, Origin, Policy, Service,
        change::{Change, Outcome},
        difference::differences,
        group::TRUSTED,
        service::Mode,
    },
    store::PendingChange,
};

/// So many notes about single entries are told.
const TOLD_NOTES: usize = 20;
/// So many differing entries are told.
const TOLD_DIFFERENCES: usize = 1000;

/// The pending change as it is told.
pub(in crate::daemon) fn pending(pending: &PendingChange) -> Pending {
    Pending {
        what: pending.what.clone(),
        by: pending.by.as_ref().clone(),
        revision: pending.revision,
        until: pending.deadline.time(),
        seconds_left: pending.deadline.seconds_left(),
    }
}

impl Changed {
    /// Takes what the guard has to say.
    pub(super) fn take(&mut self, guarded: Guarded) {
        self.cuts.extend(guarded.cuts);
        self.warnings.extend(guarded.refusals);
        self.warnings.extend(guarded.warnings);
    }
}

impl Owner {
    pub(super) fn report(
        &self,
        change: &Change,
        before: &Policy,
        outcome: Outcome,
        report: Changed,
    ) -> Changed {
        let Outcome { policy, tally, notes, .. } = outcome;
        let mut report = Changed {
            revision: policy.revision,
            added: tally.added,
            updated: tally.updated,
            unchanged: tally.unchanged,
            removed: tally.removed,
            differences: differences(before, &policy, TOLD_DIFFERENCES, tally.changed()),
            pending: self.pending.as_ref().map(pending),
            ..report
        };
        report.messages.extend(notes.iter().take(TOLD_NOTES).map(ToString::to_string));
        let open = told_about(change, &policy)
            .into_iter()
            .filter(|(_, service)| !policy.is_closed(service));
        report
            .messages
            .extend(open.map(|(name, _)| format!("No entries: {name} is accessible to everyone.")));
        report.messages.extend(kept_of_file(change, before));
        report.warnings.extend(uncovered(before, &policy));
        let now = Timestamp::now();
        let ended = policy.services.iter().filter(|(name, service)| {
            let had_ended = before.services.get(*name);
            policy.has_ended(service, now)
                && !had_ended.is_some_and(|was| before.has_ended(was, now))
        });
        report.warnings.extend(ended.map(|(name, _)| all_ended(name)));
        if let Change::Protect { name, .. } = change
            && let Some(service) = policy.services.get(name)
            && service.mode != Mode::Off
        {
            report.warnings.extend(ephemeral_warning(name, service.ports.iter().copied()));
            report.warnings.extend(self.unattached_warning());
        }
        report
    }

    fn unattached_warning(&self) -> Option<String> {
        self.kernel.attached().next().is_none().then(|| {
            "the filter is on no interface yet: put it on one with `allowlist-ctl attach IF`".into()
        })
    }
}

/// The services that a change is about: of which it is told when they are open.
fn told_about<'a>(change: &Change, policy: &'a Policy) -> Vec<(&'a Name, &'a Service)> {
    let all = policy.services.iter().map(|(name, service)| (name, service.as_ref()));
    match change.name() {
        // Trusted closes nothing.
        Some(name) if name.as_str() == TRUSTED => Vec::new(),
        Some(name) => all
            .filter(|(known, service)| *known == name || service.includes.contains(name))
            .collect(),
        None => all.collect(),
    }
}

/// What becomes of the entries of a file that is followed no more.
fn kept_of_file(change: &Change, before: &Policy) -> Option<String> {
    let Change::SetGroup { name, follow: Some(None) } = change else { return None };
    let group = before.groups.get(name)?;
    let path = group.follow.as_ref()?;
    let of_file = group.entries.iter().filter(|(key, _)| key.origin == Origin::File).count();
    (of_file > 0).then(|| {
        let path = path.display();
        format!("the entries of {path} stay in {name}, as if added by command: {of_file}")
    })
}

/// Of a service all of whose entries have expired.
pub(in crate::daemon) fn all_ended(name: &Name) -> String {
    format!("all entries of {name} have expired: it admits only those that trusted allows")
}

/// Warnings where a closed service no longer covers what it did: everyone reaches it there.
fn uncovered(before: &Policy, after: &Policy) -> Vec<String> {
    let closed = before.services.iter().filter(|(_, was)| before.is_closed(was));
    let pairs = closed.filter_map(|(name, was)| Some((name, was, after.services.get(name)?)));
    let mut warnings = Vec::new();
    for (name, was, is) in pairs {
        let dropped: Vec<String> =
            was.ports.difference(&is.ports).map(ToString::to_string).collect();
        if !dropped.is_empty() {
            let ports = dropped.join(", ");
            warnings.push(format!(
                "{ports} no longer belongs to {name}, and is accessible to everyone"
            ));
        }
        if is_narrower(&was.interfaces, &is.interfaces) {
            warnings
                .push(format!("{name} is accessible to everyone on interfaces other than its own"));
        }
        if is_narrower(&was.addresses, &is.addresses) {
            warnings
                .push(format!("{name} is accessible to everyone at addresses other than its own"));
        }
    }
    warnings
}

/// Whether a limit leaves out what another one did not; an empty one is none.
fn is_narrower<T: Ord>(before: &BTreeSet<T>, after: &BTreeSet<T>) -> bool {
    !after.is_empty() && (before.is_empty() || !before.is_subset(after))
}
