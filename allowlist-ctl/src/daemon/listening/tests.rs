use super::*;
use crate::{
    host::Listeners,
    policy::{
        Author,
        change::{self, Change, Settings},
    },
};

fn interface(ifindex: u32, name: &str, kind: &str) -> Interface {
    Interface {
        ifindex,
        name: name.to_owned(),
        kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        is_ethernet: kind != "wireguard",
        is_up: true,
        ..Interface::default()
    }
}

fn listener(transport: Transport, at: &str, port: u16) -> Listener {
    let address: IpAddr = at.parse().unwrap();
    let takes_ipv4 = address.is_unspecified();
    Listener { transport, port, address, takes_ipv4, bound_to: None }
}

/// A policy with the service `redis` of these settings, on tcp/6379-6380 unless they say otherwise.
fn policy(settings: Settings) -> Policy {
    let ports = if settings.ports.is_empty() {
        ["tcp/6379-6380".parse().unwrap()].into()
    } else {
        settings.ports
    };
    let settings = Settings { ports, ..settings };
    let change = Change::Protect { name: "redis".parse().unwrap(), settings };
    let author = Author { uid: 0, name: "root".into() };
    let now = "2026-11-22T02:00:00Z".parse().unwrap();
    change::apply(&Policy::default(), &change, &author.into(), now).unwrap().policy
}

fn surroundings(listeners: &[Listener]) -> Surroundings {
    let member = |interface, master| Interface { master: Some(master), ..interface };
    let on = |interface, lower| Interface { lower: Some(lower), ..interface };
    let interfaces = vec![
        interface(1, "lo", ""),
        interface(2, "eth0", ""),
        interface(3, "eth1", ""),
        Interface { is_up: false, ..interface(4, "eth2", "") },
        interface(5, "wg0", "wireguard"),
        on(interface(6, "eth0.5", "vlan"), 2),
        interface(7, "br0", "bridge"),
        member(interface(8, "eth3", ""), 7),
        member(interface(9, "eth4", ""), 7),
        on(interface(10, "eth1.5", "vlan"), 3),
    ];
    let address = |ifindex, text: &str| (ifindex, text.parse().unwrap());
    let addresses = vec![
        address(1, "127.0.0.1"),
        address(2, "10.0.0.1"),
        address(3, "fe80::3"),
        address(3, "2001:db8::3"),
        address(3, "10.0.1.1"),
        address(4, "10.0.2.1"),
        address(6, "10.0.5.1"),
    ];
    let listeners = Listeners { all: listeners.iter().copied().collect(), is_cut: false };
    Surroundings { listeners, interfaces, addresses, unknown: Vec::new() }
}

fn found(policy: &Policy, around: &Surroundings, filtered: &[u32]) -> Vec<String> {
    let names = HashMap::from([(3, "wan".to_owned())]);
    let filtered = filtered.iter().copied().collect();
    let found = unfiltered(policy, around, &filtered, &names);
    let told = |one: &Unfiltered| format!("{} {} {}", one.port, one.interface, one.address);
    found.iter().map(told).collect()
}

