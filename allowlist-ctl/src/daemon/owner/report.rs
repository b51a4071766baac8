//! What a change did, for whoever asked for it.

use super::{Owner, guard::Guarded};
use crate::{
    api::{Changed, Pending},
    daemon::ports::ephemeral_warning,
    policy::{
        Name, Policy, Service,
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
        if let Change::Protect { name, .. } = change
            && let Some(service) = policy.services.get(name)
        {
            report.warnings.extend(dropped_ports(name, before, service));
            if service.mode != Mode::Off {
                report.warnings.extend(ephemeral_warning(name, service.ports.iter().copied()));
                report.warnings.extend(self.unattached_warning());
            }
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

/// A warning where ports that a closed service had are protected no longer.
fn dropped_ports(name: &Name, before: &Policy, service: &Service) -> Option<String> {
    let was = before.services.get(name).filter(|was| before.is_closed(was))?;
    let dropped: Vec<String> =
        was.ports.difference(&service.ports).map(ToString::to_string).collect();
    (!dropped.is_empty()).then(|| {
        format!("{} no longer belongs to {name}, and is accessible to everyone", dropped.join(", "))
    })
}
