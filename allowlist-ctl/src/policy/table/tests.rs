use std::sync::Arc;

use super::*;

fn service(number: u16, ports: &[&str], interfaces: &[&str]) -> Service {
    Service {
        number,
        ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
        interfaces: interfaces.iter().map(ToString::to_string).collect(),
        ..Service::default()
    }
}

fn policy(services: Vec<Service>) -> Policy {
    let named = services
        .into_iter()
        .map(|service| (format!("s{}", service.number).parse().unwrap(), Arc::new(service)));
    Policy { services: named.collect(), ..Policy::default() }
}

fn interfaces(table: &[(&str, u32)]) -> Surroundings {
    let placed = |(name, ifindex): &(&str, u32)| {
        ((*name).to_owned(), Placement { ifindices: [*ifindex].into(), strict: false })
    };
    Surroundings { interfaces: table.iter().map(placed).collect(), ..Surroundings::default() }
}

fn number(table: &PolicyTable, ifindex: u32, protocol: Protocol, port: u16) -> u16 {
    table.port(table.row(ifindex), protocol, port)
}

#[test]
fn a_port_finds_its_service_on_its_interface() {
    let policy = policy(vec![
        service(1, &["tcp/6379", "udp/5000-5300"], &[]),
        service(2, &["tcp/80"], &["eth0"]),
        service(3, &["tcp/80", "tcp/1-5"], &["eth1"]),
    ]);
    let interfaces = interfaces(&[("eth0", 2), ("eth1", 3), ("eth2", 1_000_003)]);
    let table = compile(&policy, &interfaces).unwrap();
    let rows = [
        (2, Protocol::Tcp, 6379, 1),
        (99, Protocol::Tcp, 6379, 1),
        (2, Protocol::Udp, 6379, 0),
        (2, Protocol::Udp, 5000, 1),
        (3, Protocol::Udp, 5300, 1),
        (3, Protocol::Udp, 5301, 0),
        (3, Protocol::Udp, 4999, 0),
        (2, Protocol::Tcp, 80, 2),
        (3, Protocol::Tcp, 80, 3),
        (1_000_003, Protocol::Tcp, 80, 0),
        (99, Protocol::Tcp, 80, 0),
        (3, Protocol::Tcp, 5, 3),
        (2, Protocol::Tcp, 5, 0),
    ];
    for (ifindex, protocol, port, expected) in rows {
        let found = number(&table, ifindex, protocol, port);
        assert_eq!(found, expected, "interface {ifindex} {protocol:?}/{port}");
    }
}

#[test]
fn a_service_that_is_off_has_no_ports() {
    let mut off = service(1, &["tcp/22"], &[]);
    off.mode = Mode::Off;
    let table = compile(&policy(vec![off]), &interfaces(&[])).unwrap();
    assert_eq!(number(&table, 2, Protocol::Tcp, 22), 0);
}

#[test]
fn only_a_closed_enforced_service_guards_its_interface() {
    let mut closed = service(1, &["tcp/22"], &["eth0"]);
    closed.when_empty = crate::policy::service::WhenEmpty::Closed;
    let open = service(2, &["tcp/23"], &["eth1"]);
    let table =
        compile(&policy(vec![closed, open]), &interfaces(&[("eth0", 2), ("eth1", 3)])).unwrap();
    assert_eq!(table.row(2).guarded, 1);
    assert_eq!(table.row(3).guarded, 0);
    assert_eq!(table.row(4).guarded, 0);
}

#[test]
fn many_interfaces_have_places_of_their_own() {
    let names: Vec<String> = (0..100).map(|n| format!("eth{n}")).collect();
    let services = (1..=20)
        .map(|number| service(number, &["tcp/22"], &[&names[usize::from(number)]]))
        .collect();
    let indices: Vec<(&str, u32)> =
        names.iter().map(String::as_str).zip((0..).map(|n| 7 + 13 * n)).collect();
    let interfaces = interfaces(&indices);
    let table = compile(&policy(services), &interfaces).unwrap();
    for (name, ifindex) in &indices {
        let expected: u16 = name[3..].parse().unwrap();
        let expected = if (1..=20).contains(&expected) { expected } else { 0 };
        assert_eq!(number(&table, *ifindex, Protocol::Tcp, 22), expected, "{name}");
    }
}

#[test]
fn a_policy_that_does_not_fit_is_refused() {
    let names: Vec<String> = (0..40).map(|n| format!("eth{n}")).collect();
    let services = (1..=40)
        .map(|number| service(number, &["tcp/22"], &[&names[usize::from(number) - 1]]))
        .collect();
    let indices: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(0..).collect();
    let interfaces = interfaces(&indices);
    let result = compile(&policy(services), &interfaces);
    assert_eq!(result.unwrap_err(), TableFull::Rows);
}