/// What is tried, what listens, where the filter is, and what is found.
type Case<'a> = (&'a str, Vec<Listener>, &'a [u32], &'a [&'a str]);

#[test]
fn what_listens_where_there_is_no_filter_is_found() {
    let tcp = |at, port| vec![listener(Transport::Tcp, at, port)];
    let bound = |to| vec![Listener { bound_to: Some(to), ..tcp("0.0.0.0", 6379)[0] }];
    let ipv6 = vec![Listener { takes_ipv4: false, ..tcp("::", 6379)[0] }];
    let table: [Case<'_>; 15] = [
        ("at every address", tcp("0.0.0.0", 6379), &[2], &["tcp/6379 eth1 10.0.1.1"]),
        ("at every address of both families", tcp("::", 6380), &[2], &["tcp/6380 eth1 10.0.1.1"]),
        ("at every address of IPv6", ipv6, &[2], &["tcp/6379 eth1 2001:db8::3"]),
        ("at one address", tcp("10.0.1.1", 6379), &[2], &["tcp/6379 eth1 10.0.1.1"]),
        ("at a link-local address", tcp("fe80::3", 6379), &[2], &["tcp/6379 eth1 fe80::3"]),
        ("at one where the filter is", tcp("10.0.0.1", 6379), &[2], &[]),
        ("on loopback", tcp("127.0.0.1", 6379), &[2], &[]),
        ("at an interface that is down", tcp("10.0.2.1", 6379), &[2], &[]),
        ("at an address that is gone", tcp("10.9.9.9", 6379), &[2], &[]),
        ("another port", tcp("0.0.0.0", 6378), &[2], &[]),
        ("another protocol", vec![listener(Transport::Udp, "0.0.0.0", 6379)], &[2], &[]),
        ("bound to an interface", bound(3), &[2], &["tcp/6379 eth1 10.0.1.1"]),
        ("bound to the one with the filter", bound(2), &[2], &[]),
        ("the filter is everywhere", tcp("0.0.0.0", 6379), &[2, 3], &[]),
        (
            "the filter is nowhere",
            tcp("0.0.0.0", 6379),
            &[],
            &["tcp/6379 eth0 10.0.0.1", "tcp/6379 eth1 10.0.1.1", "tcp/6379 eth0.5 10.0.5.1"],
        ),
    ];
    for (description, listeners, filtered, expected) in table {
        let around = surroundings(&listeners);
        assert_eq!(
            found(&policy(Settings::default()), &around, filtered),
            expected,
            "{description}"
        );
    }
}

#[test]
fn what_comes_by_the_filter_below_is_filtered() {
    // (what has an address, where the filter is, whether anything is found)
    let table: [(&str, u32, &[u32], bool); 7] = [
        ("a VLAN on one with the filter", 6, &[2], false),
        ("a VLAN on one without", 10, &[2], true),
        ("a bridge with the filter", 7, &[7], false),
        ("a bridge with the filter on every port", 7, &[8, 9], false),
        ("a bridge with the filter on one port", 7, &[8], true),
        ("a tunnel", 5, &[2, 3], true),
        ("a port of a bridge with the filter", 8, &[7], true),
    ];
    for (description, ifindex, filtered, expected) in table {
        let mut around = surroundings(&[listener(Transport::Tcp, "0.0.0.0", 6379)]);
        around.addresses = vec![(ifindex, "10.0.7.1".parse().unwrap())];
        let found = found(&policy(Settings::default()), &around, filtered);
        assert_eq!(!found.is_empty(), expected, "{description}: {found:?}");
    }
}

#[test]
fn a_service_counts_where_it_is_meant_to_be_protected() {
    let mode = |mode| Settings { mode: Some(mode), ..Settings::default() };
    let on = |names: &[&str]| Settings {
        interfaces: Some(names.iter().map(|&name| name.to_owned()).collect()),
        ..Settings::default()
    };
    let to = |prefix: &str| Settings {
        addresses: Some([prefix.parse().unwrap()].into()),
        ..Settings::default()
    };
    let eth1: &[&str] = &["tcp/6379 eth1 10.0.1.1"];
    let table = [
        ("everywhere", Settings::default(), eth1),
        ("off", mode(Mode::Off), &[]),
        ("in mode monitor", mode(Mode::Monitor), eth1),
        ("on another interface", on(&["eth0"]), &[]),
        ("on this interface, by the name that is wanted", on(&["wan"]), eth1),
        ("to this address", to("10.0.1.0/24"), eth1),
        ("to another address of it", to("2001:db8::/64"), &["tcp/6379 eth1 2001:db8::3"]),
        ("to another address", to("10.0.0.1/32"), &[]),
    ];
    let around = surroundings(&[listener(Transport::Tcp, "::", 6379)]);
    for (description, settings, expected) in table {
        assert_eq!(found(&policy(settings), &around, &[2]), expected, "{description}");
    }
}

#[test]
fn each_service_and_interface_has_a_sentence_with_what_to_type() {
    let one = |service: &str, port: u16, interface: &str, can_attach| Unfiltered {
        service: service.parse().unwrap(),
        port: format!("tcp/{port}").parse().unwrap(),
        interface: interface.into(),
        address: "10.0.1.1".parse().unwrap(),
        can_attach,
    };
    let many = (1..=5).map(|port| one("web", port, "eth1", true)).collect();
    let services = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let table = [
        ("nothing", vec![], vec![]),
        (
            "a port",
            vec![one("redis", 6379, "eth1", true)],
            vec![
                "redis: tcp/6379 also listens on eth1 (10.0.1.1), which has no filter: `allowlist-ctl attach eth1`",
            ],
        ),
        (
            "many ports",
            many,
            vec![
                "web: tcp/1 tcp/2 tcp/3 and 2 more also listens on eth1 (10.0.1.1), which has no filter: `allowlist-ctl attach eth1`",
            ],
        ),
        (
            "a tunnel",
            vec![one("redis", 6379, "wg0", false)],
            vec![
                "redis: tcp/6379 also listens on wg0 (10.0.1.1), which cannot have the filter: where that is meant, limit redis to others with --interface (docs/past.md)",
            ],
        ),
    ];
    for (description, unfiltered, expected) in table {
        assert_eq!(sentences(&unfiltered), expected, "{description}");
    }
    let unfiltered: Vec<_> = services.iter().map(|name| one(name, 1, "eth1", true)).collect();
    let told = sentences(&unfiltered);
    assert_eq!(told.len(), TOLD + 1);
    assert!(told[TOLD].starts_with("2 more services listen on "), "{}", told[TOLD]);
}
