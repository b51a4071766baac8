//! Which entry decides: borders of prefixes, excepts, ties, families.

use super::{
    Fate, MONITOR_PORT, PORT, Row,
    build::{V4, V6},
    row,
};

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) fn rows() -> Vec<Row> {
    let (yes, no) = (Fate::Admitted, Fate::Denied);
    let v4 = [
        ("10.0.255.255", no),
        ("10.1.0.0", yes),
        ("10.1.5.255", yes),
        ("10.1.6.0", no),
        ("10.1.6.127", no),
        ("10.1.6.128", yes),
        ("10.1.6.255", yes),
        // Allow and except of the same prefix: the except wins; an allow below it wins again.
        ("10.1.7.0", no),
        ("10.1.7.8", no),
        ("10.1.7.9", yes),
        ("10.1.7.10", no),
        ("10.1.7.255", no),
        ("10.1.8.0", yes),
        ("10.1.255.255", yes),
        ("10.2.0.0", no),
        ("1.10.0.1", no),
        ("0.0.0.0", no),
        ("127.0.0.1", no),
        ("224.0.0.1", no),
        ("255.255.255.255", no),
        // The first bytes of the allowed IPv6 prefix.
        ("32.1.13.184", no),
    ];
    let v6 = [
        ("2001:db8:0:ffff:ffff:ffff:ffff:ffff", no),
        ("2001:db8:1::", yes),
        ("2001:db8:1:5:ffff:ffff:ffff:ffff", yes),
        ("2001:db8:1:6::", no),
        ("2001:db8:1:6:7fff:ffff:ffff:ffff", no),
        ("2001:db8:1:6:8000::", yes),
        ("2001:db8:1:6:ffff:ffff:ffff:ffff", yes),
        ("2001:db8:1:7::", yes),
        ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", yes),
        ("2001:db8:2::", no),
        ("::", no),
        ("::1", no),
        ("ff02::1", no),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", no),
        // An IPv6 packet never matches an IPv4 entry, however its source is written.
        ("::ffff:10.1.0.7", no),
        ("::10.1.0.7", no),
        ("64:ff9b::10.1.0.7", no),
        ("2002:a01:7::", no),
        ("a01:7::", no),
        ("a01::", no),
    ];
    let mut rows = Vec::new();
    for (text, fate) in v4 {
        let source = text.parse::<Ipv4Addr>().unwrap().octets();
        rows.push(row(format!("from {text}"), V4 { source, ..V4::to(PORT) }.frame(), fate));
        if fate == no {
            let monitored = V4 { source, ..V4::to(MONITOR_PORT) };
            rows.push(row(
                format!("from {text} to the monitored port"),
                monitored.frame(),
                Fate::WouldDeny,
            ));
        }
    }
    for (text, fate) in v6 {
        let source = text.parse::<Ipv6Addr>().unwrap().octets();
        rows.push(row(format!("from {text}"), V6 { source, ..V6::to(PORT) }.frame(), fate));
        if fate == no {
            let monitored = V6 { source, ..V6::to(MONITOR_PORT) };
            rows.push(row(
                format!("from {text} to the monitored port"),
                monitored.frame(),
                Fate::WouldDeny,
            ));
        }
    }
    rows
}
