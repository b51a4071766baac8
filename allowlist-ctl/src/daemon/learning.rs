//! Entries proposed for a service, from what the kernel has noted and from the connections of this host.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};

use allowlist_common::abi::SIGHTINGS;
use jiff::Timestamp;

use super::{
    established::{Link, from_afar},
    owner::{is_passed, judged},
    shared::Shared,
    status,
};
use crate::{
    api::{
        DropReason, EntrySpec, ErrorCode, InterfaceState, LeftOut, Problem, Proposal,
        ProposedEntry, SeenSources,
    },
    policy::{
        Entry, EntryKey, Name, Packet, Policy,
        learn::{self, Proposed, Seen},
        service::Mode,
    },
};

/// From so many noted sources on some may have made room for others: each CPU has a share of the places.
pub(super) const MANY: usize = SIGHTINGS / 4;

/// Entries that admit whom a service admits today.
///
/// # Errors
/// As of [`judged`]; [`ErrorCode::Failed`] where the kernel does not tell what it has noted.
pub(super) fn propose(shared: &Shared, name: &Name, tighten: bool) -> Result<Proposal, Problem> {
    let policy = shared.policy();
    let service = judged(&policy, name)?;
    let noted = Cell::new(0_usize);
    let sightings = shared.sightings.seen(|what, number| {
        noted.set(noted.get() + 1);
        is_passed(what, number, service.number)
    });
    let sightings = sightings.map_err(|error| {
        Problem::new(ErrorCode::Failed, format!("cannot read what was noted: {error}"))
    })?;
    let mut seen: BTreeMap<IpAddr, Seen> = BTreeMap::new();
    for one in sightings {
        let (packets, first, last) = (one.packets, Some(one.first), Some(one.last));
        seen.insert(one.source, Seen { packets, first, last, connections: 0 });
    }
    let mut denied = recently_denied(shared, name);
    let mut warnings = Vec::new();
    match connections(shared, &policy, name) {
        Ok(connections) => {
            for (peer, passes) in connections {
                if passes {
                    seen.entry(peer).or_default().connections += 1;
                } else {
                    denied.insert(peer);
                }
            }
        }
        Err(error) => warnings.push(format!("the established connections are not known: {error}")),
    }
    let found = learn::propose(&policy, service, &seen, &denied, tighten, Timestamp::now());
    let is_watched = shared.watches().iter().any(|watch| watch.told().service == *name);
    Ok(Proposal {
        service: name.clone(),
        revision: policy.revision,
        mode: service.mode,
        state: status::state(&policy, service),
        tighten,
        noted: service.mode == Mode::Monitor || is_watched,
        proposed: found.proposed.iter().map(proposed).collect(),
        kept: found.kept.iter().map(|(key, entry)| kept(key, entry)).collect(),
        left_out: LeftOut {
            admitted: found.admitted,
            excepted: found.excepted,
            denied: found.denied,
            ended: found.ended,
        },
        unproven: found.unproven,
        seen: seen_sources(found.addresses, found.seen),
        incomplete: noted.get() >= MANY,
        warnings,
    })
}

fn proposed(one: &Proposed) -> ProposedEntry {
    let Proposed { prefix, addresses, seen } = *one;
    ProposedEntry { prefix, seen: seen_sources(addresses, seen) }
}

const fn seen_sources(addresses: usize, seen: Seen) -> SeenSources {
    let Seen { packets, first, last, connections } = seen;
    SeenSources { addresses, packets, connections, first, last }
}

fn kept(key: &EntryKey, entry: &Entry) -> EntrySpec {
    EntrySpec {
        entry: key.to_string(),
        comment: entry.comment.as_ref().map(ToString::to_string),
        expires_at: entry.expires_at,
    }
}

/// Sources that a service has dropped packets of lately.
fn recently_denied(shared: &Shared, name: &Name) -> BTreeSet<IpAddr> {
    let drops = shared.drops.recent(usize::MAX).drops.into_iter().map(|drops| drops.last);
    let of_service = drops.filter(|packet| {
        packet.reason == DropReason::Denied && packet.service.as_ref() == Some(name)
    });
    of_service.filter_map(|packet| packet.source).collect()
}

/// The other ends of the established connections to a service, and whether their packets pass.
fn connections(shared: &Shared, policy: &Policy, name: &Name) -> io::Result<Vec<(IpAddr, bool)>> {
    let links: Vec<Link> = shared
        .interfaces()
        .into_iter()
        .filter(|interface| interface.state == InterfaceState::Attached)
        .filter_map(|interface| Some((interface.name, interface.ifindex?)))
        .collect();
    let now = Timestamp::now();
    let mut found = Vec::new();
    for afar in from_afar(&links, policy)? {
        let of_service =
            |packet: &Packet<'_>| policy.service_of(packet).is_some_and(|(known, _)| known == name);
        let mut packets = afar.packets().filter(of_service).peekable();
        if packets.peek().is_some() {
            let passes = packets.all(|packet| policy.drops(&packet, now).is_none());
            found.push((afar.connection.peer.ip(), passes));
        }
    }
    Ok(found)
}
