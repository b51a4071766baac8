//! How a packet fares under a policy, by the policy alone: for guards and explanations, never in place of the kernel.

use std::net::{IpAddr, SocketAddr};

use allowlist_common::{
    abi::{Judged, Unmatched},
    parse::{Aside, Protocol},
};
use jiff::Timestamp;

use super::{Entry, EntryKey, Kind, ListNumber, Name, Policy, Service, service::Mode};

/// What of a packet decides about it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The interface it comes in on.
    pub interface: &'a str,
    /// Its transport protocol.
    pub protocol: Protocol,
    /// Destination address and port.
    pub destination: SocketAddr,
    /// Source address.
    pub source: IpAddr,
}

impl<'a> Packet<'a> {
    /// A TCP segment.
    #[must_use]
    pub const fn of_tcp(interface: &'a str, destination: SocketAddr, source: IpAddr) -> Self {
        Self { interface, protocol: Protocol::Tcp, destination, source }
    }
}

/// How a packet of a service is judged.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Its verdict.
    pub judged: Judged,
    /// The entry that decides.
    pub entry: Option<Decided>,
    /// What would decide without it: the next less specific entry.
    pub next: Option<Decided>,
}

/// An entry that decides about a packet.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Its list.
    pub list: ListNumber,
    /// Prefix, kind and origin.
    pub key: EntryKey,
    /// The entry.
    pub entry: Entry,
}

impl Policy {
    /// How a service judges a packet from a source at a moment.
    #[must_use]
    pub fn judge(&self, service: &Service, source: IpAddr, now: Timestamp) -> Judgement {
        if !self.is_closed(service) {
            return Judgement { judged: Judged::AdmittedOpen, entry: None, next: None };
        }
        let sources = self.sources(service);
        let within = |bits: u8| {
            let super::sources::Deciding { list, key, entry } =
                sources.deciding_within(source, bits, now)?;
            Some(Decided { list, key: *key, entry: entry.clone() })
        };
        let entry = within(if source.is_ipv4() { 32 } else { 128 });
        let next = entry.as_ref().and_then(|entry| within(entry.key.prefix.bits().checked_sub(1)?));
        let is_allowed = entry.as_ref().is_some_and(|entry| entry.key.kind == Kind::Allow);
        let judged = match (is_allowed, service.mode) {
            (true, _) => Judged::Admitted,
            (false, Mode::Monitor) => Judged::WouldDeny,
            (false, _) => Judged::Denied,
        };
        Judgement { judged, entry, next }
    }

    /// What becomes of a fragment after the first one, which has no port, on an interface where those are judged by
    /// their source or are not.
    #[must_use]
    pub fn judge_later_fragment(
        &self,
        interface: &str,
        is_strict: bool,
        source: IpAddr,
        now: Timestamp,
    ) -> Unmatched {
        let services: Vec<&Service> = self
            .services
            .values()
            .map(AsRef::as_ref)
            .filter(|service| service.mode != Mode::Off && service.is_on(interface))
            .collect();
        let admits = |service: &&Service| {
            !self.is_closed(service) || self.sources(service).admits(source, now)
        };
        if !is_strict || services.is_empty() || services.iter().any(admits) {
            return Unmatched::passed(Aside::LaterFragment);
        }
        let guards = |service: &&Service| service.mode == Mode::Enforce && self.is_closed(service);
        if services.iter().any(guards) {
            Unmatched::dropped(Aside::FragmentRefused)
        } else {
            Unmatched::passed(Aside::FragmentRefused)
        }
    }

    /// The service that a packet belongs to; services that are off have none.
    #[must_use]
    pub fn service_of(&self, packet: &Packet<'_>) -> Option<(&Name, &Service)> {
        let services = self.services.iter().map(|(name, service)| (name, service.as_ref()));
        services
            .into_iter()
            .find(|(_, service)| service.mode != Mode::Off && service.receives(packet))
    }

    /// The service that drops a packet at a moment; `None` where it passes.
    #[must_use]
    pub fn drops(&self, packet: &Packet<'_>, now: Timestamp) -> Option<&Name> {
        let (name, service) = self.service_of(packet)?;
        let drops = service.mode == Mode::Enforce
            && self.is_closed(service)
            && !self.sources(service).admits(packet.source, now);
        drops.then_some(name)
    }

    /// Whether some service has a port, of whatever protocol.
    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        self.services
            .values()
            .any(|service| service.ports.iter().any(|ports| ports.range().contains(&port)))
    }

    /// Whether a packet that passes under this policy may be dropped under `next`; `false` only where none is.
    #[must_use]
    pub fn may_cut(&self, next: &Self) -> bool {
        next.services.iter().filter(|(_, after)| after.mode == Mode::Enforce).any(
            |(name, after)| {
                let Some(before) = self.services.get(name) else { return next.is_closed(after) };
                let same = before.is_configured_as(after)
                    && self.is_closed(before) == next.is_closed(after);
                !same || !self.sources(before).only_widen_to(&next.sources(after))
            },
        )
    }
}

