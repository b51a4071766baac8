//! Making policies.

use std::sync::Arc;

use allowlist::policy::{
    Author, Entries, Entry, EntryIds, EntryKey, Group, Policy, Service, entry::parse_keys,
};
use jiff::Timestamp;

use crate::table;

/// An entry as tests state it: prefix and kind, and when it ends.
pub(crate) type Line = (EntryKey, Option<Timestamp>);

/// Reads entries as they are written, without an end.
pub(crate) fn lines(texts: &[&str]) -> Vec<Line> {
    let keys = texts.iter().flat_map(|text| parse_keys(text).unwrap());
    keys.map(|key| (key, None)).collect()
}

/// The policy of services with their entries; it numbers both.
pub(crate) fn policy(services: impl IntoIterator<Item = (Service, Vec<Line>)>) -> Policy {
    policy_with_groups(services, [])
}

/// The same with groups, `trusted` perhaps among them.
pub(crate) fn policy_with_groups(
    services: impl IntoIterator<Item = (Service, Vec<Line>)>,
    groups: impl IntoIterator<Item = (&'static str, Vec<Line>)>,
) -> Policy {
    let mut policy = Policy { revision: 1, ..Policy::default() };
    for (number, (service, lines)) in (1..).zip(services) {
        let service = Service { number, entries: entries(&mut policy.ids, lines), ..service };
        policy.services.insert(format!("s{number}").parse().unwrap(), Arc::new(service));
    }
    for (number, (name, lines)) in (1024..).zip(groups) {
        let group = Group { number, entries: entries(&mut policy.ids, lines), ..Group::default() };
        policy.groups.insert(name.parse().unwrap(), Arc::new(group));
    }
    policy
}

fn entries(ids: &mut EntryIds, lines: Vec<Line>) -> Entries {
    let author = Arc::new(Author { uid: 0, name: "root".into() });
    let mut entries = Entries::default();
    for (key, expires_at) in lines {
        let added_by = Arc::clone(&author);
        let added_at = Timestamp::UNIX_EPOCH;
        let entry = Entry { id: ids.take(), comment: None, added_by, added_at, expires_at };
        entries.insert(key, entry);
    }
    entries
}

/// A service of these ports.
pub(crate) fn service(ports: &[String]) -> Service {
    let ports = ports.iter().map(|port| port.parse().unwrap()).collect();
    Service { ports, ..Service::default() }
}

/// The policy of the table; `change` may change its closed service.
pub(crate) fn of_the_table(change: impl FnOnce(&mut Service)) -> Policy {
    let protocols = ["tcp", "udp", "udplite", "sctp", "dccp"];
    let mut closed = service(&protocols.map(|protocol| format!("{protocol}/{}", table::PORT)));
    change(&mut closed);
    let mut monitor = service(&[format!("tcp/{}", table::MONITOR_PORT)]);
    monitor.mode = allowlist::policy::service::Mode::Monitor;
    let made = policy([
        (closed, lines(&table::ENTRIES)),
        (service(&[format!("tcp/{}", table::OPEN_PORT)]), Vec::new()),
        (monitor, lines(&table::ENTRIES)),
    ]);
    assert_eq!((table::CLOSED, table::OPEN, table::MONITOR), (1, 2, 3));
    made
}
