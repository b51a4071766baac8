use std::collections::BTreeSet;

use super::*;
use crate::policy::{Entries, Service, entry::parse_keys, lines, service::WhenEmpty};

mod groups;
mod whole;

struct Desk(Policy);

impl Desk {
    fn new() -> Self {
        let mut desk = Self(Policy::default());
        desk.protect("redis", &["tcp/6379"]).unwrap();
        desk
    }

    fn make(&mut self, change: &Change) -> Result<Tally, Refusal> {
        let author = Arc::new(Author { uid: 0, name: "root".into() });
        let outcome = apply(&self.0, change, &author, Timestamp::UNIX_EPOCH)?;
        self.0 = outcome.policy;
        Ok(outcome.tally)
    }

    fn protect(&mut self, name: &str, ports: &[&str]) -> Result<Tally, Refusal> {
        self.protect_with(name, ports, Settings::default())
    }

    fn protect_with(
        &mut self,
        name: &str,
        ports: &[&str],
        settings: Settings,
    ) -> Result<Tally, Refusal> {
        let ports = ports.iter().map(|port| port.parse().unwrap()).collect();
        let name = name.parse().unwrap();
        self.make(&Change::Protect { name, settings: Settings { ports, ..settings } })
    }

    fn add(&mut self, name: &str, text: &str) -> Result<Tally, Refusal> {
        let entries = lines::parse(text).unwrap();
        self.make(&Change::Add { name: name.parse().unwrap(), entries })
    }

    fn replace(&mut self, name: &str, text: &str) -> Result<Tally, Refusal> {
        let entries = lines::parse(text).unwrap();
        self.make(&Change::Replace { name: name.parse().unwrap(), entries })
    }

    fn remove(&mut self, name: &str, keys: &[&str]) -> Result<Tally, Refusal> {
        let keys = keys.iter().flat_map(|key| parse_keys(key).unwrap()).collect();
        self.make(&Change::Remove { name: name.parse().unwrap(), keys })
    }

    fn service(&self, name: &str) -> &Service {
        &self.0.services[name]
    }

    fn is_closed(&self, name: &str) -> bool {
        self.0.is_closed(self.service(name))
    }

    fn entries(&self, name: &str) -> &Entries {
        self.0.entries(&name.parse().unwrap()).unwrap()
    }

    fn shown(&self, name: &str) -> Vec<String> {
        let entries = self.entries(name).iter();
        entries
            .map(|(key, entry)| format!("{key} {}", entry.comment.as_deref().unwrap_or("-")))
            .collect()
    }

