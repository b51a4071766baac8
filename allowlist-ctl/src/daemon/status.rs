//! The state of everything, put together for `status`.

use std::collections::BTreeMap;

use allowlist_common::{
    abi::{Judged, Unmatched},
    parse::{Unjudged, Unreadable},
};

use super::shared::Shared;
use crate::{
    api::{
        ErrorCode, InterfaceState, InterfaceStatus, Problem, ServiceState, ServiceStatus, Status,
        Traffic,
    },
    kernel::{Totals, unmatched_kinds},
    policy::{Name, Policy, Service, service::Mode},
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
        .map(|(name, service)| service_status(shared, name, service))
        .collect();
    Ok(Status {
        revision: policy.revision,
        version: version::SHORT.into(),
        started_at: shared.started_at,
        store: shared.store.clone(),
        warnings: warnings(&policy, &interfaces),
        interfaces,
        services: services?,
        unmatched: unmatched(shared)?,
    })
}

fn service_status(
    shared: &Shared,
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
        when_empty: service.when_empty,
        state: state(service),
        entries: service.entries.len(),
        admitted: count(Judged::Admitted)?,
        admitted_open: count(Judged::AdmittedOpen)?,
        denied: count(Judged::Denied)?,
        would_deny: count(Judged::WouldDeny)?,
    })
}

/// Whether a service admits everyone.
pub(super) fn state(service: &Service) -> ServiceState {
    if service.is_closed() { ServiceState::Closed } else { ServiceState::Open }
}

fn unmatched(shared: &Shared) -> Result<BTreeMap<String, Traffic>, Problem> {
    let mut counts = BTreeMap::new();
    for kind in unmatched_kinds() {
        let count = shared.counters.unmatched(kind).map_err(unreadable_counters)?;
        counts.insert(unmatched_name(kind), traffic(count));
    }
    Ok(counts)
}

fn traffic(totals: Totals) -> Traffic {
    Traffic { packets: totals.packets, bytes: totals.bytes }
}

fn unreadable_counters(error: impl std::fmt::Display) -> Problem {
    Problem::new(ErrorCode::Failed, format!("cannot read the counters: {error}"))
}

fn unmatched_name(kind: Unmatched) -> String {
    match kind {
        Unmatched::NoService => "no_service".into(),
        Unmatched::Unjudged(Unjudged::NotIp) => "not_ip".into(),
        Unmatched::Unjudged(Unjudged::OtherProtocol) => "other_protocol".into(),
        Unmatched::Unjudged(Unjudged::LaterFragment) => "later_fragment".into(),
        Unmatched::UnreadablePassed(kind) => format!("{}_passed", unreadable_name(kind)),
        Unmatched::UnreadableDropped(kind) => format!("{}_dropped", unreadable_name(kind)),
    }
}

const fn unreadable_name(kind: Unreadable) -> &'static str {
    match kind {
        Unreadable::FrameCutOff => "frame_cut_off",
        Unreadable::TooManyTags => "too_many_tags",
        Unreadable::BadIpHeader => "bad_ip_header",
        Unreadable::ExtensionCutOff => "extension_cut_off",
        Unreadable::TooManyExtensions => "too_many_extensions",
        Unreadable::PortsCutOff => "ports_cut_off",
    }
}

fn warnings(policy: &Policy, interfaces: &[InterfaceStatus]) -> Vec<String> {
    let mut warnings = Vec::new();
    for interface in interfaces {
        let (name, reason) = (&interface.name, interface.reason.as_deref().unwrap_or("unknown"));
        match interface.state {
            InterfaceState::Attached if interface.mode.as_deref() == Some("generic") => {
                warnings.push(format!("the filter on {name} runs in generic mode, slower: {reason}"));
            }
            InterfaceState::Attached => {}
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
