//! Random policies: few ports and few networks, so that services meet, and prefixes nest and tie.

use std::net::IpAddr;

use allowlist::policy::{
    EntryKey, Kind, Policy, Prefix, Service,
    group::TRUSTED,
    port::Ports,
    service::{Action, Mode, WhenEmpty},
};
use allowlist_common::parse::Protocol;
use ipnet::IpNet;
use jiff::{Timestamp, ToSpan as _};
use xtask::random::Random;

use crate::policies::{Line, policy_with_groups};

/// A policy and how the interface is configured.
pub(super) struct Drawn {
    pub(super) policy: Policy,
    pub(super) strict: bool,
}

/// Networks that entries lie around.
pub(super) const SOURCES: [&str; 6] =
    ["10.1.2.3", "10.1.130.9", "203.0.113.77", "2001:db8:1:2::3", "2001:db8:1:8000::9", "fe80::1"];
/// Addresses of this host, and of those behind it.
pub(super) const DESTINATIONS: [&str; 6] = [
    "198.51.100.1",
    "198.51.100.2",
    "198.51.101.1",
    "2001:db8:ffff::1",
    "2001:db8:ffff::2",
    "2001:db8:fffe::1",
];
/// Ports around which services lie.
pub(super) const PORTS: [u16; 8] = [22, 80, 255, 256, 6379, 6380, 40_000, 65_535];

/// In strict mode a fragment's source is followed over so many ended prefixes only.
const ENDED: usize = 4;

/// Groups that services may include, and the one that all of them do.
const GROUPS: [&str; 4] = ["g1", "g2", "g3", TRUSTED];

pub(super) fn draw(random: &mut Random) -> Drawn {
    let names: Vec<_> = GROUPS.into_iter().filter(|_| random.once_in(2)).collect();
    let groups: Vec<_> = names.into_iter().map(|name| (name, few_lines(random))).collect();
    let mut services: Vec<(Service, Vec<Line>)> = Vec::new();
    for _ in 0..random.below(10) {
        let mut service = service(random);
        let included = groups.iter().filter(|(name, _)| *name != TRUSTED && random.once_in(3));
        service.includes = included.map(|(name, _)| name.parse().unwrap()).collect();
        // A port on one interface and address belongs to one service.
        if services.iter().all(|(other, _)| service.shares_a_port_with(other).is_none()) {
            let lines = if random.once_in(3) { Vec::new() } else { lines(random, 16, ENDED) };
            services.push((service, lines));
        }
    }
    Drawn { policy: policy_with_groups(services, groups), strict: random.once_in(2) }
}

fn service(random: &mut Random) -> Service {
    let mut service = Service {
        ports: (0..=random.below(3)).map(|_| ports(random)).collect(),
        mode: random.one_of(&[
            Mode::Enforce,
            Mode::Enforce,
            Mode::Enforce,
            Mode::Monitor,
            Mode::Monitor,
            Mode::Off,
        ]),
        action: random.one_of(&[Action::Drop, Action::Drop, Action::Reject]),
        when_empty: random.one_of(&[WhenEmpty::Open, WhenEmpty::Closed]),
        ..Service::default()
    };
    if random.once_in(4) {
        let names = random.one_of::<&[&str]>(&[&["lo"], &["eth9"], &["eth9", "lo"]]);
        service.interfaces = names.iter().map(ToString::to_string).collect();
    }
    if random.once_in(2) {
        for _ in 0..=random.below(3) {
            let bits = random.one_of(&[[32, 128], [24, 48], [25, 64], [16, 47], [0, 0]]);
            service.addresses.extend(prefix(random.one_of(&DESTINATIONS), bits));
        }
    }
    service
}

fn ports(random: &mut Random) -> Ports {
    let protocol = random.one_of(&[
        Protocol::Tcp,
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::UdpLite,
        Protocol::Sctp,
        Protocol::Dccp,
    ]);
    let first = random.one_of(&PORTS);
    let length = random.one_of(&[0, 0, 0, 1, 300, 5000]);
    Ports { protocol, first, last: first.saturating_add(length) }
}

/// Entries of a group; without ended ones, of which a service has enough.
fn few_lines(random: &mut Random) -> Vec<Line> {
    lines(random, 6, 0)
}

fn lines(random: &mut Random, most: usize, most_ended: usize) -> Vec<Line> {
    let now = Timestamp::now();
    let mut ended = 0;
    let mut lines = Vec::new();
    for _ in 0..random.below(most) {
        let bits = match random.below(4) {
            0 => random.one_of(&[[0, 0], [1, 1], [31, 127], [32, 128]]),
            1 => random.one_of(&[[24, 64], [16, 48], [17, 49], [8, 32]]),
            _ => [random.below(33), random.below(129)].map(|bits| u8::try_from(bits).unwrap()),
        };
        let Some(prefix) = prefix(random.one_of(&SOURCES), bits) else { continue };
        let until = match random.below(4) {
            0 if ended < most_ended => {
                ended += 1;
                Some(now - random.one_of(&[1.minute(), 100_000.hours()]))
            }
            1 => Some(now + random.one_of(&[1.hour(), 100_000.hours()])),
            _ => None,
        };
        let kind = random.one_of(&[Kind::Allow, Kind::Allow, Kind::Except]);
        lines.push((EntryKey::manual(prefix, kind), until));
        if random.once_in(4) {
            let other = if kind == Kind::Allow { Kind::Except } else { Kind::Allow };
            lines.push((EntryKey::manual(prefix, other), None));
        }
    }
    lines
}

/// The prefix around an address, by its lengths for IPv4 and IPv6.
fn prefix(address: &str, [v4, v6]: [u8; 2]) -> Option<Prefix> {
    let address: IpAddr = address.parse().unwrap();
    let bits = if address.is_ipv4() { v4 } else { v6 };
    Prefix::new(IpNet::new(address, bits).unwrap().trunc())
}
