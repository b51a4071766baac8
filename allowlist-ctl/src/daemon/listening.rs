//! Ports of services that are listened on where there is no filter. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use allowlist_common::parse::Protocol;

use super::surroundings::Surroundings;
use crate::{
    api::Unfiltered,
    host::{Listener, Transport},
    kernel::Interface,
    policy::{Policy, port::Ports, service::Mode},
};

/// The first interface of every network namespace.
const LOOPBACK: u32 = 1;
/// So many are found at most: whoever mends those finds the others.
const MOST: usize = 1000;

/// The ports of services on which something listens at an address of an interface without the filter. A service that is
/// limited to interfaces is meant to be protected on those alone, and one that is off nowhere.
///
/// `filtered` are the indices of the interfaces that the filter is on, and `names` what services call interfaces.
pub(super) fn unfiltered(
    policy: &Policy,
    around: &Surroundings,
    filtered: &BTreeSet<u32>,
    names: &HashMap<u32, String>,
) -> Vec<Unfiltered> {
    let mut by_port: BTreeMap<(Protocol, u16), Vec<&Listener>> = BTreeMap::new();
    for listener in &around.listeners.all {
        let protocol = match listener.transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        by_port.entry((protocol, listener.port)).or_default().push(listener);
    }
    let ways = Ways { interfaces: &around.interfaces, filtered };
    let bare = around.interfaces.iter().filter(|one| one.is_up && one.ifindex != LOOPBACK);
    let bare = bare.filter(|one| !ways.are_filtered(one.ifindex, &mut BTreeSet::new()));
    let bare: Vec<(&Interface, Vec<IpAddr>)> = bare
        .map(|one| (one, addresses(around, one.ifindex)))
        .filter(|(_, addresses)| !addresses.is_empty())
        .collect();
    let mut found = Vec::new();
    if bare.is_empty() {
        return found;
    }
    for (service_name, service) in &policy.services {
        if service.mode == Mode::Off {
            continue;
        }
        for ports in &service.ports {
            let of_range = (ports.protocol, ports.first)..=(ports.protocol, ports.last);
            for ((protocol, port), listeners) in by_port.range(of_range) {
                for (interface, addresses) in &bare {
                    let name = names.get(&interface.ifindex).unwrap_or(&interface.name);
                    if !service.interfaces.is_empty() && !service.interfaces.contains(name) {
                        continue;
                    }
                    let counts = |address: &&IpAddr| {
                        let is_meant = service.addresses.is_empty()
                            || service.addresses.iter().any(|meant| meant.net().contains(*address));
                        let is_heard = |one: &&&Listener| {
                            one.listens_at(**address)
                                && one.bound_to.is_none_or(|bound| is_of(interface, bound))
                        };
                        is_meant && listeners.iter().any(|one| is_heard(&one))
                    };
                    let Some(address) = addresses.iter().find(counts) else { continue };
                    found.push(Unfiltered {
                        service: service_name.clone(),
                        port: Ports { protocol: *protocol, first: *port, last: *port },
                        interface: interface.name.clone(),
                        address: *address,
                        can_attach: interface.is_ethernet,
                    });
                    if found.len() >= MOST {
                        return found;
                    }
                }
            }
        }
    }
    found
}

/// Whether what is bound to an interface hears what comes in by this one: it is the same, or its VRF.
fn is_of(interface: &Interface, bound: u32) -> bool {
    interface.ifindex == bound || interface.master == Some(bound)
}

/// An interface's addresses, those that are told first: what a peer may reach from afar, and IPv4.
fn addresses(around: &Surroundings, ifindex: u32) -> Vec<IpAddr> {
    let of_it = around.addresses.iter().filter(|(of, _)| *of == ifindex);
    let mut addresses: Vec<IpAddr> = of_it.map(|(_, address)| *address).collect();
    let is_link_local = |address: &IpAddr| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    addresses.sort_by_key(|address| (is_link_local(address), *address));
    addresses
}

/// The ways that packets take to an interface.
struct Ways<'a> {
    interfaces: &'a [Interface],
    filtered: &'a BTreeSet<u32>,
}

impl Ways<'_> {
    /// Whether everything that comes in by an interface has come by the filter: it is on it, on the interface below it, or
    /// on all its members.
    fn are_filtered(&self, ifindex: u32, seen: &mut BTreeSet<u32>) -> bool {
        if self.filtered.contains(&ifindex) {
            return true;
        }
        let Some(interface) = self.interfaces.iter().find(|one| one.ifindex == ifindex) else {
            return false;
        };
        if !seen.insert(ifindex) {
            return false;
        }
        match interface.kind.as_deref() {
            // Their frames are to be seen, ports and all, on the one they lie on.
            Some("vlan" | "macvlan" | "macvtap" | "ipvlan" | "ipvtap") => {
                interface.lower.is_some_and(|lower| self.are_filtered(lower, seen))
            }
            Some("bridge" | "bond" | "team" | "vrf") => {
                let members = self.interfaces.iter().filter(|one| one.master == Some(ifindex));
                let mut are = members.map(|one| self.are_filtered(one.ifindex, seen)).peekable();
                are.peek().is_some() && are.all(|is| is)
            }
            _ => false,
        }
    }
}

/// Services and interfaces that are told; JSON has all.
const TOLD: usize = 8;
/// Ports of a service that are told.
const TOLD_PORTS: usize = 3;

/// A sentence for each service and interface.
pub(super) fn sentences(unfiltered: &[Unfiltered]) -> Vec<String> {
    let mut grouped: BTreeMap<(&str, &str), Vec<&Unfiltered>> = BTreeMap::new();
    for one in unfiltered {
        grouped.entry((one.interface.as_str(), one.service.as_str())).or_default().push(one);
    }
    let more = grouped.len().saturating_sub(TOLD);
    let sentence = |((interface, service), ports): ((&str, &str), Vec<&Unfiltered>)| {
        let first = ports.first()?;
        let shown: Vec<String> =
            ports.iter().take(TOLD_PORTS).map(|one| one.port.to_string()).collect();
        let rest = match ports.len().saturating_sub(TOLD_PORTS) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        let (shown, address) = (shown.join(" "), first.address);
        let what =
            format!("{service}: {shown}{rest} also listens on {interface} ({address}), which");
        Some(if first.can_attach {
            format!("{what} has no filter: `allowlist-ctl attach {interface}`")
        } else {
            format!(
                "{what} cannot have the filter: where that is meant, limit {service} to others with --interface (docs/past.md)"
            )
        })
    };
    let mut told: Vec<String> = grouped.into_iter().take(TOLD).filter_map(sentence).collect();
    if more > 0 {
        told.push(format!(
            "{more} more services listen on interfaces that have no filter: `allowlist-ctl status --json` has them as 'unfiltered'"
        ));
    }
    told
}

#[cfg(test)]
mod tests;
