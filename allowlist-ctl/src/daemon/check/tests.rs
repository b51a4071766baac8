use std::{collections::BTreeSet, sync::Arc};

use super::*;
use crate::policy::Prefix;

fn policy() -> Policy {
    let service = |number: u16, ports: &[&str], addresses: &[&str]| Service {
        number,
        ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
        addresses: addresses.iter().map(|text| text.parse::<Prefix>().unwrap()).collect(),
        ..Service::default()
    };
    let mut policy = Policy::default();
    for (name, service) in [
        ("dns", service(1, &["tcp/53", "udp/53"], &[])),
        (
            "inner",
            Service {
                interfaces: BTreeSet::from(["eth1".to_owned()]),
                ..service(2, &["tcp/9000-9010"], &[])
            },
        ),
        ("prod", service(3, &["tcp/443"], &["198.51.100.8", "2001:db8:8::/64"])),
        ("staging", service(4, &["tcp/443"], &["198.51.100.9"])),
    ] {
        policy.services.insert(name.parse().unwrap(), Arc::new(service));
    }
    policy
}

fn question(address: &str, port: &str) -> Question {
    Question {
        address: address.parse().unwrap(),
        port: (!port.is_empty()).then(|| port.to_owned()),
        interface: None,
        to: None,
        vlan: None,
        fragment: None,
    }
}

/// The aims as text: service, protocol, destination.
fn told(question: &Question) -> String {
    match aims(question, &policy()) {
        Ok(aims) => {
            let aims = aims.iter().map(|aim| {
                let service = aim.service.as_ref().map_or("-", Name::as_str);
                format!("{service} {:?} {}", aim.protocol, aim.destination)
            });
            aims.collect::<Vec<_>>().join(", ")
        }
        Err(problem) => problem.message,
    }
}

#[test]
fn a_question_is_answered_by_a_packet_to_each_service_that_it_is_about() {
    let table = [
        ("10.0.0.1", "53", "dns Tcp 192.0.2.1:53, dns Udp 192.0.2.1:53"),
        ("10.0.0.1", "udp/53", "dns Udp 192.0.2.1:53"),
        ("10.0.0.1", "dns", "dns Tcp 192.0.2.1:53"),
        ("10.0.0.1", "9004", "inner Tcp 192.0.2.1:9004"),
        ("10.0.0.1", "443", "prod Tcp 198.51.100.8:443, staging Tcp 198.51.100.9:443"),
        ("2001:db8::7", "prod", "prod Tcp [2001:db8:8::]:443"),
        ("::ffff:10.0.0.1", "prod", "prod Tcp 198.51.100.8:443"),
        ("10.0.0.1", "80", "- Tcp 192.0.2.1:80"),
        ("10.0.0.1", "sctp/80", "- Sctp 192.0.2.1:80"),
        (
            "10.0.0.1",
            "",
            "dns Tcp 192.0.2.1:53, inner Tcp 192.0.2.1:9000, prod Tcp 198.51.100.8:443, \
             staging Tcp 198.51.100.9:443",
        ),
        ("10.0.0.1", "nobody", "there is no service 'nobody'"),
        ("10.0.0.1", "0", "0 is no port: use 1 to 65535"),
        ("10.0.0.1", "tcp/1-9", "'tcp/1-9' is more than one port: name one"),
        (
            "10.0.0.1",
            "icmp/1",
            "'icmp' is no protocol with ports: use tcp, udp, udplite, sctp or dccp",
        ),
        (
            "10.0.0.1",
            "Redis!",
            "'Redis!' is neither a port nor the name of a service: write 6379, tcp/6379 or redis",
        ),
    ];
    for (address, port, expected) in table {
        assert_eq!(told(&question(address, port)), expected, "{address} {port}");
    }
}

#[test]
fn a_question_may_say_where_the_packet_goes() {
    let to = |to: &str| Question { to: Some(to.parse().unwrap()), ..question("10.0.0.1", "prod") };
    assert_eq!(told(&to("203.0.113.5")), "prod Tcp 203.0.113.5:443");
    assert_eq!(
        told(&to("2001:db8::5")),
        "10.0.0.1 sends nothing to an address of the other IP version"
    );
    let tagged = Question { vlan: Some(4095), ..question("10.0.0.1", "prod") };
    assert_eq!(told(&tagged), "4095 is no VLAN: use 1 to 4094");
    let elsewhere = Question { interface: Some("eth0".to_owned()), ..question("10.0.0.1", "9000") };
    assert_eq!(told(&elsewhere), "- Tcp 192.0.2.1:9000");
}