impl Service {
    /// Whether it is on an interface.
    #[must_use]
    pub fn is_on(&self, interface: &str) -> bool {
        self.interfaces.is_empty() || self.interfaces.contains(interface)
    }

    /// Whether a packet is sent to this service.
    fn receives(&self, packet: &Packet<'_>) -> bool {
        let Packet { interface, protocol, destination, .. } = packet;
        let port = destination.port();
        let has_port = self
            .ports
            .iter()
            .any(|ports| ports.protocol == *protocol && ports.range().contains(&port));
        let address = destination.ip();
        has_port
            && self.is_on(interface)
            && (self.addresses.is_empty()
                || self.addresses.iter().any(|prefix| prefix.covers(address)))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::policy::{
        Author,
        change::{Change, Settings, apply},
        lines,
        service::WhenEmpty,
    };

    fn make(policy: &Policy, change: &Change) -> Policy {
        let author = Arc::new(Author { uid: 0, name: "root".into() });
        apply(policy, change, &author, Timestamp::UNIX_EPOCH).unwrap().policy
    }

    fn protect(settings: Settings) -> Change {
        let ports = BTreeSet::from(["tcp/22".parse().unwrap()]);
        Change::Protect { name: "ssh".parse().unwrap(), settings: Settings { ports, ..settings } }
    }

    fn replace(text: &str) -> Change {
        Change::Replace { name: "ssh".parse().unwrap(), entries: lines::parse(text).unwrap() }
    }

    fn drops(policy: &Policy, interface: &str, destination: &str, source: &str) -> bool {
        let packet =
            Packet::of_tcp(interface, destination.parse().unwrap(), source.parse().unwrap());
        policy.drops(&packet, Timestamp::UNIX_EPOCH).is_some()
    }

    #[test]
    fn a_packet_is_dropped_where_its_service_closes_and_does_not_admit_it() {
        let settings = Settings {
            interfaces: Some(["eth0".to_owned()].into()),
            addresses: Some(["192.0.2.0/24".parse().unwrap()].into()),
            ..Settings::default()
        };
        let open = make(&Policy::default(), &protect(settings));
        let closed = make(&open, &replace("10.0.0.1\n10.0.0.2 until=1969-01-01T00:00Z"));
        let table = [
            (&open, "eth0", "192.0.2.1:22", "10.9.9.9", false),
            (&closed, "eth0", "192.0.2.1:22", "10.9.9.9", true),
            (&closed, "eth0", "192.0.2.1:22", "10.0.0.1", false),
            (&closed, "eth0", "192.0.2.1:22", "10.0.0.2", true),
            (&closed, "eth0", "192.0.2.1:22", "2001:db8::1", true),
            (&closed, "eth1", "192.0.2.1:22", "10.9.9.9", false),
            (&closed, "eth0", "198.51.100.1:22", "10.9.9.9", false),
            (&closed, "eth0", "192.0.2.1:23", "10.9.9.9", false),
        ];
        for (policy, interface, destination, source, expected) in table {
            let found = drops(policy, interface, destination, source);
            assert_eq!(found, expected, "{interface} {destination} {source}");
        }
        for mode in [Mode::Monitor, Mode::Off] {
            let name = "ssh".parse().unwrap();
            let policy = make(&closed, &Change::SetMode { name, mode });
            assert!(!drops(&policy, "eth0", "192.0.2.1:22", "10.9.9.9"), "{mode:?}");
        }
    }

    #[test]
    fn only_a_change_that_admits_fewer_may_cut() {
        let open = make(&Policy::default(), &protect(Settings::default()));
        let closed = make(&open, &replace("10.0.0.0/8 until=2030-01-01T00:00Z\n!10.6.0.0/16"));
        let when_empty = Some(WhenEmpty::Closed);
        let monitor = Change::SetMode { name: "ssh".parse().unwrap(), mode: Mode::Monitor };
        let from_closed = [
            ("10.0.0.0/8 until=2030-01-01T00:00Z\n!10.6.0.0/16 # a comment", false),
            ("10.0.0.0/8\n10.1.0.0/16\n!10.6.0.0/16", false),
            ("10.0.0.0/8", false),
            ("10.0.0.0/8\n!10.6.0.0/16 until=2030-01-01T00:00Z", false),
            ("10.0.0.0/8 until=2029-01-01T00:00Z\n!10.6.0.0/16", true),
            ("10.0.0.0/8\n!10.6.0.0/16\n!10.7.0.0/16", true),
            ("10.0.0.0/9\n!10.6.0.0/16", true),
        ];
        for (text, expected) in from_closed {
            assert_eq!(closed.may_cut(&make(&closed, &replace(text))), expected, "{text}");
        }
        assert!(
            open.may_cut(&closed)
                && open.may_cut(&make(
                    &open,
                    &protect(Settings { when_empty, ..Settings::default() })
                ))
        );
        assert!(
            make(&closed, &monitor).may_cut(&closed) && !closed.may_cut(&make(&closed, &monitor))
        );
        assert!(!Policy::default().may_cut(&open));
    }
}