    /// What the operator is told about the entries of a change.
    fn told(&mut self, change: &Change) -> Vec<String> {
        let author = Arc::new(Author { uid: 0, name: "root".into() });
        let outcome = apply(&self.0, change, &author, Timestamp::UNIX_EPOCH).unwrap();
        self.0 = outcome.policy;
        outcome.notes.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn a_service_is_open_until_its_first_entry_and_after_its_last() {
    let mut desk = Desk::new();
    assert!(!desk.is_closed("redis"));
    desk.add("redis", "10.0.0.1").unwrap();
    assert!(desk.is_closed("redis"));
    let closed = desk.0.clone();
    desk.remove("redis", &["10.0.0.1"]).unwrap();
    assert!(!desk.is_closed("redis"));
    assert_eq!(closed.opened_by(&desk.0), ["redis".parse().unwrap()]);
    assert_eq!(desk.0.opened_by(&closed), []);
}

#[test]
fn removing_a_closed_service_opens_its_ports() {
    let mut desk = Desk::new();
    desk.add("redis", "10.0.0.1").unwrap();
    let closed = desk.0.clone();
    desk.make(&Change::Unprotect { name: "redis".parse().unwrap() }).unwrap();
    assert_eq!(closed.opened_by(&desk.0), ["redis".parse().unwrap()]);
}

#[test]
fn the_revision_grows_with_each_change_and_only_then() {
    let mut desk = Desk::new();
    assert_eq!(desk.0.revision, 1);
    desk.protect("redis", &["tcp/6379"]).unwrap();
    assert_eq!(desk.0.revision, 1);
    desk.add("redis", "10.0.0.1 # a").unwrap();
    desk.add("redis", "10.0.0.1 # a").unwrap();
    assert_eq!(desk.0.revision, 2);
    desk.add("redis", "10.0.0.1 # b").unwrap();
    desk.replace("redis", "10.0.0.1 # b").unwrap();
    assert_eq!(desk.0.revision, 3);
}

#[test]
fn an_entry_that_is_there_gets_the_new_comment_and_keeps_its_id() {
    let mut desk = Desk::new();
    desk.add("redis", "10.0.0.0/8 # old\n!10.0.0.0/8").unwrap();
    let id = desk.service("redis").entries.iter().next().unwrap().1.id;
    let tally = desk.add("redis", "10.0.0.0/8 # new").unwrap();
    assert_eq!(tally, Tally { updated: 1, ..Tally::default() });
    assert_eq!(desk.shown("redis"), ["10.0.0.0/8 new", "!10.0.0.0/8 -"]);
    assert_eq!(desk.service("redis").entries.iter().next().unwrap().1.id, id);
}

#[test]
fn adding_again_without_a_comment_keeps_the_comment() {
    let mut desk = Desk::new();
    desk.add("redis", "10.0.0.1 # alice").unwrap();
    let tally = desk.add("redis", "10.0.0.1").unwrap();
    assert_eq!(tally, Tally { unchanged: 1, ..Tally::default() });
    assert_eq!(desk.shown("redis"), ["10.0.0.1/32 alice"]);
    desk.replace("redis", "10.0.0.1").unwrap();
    assert_eq!(desk.shown("redis"), ["10.0.0.1/32 -"]);
}

#[test]
fn adding_again_says_what_is_new() {
    let add = |text: &str| Change::Add {
        name: "redis".parse().unwrap(),
        entries: lines::parse(text).unwrap(),
    };
    let mut desk = Desk::new();
    let table: &[(&str, &[&str])] = &[
        ("10.0.0.1 # a", &[]),
        ("10.0.0.1", &["10.0.0.1/32 was there already"]),
        ("10.0.0.1 # b", &["10.0.0.1/32 was there already: its comment is new"]),
        (
            "10.0.0.1 until=2026-12-01T00:00Z",
            &["10.0.0.1/32 was there already: it ends at 2026-12-01T00:00:00Z"],
        ),
        (
            "10.0.0.1 # c",
            &["10.0.0.1/32 was there already: its comment is new, and it no longer ends"],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(desk.told(&add(text)), *expected, "{text}");
    }
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let mut desk = Desk::new();
    desk.add("redis", "10.0.0.1\n10.0.0.2").unwrap();
    let refusal = desk.remove("redis", &["10.0.0.1", "10.0.0.3", "!10.0.0.2"]).unwrap_err();
    assert_eq!(refusal.to_string(), "'redis' has no entry !10.0.0.2/32, 10.0.0.3/32");
    assert_eq!(desk.shown("redis").len(), 2);
    assert_eq!(desk.0.revision, 2);
}

#[test]
fn replace_keeps_what_stays_and_removes_the_rest() {
    let mut desk = Desk::new();
    desk.add("redis", "10.0.0.1 # a\n10.0.0.2").unwrap();
    // Of what is written twice, the last one counts, and the second time nothing is new.
    let twice = "10.0.0.3\n10.0.0.1 # a\n10.0.0.3 # twice";
    let tally = desk.replace("redis", twice).unwrap();
    assert_eq!(tally, Tally { added: 1, updated: 0, unchanged: 1, removed: 1 });
    assert_eq!(desk.shown("redis"), ["10.0.0.1/32 a", "10.0.0.3/32 twice"]);
    let revision = desk.0.revision;
    let tally = desk.replace("redis", twice).unwrap();
    assert_eq!((tally, desk.0.revision), (Tally { unchanged: 2, ..Tally::default() }, revision));
}

#[test]
fn a_port_belongs_to_one_service_on_an_interface() {
    let on = |interface: &str| Settings {
        interfaces: Some(BTreeSet::from([interface.into()])),
        ..Settings::default()
    };
    let mut desk = Desk::new();
    let refusal = desk.protect("cache", &["tcp/6000-7000"]).unwrap_err();
    assert_eq!(refusal.to_string(), "tcp/6000-7000 of 'cache' overlaps tcp/6379 of 'redis'");
    desk.protect_with("cache", &["tcp/6379"], on("eth1")).unwrap_err();
    desk.protect("cache", &["udp/6379"]).unwrap();
    desk.protect_with("web", &["tcp/80"], on("eth0")).unwrap();
    desk.protect_with("inner", &["tcp/80"], on("eth1")).unwrap();
    desk.protect_with("third", &["tcp/80"], on("eth1")).unwrap_err();
    assert!(!desk.0.services.contains_key("third"));
}

#[test]
fn settings_that_are_not_given_stay() {
    let mut desk = Desk::new();
    let settings = Settings {
        mode: Some(Mode::Monitor),
        when_empty: Some(WhenEmpty::Closed),
        interfaces: Some(BTreeSet::from(["eth0".into()])),
        ..Settings::default()
    };
    desk.protect_with("redis", &["tcp/6379"], settings).unwrap();
    desk.protect("redis", &["tcp/6380"]).unwrap();
    let service = desk.service("redis");
    assert_eq!((service.mode, service.when_empty), (Mode::Monitor, WhenEmpty::Closed));
    assert_eq!(service.interfaces.len(), 1);
    assert_eq!(service.ports, BTreeSet::from(["tcp/6380".parse().unwrap()]));
    let everywhere = Settings { interfaces: Some(BTreeSet::new()), ..Settings::default() };
    desk.protect_with("redis", &["tcp/6380"], everywhere).unwrap();
    assert!(desk.service("redis").interfaces.is_empty());
}

#[test]
fn what_covers_everything_or_leaves_only_excepts_is_a_hazard() {
    let table: &[(&str, usize)] = &[
        ("10.0.0.0/8", 0),
        ("0.0.0.0/0", 1),
        ("::/0\n10.0.0.1", 1),
        ("!10.0.0.0/8", 1),
        ("!0.0.0.0/0", 2),
        ("10.0.0.0/8\n!10.6.0.0/16", 0),
    ];
    for (text, expected) in table {
        let before = Desk::new().0;
        let change =
            Change::Add { name: "redis".parse().unwrap(), entries: lines::parse(text).unwrap() };
        let mut after = Desk(before.clone());
        after.make(&change).unwrap();
        assert_eq!(hazards(&before, &after.0).len(), *expected, "{text}");
    }
}
