//! The state of everything, put together for `status`.

use std::collections::BTreeMap;

use allowlist_common::{
    abi::{Judged, Unmatched},
    parse::Aside,
};

use jiff::Timestamp;

use super::{
    owner::{OnTrial, Watch, all_ended, pending, told},
    shared::Shared,
};
use crate::{
    api::{
        ErrorCode, GroupStatus, InterfaceState, InterfaceStatus, Problem, ServiceState,
        ServiceStatus, Status, Traffic,
    },
    kernel::Totals,
    policy::{Group, Name, Policy, Service, service::Mode},
    version,
};

/// The state of everything.
///
/// # Errors
/// [`ErrorCode::Failed`] where the counters cannot be read.
pub(super) fn status(shared: &Shared) -> Result<Status, Problem> {
    let policy = shared.policy();
    let interfaces = shared.interfaces();
    let services: Result<Vec<ServiceStatus>, Problem> = policy
        .services
        .iter()
        .map(|(name, service)| service_status(shared, &policy, name, service))
        .collect();
    let groups = policy.groups.iter().map(|(name, group)| group_status(&policy, name, group));
    let groups = groups.collect();
    Ok(Status {
        revision: policy.revision,
        version: version::SHORT.into(),
        started_at: shared.started_at,
        store: shared.store.clone(),
        warnings: warnings(shared, &policy, &interfaces),
        pending: shared.pending().as_ref().map(pending),
        watches: shared.watches().iter().map(Watch::told).collect(),
        trial: shared.trial().as_ref().map(OnTrial::told),
        degraded: shared.degraded(),
        groups,
        interfaces,
        services: services?,
        unmatched: unmatched(shared)?,
    })
}

fn service_status(
    shared: &Shared,
    policy: &Policy,
    name: &Name,
    service: &Service,
) -> Result<ServiceStatus, Problem> {
    let count = |judged| {
        shared.counters.service(service.number, judged).map(traffic).map_err(unreadable_counters)
    };
    Ok(ServiceStatus {
        name: name.clone(),
        ports: service.ports.iter().copied().collect(),
        interfaces: service.interfaces.iter().cloned().collect(),
        mode: service.mode,
        action: service.action,
        addresses: service.addresses.iter().copied().collect(),
        when_empty: service.when_empty,
        state: state(policy, service),
        include: service.includes.iter().cloned().collect(),
        entries: policy.count_entries(service),
        expired: policy.count_expired(service, Timestamp::now()),
        admitted: count(Judged::Admitted)?,
        admitted_open: count(Judged::AdmittedOpen)?,
        denied: count(Judged::Denied)?,
        would_deny: count(Judged::WouldDeny)?,
        reject_sent: count(Judged::RejectSent)?,
        reject_limited: count(Judged::RejectLimited)?,
    })
}

/// Whether a service admits everyone.
pub(super) fn state(policy: &Policy, service: &Service) -> ServiceState {
    if policy.is_closed(service) { ServiceState::Closed } else { ServiceState::Open }
}

fn group_status(policy: &Policy, name: &Name, group: &Group) -> GroupStatus {
    GroupStatus {
        name: name.clone(),
        entries: group.entries.len(),
        expired: group.entries.count_expired(Timestamp::now()),
        included_by: policy.including(name),
        follow: group.follow.clone(),
    }
}

fn unmatched(shared: &Shared) -> Result<BTreeMap<String, Traffic>, Problem> {
    let mut counts = BTreeMap::new();
    for (name, kind) in unmatched_kinds() {
        let count = shared.counters.unmatched(kind).map_err(unreadable_counters)?;
        counts.insert(name, traffic(count));
    }
    Ok(counts)
}

fn traffic(totals: Totals) -> Traffic {
    Traffic { packets: totals.packets, bytes: totals.bytes }
}

fn unreadable_counters(error: impl std::fmt::Display) -> Problem {
    Problem::new(ErrorCode::Failed, format!("cannot read the counters: {error}"))
}

/// Every kind of packet that belongs to no service, with its name.
fn unmatched_kinds() -> impl Iterator<Item = (String, Unmatched)> {
    let asides = Aside::ALL.into_iter().flat_map(|aside| {
        let name = aside_name(aside);
        if aside.is_unreadable() {
            vec![
                (format!("{name}_passed"), Unmatched::passed(aside)),
                (format!("{name}_dropped"), Unmatched::dropped(aside)),
            ]
        } else {
            vec![(name.to_owned(), Unmatched::passed(aside))]
        }
    });
    std::iter::once(("no_service".to_owned(), Unmatched::NO_SERVICE)).chain(asides)
}

const fn aside_name(aside: Aside) -> &'static str {
    match aside {
        Aside::NotIp => "not_ip",
        Aside::OtherProtocol => "other_protocol",
        Aside::LaterFragment => "later_fragment",
        Aside::FrameCutOff => "frame_cut_off",
        Aside::TooManyTags => "too_many_tags",
        Aside::BadIpHeader => "bad_ip_header",
        Aside::ExtensionCutOff => "extension_cut_off",
        Aside::TooManyExtensions => "too_many_extensions",
        Aside::PortsCutOff => "ports_cut_off",
        Aside::FragmentRefused => "fragment_refused",
    }
}

fn warnings(shared: &Shared, policy: &Policy, interfaces: &[InterfaceStatus]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (group, (path, problem)) in shared.followed() {
        let (path, told) = (path.display(), told(&problem));
        let how = match problem.code {
            ErrorCode::Unconfirmed => Some("--yes"),
            ErrorCode::Guarded => Some("--force"),
            _ => None,
        };
        let how = how.map(|option| {
            format!("; `allowlist-ctl group {group} --follow {path} {option}` takes them")
        });
        let how = how.unwrap_or_default();
        warnings.push(format!(
            "{group} keeps its entries and does not take those of {path}: {told}{how}"
        ));
    }
    for (path, writable) in shared.writable() {
        let (path, writable) = (path.display(), writable.display());
        warnings.push(format!(
            "everybody on this host may change {writable}, and so what {path} admits"
        ));
    }
    for interface in interfaces {
        let (name, reason) = (&interface.name, interface.reason.as_deref().unwrap_or("unknown"));
        match interface.state {
            InterfaceState::Attached => warnings.extend(interface.warnings.iter().cloned()),
            InterfaceState::Missing | InterfaceState::Failed => {
                warnings.push(format!("{name} is not filtered: {reason}"));
            }
            InterfaceState::Detached => warnings.push(format!(
                "{name} is not filtered: it was detached; `allowlist-ctl attach {name}` puts the filter back"
            )),
        }
    }
    let is_attached = |name: &str| {
        interfaces
            .iter()
            .any(|interface| interface.name == name && interface.state == InterfaceState::Attached)
    };
    for (name, service) in &policy.services {
        if service.mode == Mode::Off {
            warnings.push(format!("{name} is off: its packets are not judged"));
        }
        if policy.has_ended(service, Timestamp::now()) {
            warnings.push(all_ended(name));
        }
        for interface in service.interfaces.iter().filter(|interface| !is_attached(interface)) {
            warnings.push(format!("{name} is limited to {interface}, which has no filter"));
        }
    }
    if interfaces.is_empty() {
        warnings.push(
            "the filter is on no interface: put it on one with `allowlist-ctl attach IF`".into(),
        );
    }
    warnings
}
