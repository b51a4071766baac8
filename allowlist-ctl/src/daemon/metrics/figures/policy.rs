//! What the policy says.

use jiff::Timestamp;

use crate::{
    daemon::{
        metrics::family::{Family, moment, number, size, truth},
        shared::Shared,
    },
    policy::{Entries, Policy, service::Mode},
};

pub(super) fn figures(shared: &Shared, policy: &Policy) -> Vec<Family> {
    let mut figures = services(policy);
    figures.extend(lists(policy));
    let revision = Family::gauge("allowlist_policy_revision", "Number of the policy in force.");
    figures.push(revision.only(number(policy.revision)));
    if let Some(time) = shared.last_change() {
        let changed = Family::gauge(
            "allowlist_policy_last_change_timestamp_seconds",
            "When the policy was last changed, or the store made.",
        );
        figures.push(changed.only(moment(time)));
    }
    let pending = shared.pending();
    let waits = Family::gauge(
        "allowlist_pending_change",
        "Whether a change waits to be confirmed, and is taken back unless it is.",
    );
    figures.push(waits.only(truth(pending.is_some())));
    if let Some(pending) = pending {
        let deadline = Family::gauge(
            "allowlist_pending_change_deadline_timestamp_seconds",
            "When the change that waits to be confirmed is taken back; absent where none does.",
        );
        figures.push(deadline.only(moment(pending.deadline.time())));
    }
    figures
}

fn services(policy: &Policy) -> Vec<Family> {
    let mut open = Family::gauge(
        "allowlist_service_open",
        "Whether a service admits everyone, for it has no entries.",
    );
    let mut modes =
        Family::gauge("allowlist_service_mode", "1 for the mode that a service is in, else 0.");
    for (name, service) in &policy.services {
        open.put([("service", name.as_str())], truth(!policy.is_closed(service)));
        for mode in Mode::ALL {
            let labels = [("service", name.as_str()), ("mode", mode.word())];
            modes.put(labels, truth(service.mode == mode));
        }
    }
    vec![open, modes]
}

fn lists(policy: &Policy) -> Vec<Family> {
    let mut entries = Family::gauge(
        "allowlist_list_entries",
        "Entries of a service or group of its own, expired ones included.",
    );
    let mut expired = Family::gauge(
        "allowlist_list_expired_entries",
        "Entries of a service or group that have expired and no longer decide.",
    );
    let mut next_end = Family::gauge(
        "allowlist_list_next_end_timestamp_seconds",
        "When the next entry of a service or group expires; absent where none will.",
    );
    let now = Timestamp::now();
    let mut put = |name: &str, kind: &str, list: &Entries| {
        let labels = [("list", name), ("kind", kind)];
        let (ended, next) = list.ends(now);
        entries.put(labels, size(list.len()));
        expired.put(labels, size(ended));
        if let Some(next) = next {
            next_end.put(labels, moment(next));
        }
    };
    for (name, service) in &policy.services {
        put(name.as_str(), "service", &service.entries);
    }
    for (name, group) in &policy.groups {
        put(name.as_str(), "group", &group.entries);
    }
    vec![entries, expired, next_end]
}
