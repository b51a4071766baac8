//! Entries proposed for a service from the sources that were seen, so that those who come today are admitted tomorrow.

mod merge;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::Timestamp;

use self::merge::{Merging, merge};
use super::{Entries, Entry, EntryKey, Kind, Policy, Prefix, Service, service::Mode};

/// A source of packets that pass.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// How many packets were noted.
    pub packets: u64,
    /// When the first one was, where any was.
    pub first: Option<Timestamp>,
    /// When the last one was.
    pub last: Option<Timestamp>,
    /// How many connections of it are established.
    pub connections: usize,
}

/// A prefix that is proposed as an entry, and who was seen in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proposed {
    /// The prefix.
    pub prefix: Prefix,
    /// How many addresses were seen in it.
    pub addresses: usize,
    /// What was seen of them.
    pub seen: Seen,
}

/// Entries that are proposed for a service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proposal {
    /// The service's own entries that are to stay, as they are.
    pub kept: Vec<(EntryKey, Entry)>,
    /// Those to put beside them, in order.
    pub proposed: Vec<Proposed>,
    /// Addresses that are left out, for what stays admits them.
    pub admitted: usize,
    /// Those that are left out for an except is meant for them.
    pub excepted: usize,
    /// Those that are left out because they are denied by now.
    pub denied: usize,
    /// Those that are left out because their entry has ended.
    pub ended: usize,
    /// Addresses among the proposed ones without an established connection: nobody has proven to have them.
    pub unproven: usize,
    /// What was seen of all addresses, those left out too.
    pub seen: Seen,
    /// How many addresses were seen.
    pub addresses: usize,
}

impl Seen {
    /// Takes what was seen of another source, too.
    fn take(&mut self, other: &Self) {
        let earlier = [self.first, other.first].into_iter().flatten().min();
        let (last, connections) = (self.last.max(other.last), self.connections + other.connections);
        *self = Self { packets: self.packets + other.packets, first: earlier, last, connections };
    }
}

/// Proposes entries for a service that admit whom it admits today, as far as anybody of them was seen.
///
/// Nobody is proposed who is denied today: in mode enforce by the entries, in every mode by an except or where the source
/// is among the `denied`. The service's own entries stay; to `tighten` it, those that allow do not.
#[must_use]
pub fn propose(
    policy: &Policy,
    service: &Service,
    seen: &BTreeMap<IpAddr, Seen>,
    denied: &BTreeSet<IpAddr>,
    tighten: bool,
    now: Timestamp,
) -> Proposal {
    let mut after = service.clone();
    if tighten {
        let excepts = service.entries.iter().filter(|(key, _)| key.kind == Kind::Except);
        let excepts = excepts.map(|(key, entry)| (*key, entry.clone()));
        after.entries = Entries::from_sorted(excepts);
    }
    let kept = after.entries.iter().map(|(key, entry)| (*key, entry.clone())).collect();
    let own = after.entries.clone();
    let (today, after) = (policy.sources(service), policy.sources(&after));
    let excepts = after.excepts(now);
    let mut proposal = Proposal { kept, ..Proposal::default() };
    let mut merging = Merging::default();
    merging.denied.extend(denied.iter().filter(|source| !seen.contains_key(source)));
    let is_enforced = service.mode == Mode::Enforce && policy.is_closed(service);
    for (source, of_it) in seen.iter().filter(|(source, _)| may_be_entered(**source)) {
        proposal.addresses += 1;
        proposal.seen.take(of_it);
        match today.deciding(*source, now).map(|deciding| deciding.key.kind) {
            Some(Kind::Except) => {
                proposal.excepted += 1;
                merging.denied.insert(*source);
                continue;
            }
            None if is_enforced => {
                proposal.denied += 1;
                merging.denied.insert(*source);
                continue;
            }
            _ => {}
        }
        if after.admits(*source, now) {
            proposal.admitted += 1;
        } else if excepts.deciding(*source, now).is_some() {
            merging.alone.insert(*source);
        } else {
            merging.sources.insert(*source);
        }
    }
    for prefix in merge(&merging) {
        let (one, unproven) = summed_up(prefix, &merging, seen);
        if own.get(&EntryKey::manual(prefix, Kind::Allow)).is_some() {
            proposal.ended += one.addresses;
        } else {
            proposal.unproven += unproven;
            proposal.proposed.push(one);
        }
    }
    proposal
}

/// What was seen of the sources in a prefix, and how many of them have no connection.
fn summed_up(
    prefix: Prefix,
    merging: &Merging,
    seen: &BTreeMap<IpAddr, Seen>,
) -> (Proposed, usize) {
    let (mut unproven, mut one) = (0, Proposed { prefix, addresses: 0, seen: Seen::default() });
    let net = prefix.net();
    let is_host = net.prefix_len() == net.max_prefix_len();
    for (source, of_it) in seen.range(net.network()..=net.broadcast()) {
        // One that stays by itself has a line of its own.
        if merging.sources.contains(source) || (is_host && merging.alone.contains(source)) {
            one.addresses += 1;
            one.seen.take(of_it);
            unproven += usize::from(of_it.connections == 0);
        }
    }
    (one, unproven)
}

/// Whether an address can be that of a host, and be written as an entry.
fn may_be_entered(source: IpAddr) -> bool {
    let is_nobody = source.is_unspecified() || source.is_multicast();
    match source {
        IpAddr::V4(v4) => !is_nobody && !v4.is_broadcast(),
        // An IPv6 packet with such a source never matches an entry.
        IpAddr::V6(v6) => !is_nobody && v6.to_ipv4_mapped().is_none(),
    }
}

#[cfg(test)]
mod tests;
