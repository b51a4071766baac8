use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::policy::{
    Author, Entries, Service,
    change::{Change, Settings, apply},
    lines,
    service::Action,
};

fn changed(policy: &Policy, change: &Change) -> Policy {
    let author = Arc::new(Author { uid: 1000, name: "alice".into() });
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    apply(policy, change, &author, now).unwrap().policy
}

fn protect(name: &str, port: &str) -> Change {
    let ports = [port.parse().unwrap()].into();
    let interfaces = Some(["eth0".to_owned()].into());
    let addresses = Some(["192.0.2.0/24".parse().unwrap(), "2001:db8::1".parse().unwrap()].into());
    let action = Some(Action::Reject);
    let settings = Settings { ports, interfaces, addresses, action, ..Settings::default() };
    Change::Protect { name: name.parse().unwrap(), settings }
}

fn replace(name: &str, text: &str) -> Change {
    Change::Replace { name: name.parse().unwrap(), entries: lines::parse(text).unwrap() }
}

/// Everything about a policy that is to survive.
fn shown(policy: &Policy) -> String {
    let mut lines = vec![format!("revision {}", policy.revision)];
    for (name, service) in &policy.services {
        let Service { entries, .. } = service.as_ref();
        let settings = Service { entries: Entries::default(), ..Service::clone(service) };
        lines.push(format!("{name} {settings:?}"));
        lines.extend(entries.iter().map(|(key, entry)| format!("  {key} {entry:?}")));
    }
    lines.join("\n")
}

fn save(store: &mut Store, before: &Policy, after: &Policy) {
    store.write(before, after).unwrap().commit().unwrap();
}

#[test]
fn a_policy_comes_back_as_it_was_saved() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut policy) = Store::open(directory.path()).unwrap();
    assert_eq!(policy.revision, 0);
    let changes = [
        protect("redis", "tcp/6379"),
        protect("web", "tcp/80-443"),
        replace("redis", "10.0.0.0/8 # office\n!10.6.6.0/24\n2001:db8::/32\n::/0"),
        replace("redis", "10.0.0.0/8 # new\n192.0.2.1"),
        Change::Unprotect { name: "web".parse().unwrap() },
        protect("db", "tcp/5432"),
    ];
    for change in changes {
        let next = changed(&policy, &change);
        save(&mut store, &policy, &next);
        policy = next;
        drop(store);
        let (opened, loaded) = Store::open(directory.path()).unwrap();
        assert_eq!(shown(&loaded), shown(&policy), "after {change:?}");
        store = opened;
    }
}

#[test]
fn what_is_not_committed_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, policy) = Store::open(directory.path()).unwrap();
    let next = changed(&policy, &protect("redis", "tcp/6379"));
    drop(store.write(&policy, &next).unwrap());
    drop(store);
    assert_eq!(Store::open(directory.path()).unwrap().1.services.len(), 0);
}

#[test]
fn interfaces_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path()).unwrap();
    store.remember_interface("eth0", true).unwrap();
    store.remember_interface("eth1", true).unwrap();
    store.remember_interface("eth1", false).unwrap();
    drop(store);
    let (store, _) = Store::open(directory.path()).unwrap();
    let expected = BTreeMap::from([("eth0".to_owned(), true), ("eth1".to_owned(), false)]);
    assert_eq!(store.interfaces().unwrap(), expected);
}

#[test]
fn a_directory_has_one_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open(directory.path()).unwrap();
    assert!(matches!(Store::open(directory.path()), Err(StoreError::Locked(_))));
    drop(first);
    Store::open(directory.path()).unwrap();
}

#[test]
fn other_databases_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    fs::write(&path, "not a database, but long enough to look at ".repeat(100)).unwrap();
    assert!(matches!(Store::open(directory.path()), Err(StoreError::Foreign(_))));
    assert!(fs::read_to_string(&path).unwrap().starts_with("not a database"));
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    assert!(matches!(Store::open(directory.path()), Err(StoreError::Foreign(_))));
}

#[test]
fn a_database_of_a_newer_release_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path()).unwrap());
    let path = directory.path().join(FILE);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let Err(error) = Store::open(directory.path()) else { panic!("it was opened") };
    assert!(error.to_string().contains("has format 99"), "{error}");
}

#[test]
fn a_damaged_entry_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, policy) = Store::open(directory.path()).unwrap();
    let protected = changed(&policy, &protect("redis", "tcp/6379"));
    let next = changed(&protected, &replace("redis", "10.0.0.1"));
    save(&mut store, &policy, &next);
    drop(store);
    let path = directory.path().join(FILE);
    Connection::open(&path).unwrap().execute("UPDATE entry SET prefix = x'0102'", []).unwrap();
    let Err(error) = Store::open(directory.path()) else { panic!("it was opened") };
    assert!(error.to_string().contains("is damaged: "), "{error}");
}
