//! docs/verdicts.md, read word by word and written down anew: slow, and over nothing but the policy.

use std::net::IpAddr;

use allowlist::policy::{
    Entries, Kind, Name, Policy, Service,
    service::{Mode, WhenEmpty},
};
use allowlist_common::{
    abi::{Judged, Unmatched},
    parse::{Aside, Protocol},
};
use jiff::Timestamp;

use super::{draw::Drawn, frames::Made};
use crate::{counted::Counted, host::covers};

/// What a packet is, known to whoever made it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Port(Protocol, u16),
    LaterFragment,
    Passed(Aside),
    Unreadable(Aside),
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Opinion {
    Open,
    Allowed,
    Denied,
}

/// What becomes of a packet that arrives on the loopback interface.
pub(super) fn judge(drawn: &Drawn, made: &Made) -> Counted {
    let present = present(&drawn.policy);
    let policy = &drawn.policy;
    let closed = |service: &&&Service| service.mode == Mode::Enforce && !is_open(policy, service);
    let guarded = present.iter().any(|service| closed(&service));
    match made.shape {
        Shape::Passed(aside) => Counted::Unmatched(Unmatched::passed(aside)),
        Shape::Unreadable(aside) => Counted::unreadable(aside, guarded),
        Shape::LaterFragment => {
            let known =
                |service: &&Service| opinion(policy, service, made.source) != Opinion::Denied;
            if drawn.strict && !present.is_empty() && !present.iter().any(known) {
                Counted::unreadable(Aside::FragmentRefused, guarded)
            } else {
                Counted::Unmatched(Unmatched::passed(Aside::LaterFragment))
            }
        }
        Shape::Port(protocol, port) => {
            let its = |service: &&&Service| belongs(service, protocol, port, made.destination);
            match present.iter().find(its) {
                Some(service) => {
                    Counted::Service(service.number, judged(policy, service, made.source))
                }
                None => Counted::Unmatched(Unmatched::NO_SERVICE),
            }
        }
    }
}

/// The services that judge packets of the loopback interface.
fn present(policy: &Policy) -> Vec<&Service> {
    let here =
        |service: &&Service| service.interfaces.is_empty() || service.interfaces.contains("lo");
    let judging = policy.services.values().map(AsRef::as_ref);
    judging.filter(|service| service.mode != Mode::Off).filter(here).collect()
}

/// Ended entries count: they never open a service. Those of its groups count as its own, and those of trusted do not.
fn is_open(policy: &Policy, service: &Service) -> bool {
    let groups = policy.groups.iter().filter(|(name, _)| service.includes.contains(*name));
    service.entries.is_empty()
        && groups.into_iter().all(|(_, group)| group.entries.is_empty())
        && service.when_empty == WhenEmpty::Open
}

fn belongs(service: &Service, protocol: Protocol, port: u16, destination: IpAddr) -> bool {
    let has_port = service
        .ports
        .iter()
        .any(|ports| ports.protocol == protocol && ports.first <= port && port <= ports.last);
    let addresses = &service.addresses;
    has_port
        && (addresses.is_empty() || addresses.iter().any(|prefix| covers(*prefix, destination)))
}

fn judged(policy: &Policy, service: &Service, source: IpAddr) -> Judged {
    match opinion(policy, service, source) {
        Opinion::Open => Judged::AdmittedOpen,
        Opinion::Allowed => Judged::Admitted,
        Opinion::Denied if service.mode == Mode::Monitor => Judged::WouldDeny,
        Opinion::Denied => Judged::Denied,
    }
}

/// Of all entries of the service, its groups and trusted, the most specific one that covers the source and has not ended decides; on a tie an except wins.
fn opinion(policy: &Policy, service: &Service, source: IpAddr) -> Opinion {
    if is_open(policy, service) {
        return Opinion::Open;
    }
    let now = Timestamp::now();
    let mut best: Option<(u8, Kind)> = None;
    let included = |name: &Name| service.includes.contains(name) || name.as_str() == "trusted";
    let groups = policy.groups.iter().filter(|(name, _)| included(name));
    let lists = groups.map(|(_, group)| &group.entries).chain([&service.entries]);
    for (key, entry) in lists.flat_map(Entries::iter) {
        let ended = entry.expires_at.is_some_and(|end| end <= now);
        if ended || !covers(key.prefix, source) {
            continue;
        }
        let bits = key.prefix.bits();
        let wins =
            best.is_none_or(|(most, _)| bits > most || bits == most && key.kind == Kind::Except);
        if wins {
            best = Some((bits, key.kind));
        }
    }
    match best {
        Some((_, Kind::Allow)) => Opinion::Allowed,
        _ => Opinion::Denied,
    }
}
