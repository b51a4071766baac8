//! Merging of addresses into prefixes that are no wider than what was seen warrants.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::policy::Prefix;

/// An IPv6 host has addresses within a prefix of so many bits, and changes them (RFC 8981).
const HOST_BITS: u8 = 64;
/// At least so many of a prefix's addresses must have been seen for the others to be admitted with them.
const FEWEST: usize = 4;
/// Of each half of the prefix one in so many must have been seen.
const SHARE: u128 = 4;
/// A prefix that has others in it is no shorter than this.
const SHORTEST: [u8; 2] = [24, 48];

/// What is to be merged.
#[derive(Clone, Debug, Default)]
pub(super) struct Merging {
    /// Sources that may be merged with their neighbours.
    pub(super) sources: BTreeSet<IpAddr>,
    /// Sources that must stay by themselves: an except lies around them, and a shorter prefix would not admit them.
    pub(super) alone: BTreeSet<IpAddr>,
    /// Sources that must be in none of the prefixes.
    pub(super) denied: BTreeSet<IpAddr>,
}

/// Addresses, or prefixes of the same length, as numbers in order.
struct Units {
    /// Bits of each.
    bits: u8,
    /// The shortest prefix that may have units in it which were not seen.
    shortest: u8,
    seen: Vec<u128>,
    denied: Vec<u128>,
}

/// The prefixes, in order.
pub(super) fn merge(merging: &Merging) -> BTreeSet<Prefix> {
    let Merging { sources, alone, denied } = merging;
    let mut merged: BTreeSet<Prefix> = alone.iter().map(|source| host(*source)).collect();
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = sources.iter().partition(|source| source.is_ipv4());
    let subnets: BTreeSet<u128> = denied.iter().chain(alone).copied().filter_map(subnet).collect();
    let with_host = |source: &IpAddr| subnet(*source).filter(|subnet| !subnets.contains(subnet));
    let hosts: Vec<IpAddr> =
        v6.iter().copied().filter(|source| with_host(source).is_none()).collect();
    let [v4_shortest, v6_shortest] = SHORTEST;
    let of = |addresses: &mut dyn Iterator<Item = IpAddr>| addresses.map(number).collect();
    let v4 = Units {
        bits: 32,
        shortest: v4_shortest,
        seen: of(&mut v4.iter().copied()),
        denied: of(&mut denied.iter().copied().filter(IpAddr::is_ipv4)),
    };
    let mut seen: Vec<u128> = v6.iter().filter_map(with_host).collect();
    seen.dedup();
    let denied = subnets.into_iter().collect();
    let v6 = Units { bits: HOST_BITS, shortest: v6_shortest, seen, denied };
    // Those in whose subnet somebody is not to be admitted: only what was seen.
    let hosts =
        Units { bits: 128, shortest: 128, seen: of(&mut hosts.into_iter()), denied: Vec::new() };
    for (units, is_v4) in [(v4, true), (v6, false), (hosts, false)] {
        let mut put = |start: u128, bits: u8| merged.extend(prefix(start, bits, &units, is_v4));
        units.split(0, 0, &units.seen, &mut put);
    }
    merged
}

impl Units {
    /// Splits a prefix, given as its first unit and its length, until each part was seen or may be admitted with it.
    fn split(&self, start: u128, bits: u8, seen: &[u128], put: &mut impl FnMut(u128, u8)) {
        match seen {
            [] => return,
            [one] => return put(*one, self.bits),
            _ => {}
        }
        let half = 1_u128 << (self.bits - bits - 1);
        let middle = start + half;
        let halves = seen.split_at(seen.partition_point(|unit| *unit < middle));
        let [low, high] = [halves.0.len(), halves.1.len()].map(|seen| seen as u128);
        let is_all = low == half && high == half;
        let is_most = bits >= self.shortest
            && seen.len() >= FEWEST
            && low * SHARE >= half
            && high * SHARE >= half
            && !self.has_denied(start, middle + (half - 1));
        if is_all || is_most {
            return put(start, bits);
        }
        self.split(start, bits + 1, halves.0, put);
        self.split(middle, bits + 1, halves.1, put);
    }

    fn has_denied(&self, first: u128, last: u128) -> bool {
        let next = self.denied.partition_point(|unit| *unit < first);
        self.denied.get(next).is_some_and(|unit| *unit <= last)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The IPv6 subnet that is a host's alone, as the number of its first bits; `None` where others are in it: neighbours
/// (link-local), IPv4 hosts behind a translator (RFC 6052), or those of a Teredo relay (RFC 4380).
fn subnet(address: IpAddr) -> Option<u128> {
    const SHARED: [(u128, u8); 3] =
        [(0xfe80 << 112, 10), (0x0064_ff9b << 96, 96), (0x2001_0000 << 96, 32)];
    let IpAddr::V6(v6) = address else { return None };
    let bits = v6.to_bits();
    let is_shared = SHARED.iter().any(|(prefix, length)| (bits ^ prefix) >> (128 - length) == 0);
    (!is_shared).then_some(bits >> (128 - HOST_BITS))
}

fn host(address: IpAddr) -> Prefix {
    match address {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The prefix that begins with a unit.
fn prefix(start: u128, bits: u8, units: &Units, is_v4: bool) -> Option<Prefix> {
    let net: IpNet = if is_v4 {
        Ipv4Net::new(u32::try_from(start).ok()?.into(), bits).ok()?.into()
    } else {
        Ipv6Net::new((start << (128 - units.bits)).into(), bits).ok()?.into()
    };
    Prefix::new(net)
}
