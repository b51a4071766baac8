//! The state of everything, put together for `status`.

use std::{collections::BTreeSet, time::Instant};

use jiff::Timestamp;

use super::{
    listening,
    owner::{OnTrial, Watch, all_ended, pending, told},
    shared::Shared,
    traffic::{OTHER_PROTOCOL, Reading},
    tunnels::tunnels,
};
use crate::{
    api::{
        ErrorCode, GroupStatus, InterfaceState, InterfaceStatus, LastMinute, PastFilter, Problem,
        ServiceEngines, ServiceState, ServiceStatus, ServiceTraffic, Status,
    },
    policy::{Group, Name, Policy, Service, near::nearest},
    version,
};

/// The state of everything.
///
/// # Errors
/// [`ErrorCode::Failed`] where the counters cannot be read.
pub(super) fn status(shared: &Shared) -> Result<Status, Problem> {
    let policy = shared.policy();
    let interfaces = shared.interfaces();
    let numbers = policy.services.values().map(|service| service.number);
    let counts = Reading::of(&shared.counters, numbers)?;
    let (age, earlier) = shared.traffic.a_minute_before(Instant::now()).unwrap_or_default();
    let came = counts.since(&earlier);
    let engines = shared.engine();
    let services = policy.services.iter().map(|(name, service)| ServiceStatus {
        engine: engines.of_service(service.number),
        traffic: counts.service(service.number),
        last_minute: came.service(service.number),
        ..service_status(&policy, name, service)
    });
    let services = services.collect();
    let around = shared.lookout.surroundings();
    let attached = interfaces.iter().filter(|one| one.state == InterfaceState::Attached);
    let filtered: BTreeSet<u32> = attached.filter_map(|one| one.ifindex).collect();
    // The filter may be elsewhere than a moment ago.
    let unfiltered = listening::unfiltered(&policy, &around, &filtered, &shared.interface_names());
    let past_filter = PastFilter {
        other_protocols: counts.kind(OTHER_PROTOCOL),
        other_protocols_last_minute: came.kind(OTHER_PROTOCOL),
        tunnels: tunnels(&around.interfaces, &filtered),
    };
    let mut warnings = warnings(shared, &policy, &interfaces);
    warnings.extend(engines.warning());
    warnings.extend(listening::sentences(&unfiltered));
    warnings.extend(around.unknown.iter().cloned());
    let groups = policy.groups.iter().map(|(name, group)| group_status(&policy, name, group));
    let groups = groups.collect();
    Ok(Status {
        revision: policy.revision,
        version: version::SHORT.into(),
        started_at: shared.started_at,
        store: shared.store.clone(),
        warnings,
        past_filter,
        unfiltered,
        pending: shared.pending().as_ref().map(pending),
        watches: shared.watches().iter().map(Watch::told).collect(),
        trial: shared.trial().as_ref().map(OnTrial::told),
        engine: Some(engines.status()),
        degraded: shared.degraded(),
        groups,
        interfaces,
        services,
        unmatched: counts.unmatched().collect(),
        counting_since: shared.counting_since,
        last_minute: LastMinute { seconds: age.as_secs(), unmatched: came.unmatched().collect() },
    })
}

fn service_status(policy: &Policy, name: &Name, service: &Service) -> ServiceStatus {
    ServiceStatus {
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
        engine: ServiceEngines::default(),
        traffic: ServiceTraffic::default(),
        last_minute: ServiceTraffic::default(),
    }
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

/// That a service is limited to an interface without the filter, which may not be there at all.
fn limited_to(service: &Name, interface: &str, present: &[String]) -> String {
    let what = format!("{service} is limited to {interface}, which has no filter");
    if !present.iter().any(|name| name == interface)
        && let Some(near) = nearest(interface, present)
    {
        return format!("{what}; did you mean {near}? There is no {interface}");
    }
    format!("{what}: `allowlist-ctl attach {interface}`")
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
    let present: Vec<String> = shared.interface_names().into_values().collect();
    let is_attached = |name: &str| {
        interfaces
            .iter()
            .any(|interface| interface.name == name && interface.state == InterfaceState::Attached)
    };
    for (name, service) in &policy.services {
        if policy.has_ended(service, Timestamp::now()) {
            warnings.push(format!(
                "{}: `allowlist-ctl list {name}` shows them, and `allowlist-ctl add {name} CIDR` adds others",
                all_ended(name)
            ));
        }
        for interface in service.interfaces.iter().filter(|interface| !is_attached(interface)) {
            warnings.push(limited_to(name, interface, &present));
        }
    }
    if interfaces.is_empty() {
        warnings.push(
            "the filter is on no interface: put it on one with `allowlist-ctl attach IF`".into(),
        );
    }
    warnings
}
