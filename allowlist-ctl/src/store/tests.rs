use std::{fs, sync::Arc};

use jiff::Timestamp;

use super::*;
use crate::policy::{
    Author, Entries, Service,
    change::{Change, Settings, apply},
    lines,
    service::Action,
};

pub(super) fn changed(policy: &Policy, change: &Change) -> Policy {
    let author = Arc::new(Author { uid: 1000, name: "alice".into() });
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    apply(policy, change, &author, now).unwrap().policy
}

pub(super) fn protect(name: &str, port: &str) -> Change {
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
pub(super) fn shown(policy: &Policy) -> String {
    let mut lines = vec![format!("revision {}", policy.revision)];
    for (name, service) in &policy.services {
        let settings = Service { entries: Entries::default(), ..Service::clone(service) };
        lines.push(format!("{name} {settings:?}"));
    }
    for (name, group) in &policy.groups {
        lines.push(format!("{name} {} {:?}", group.number, group.follow));
    }
    for (_, name, entries) in policy.lists() {
        lines.extend(entries.iter().map(|(key, entry)| format!("{name} {key:?} {entry:?}")));
    }
    lines.join("\n")
}

pub(super) fn stamp(seconds: i64) -> Stamp {
    let author = Arc::new(Author { uid: 1000, name: "alice".into() });
    Stamp { time: Timestamp::from_second(seconds).unwrap(), author, what: "add redis".into() }
}

pub(super) fn save(store: &mut Store, before: &Policy, after: &Policy) {
    let draft = store.draft().unwrap();
    draft.policy(before, after, &stamp(Timestamp::now().as_second())).unwrap();
    draft.commit().unwrap();
}

/// A policy whose redis has so many entries.
pub(super) fn list_of(policy: &Policy, entries: usize) -> Policy {
    let lines: Vec<String> =
        (0..entries).map(|n| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)).collect();
    changed(policy, &replace("redis", &lines.join("\n")))
}

/// Gives redis so many entries.
pub(super) fn many(store: &mut Store, policy: &Policy, entries: usize) -> Policy {
    let next = list_of(policy, entries);
    save(store, policy, &next);
    next
}

/// A store whose redis has so many entries.
pub(super) fn grown(directory: &Path, entries: usize) -> (Store, Policy) {
    let (mut store, policy) = Store::open(directory).unwrap();
    let protected = changed(&policy, &protect("redis", "tcp/6379"));
    save(&mut store, &policy, &protected);
    let policy = many(&mut store, &protected, entries);
    (store, policy)
}

/// A history with everything in it that a policy may have.
fn changes() -> Vec<Change> {
    let name = |text: &str| -> crate::policy::Name { text.parse().unwrap() };
    let follow = |path: &str| Change::SetGroup {
        name: name("office"),
        follow: Some((!path.is_empty()).then(|| path.into())),
    };
    let of_file = |text: &str| {
        let entries = lines::parse_of_file(text);
        Change::Sync { name: name("office"), entries }
    };
    let includes = Some([name("office")].into());
    vec![
        protect("redis", "tcp/6379"),
        protect("web", "tcp/80-443"),
        replace("redis", "10.0.0.0/8 # office\n!10.6.6.0/24\n2001:db8::/32\n::/0"),
        replace("redis", "10.0.0.0/8 # new\n192.0.2.1 until=2026-12-01T00:00Z"),
        replace("redis", "10.0.0.0/8 # new\n10.5.0.0/16\n10.6.0.0/16"),
        // Most of the list, and one stays.
        replace("redis", "10.0.0.0/8 # new\n192.0.2.1 until=2026-12-01T00:00Z"),
        follow("/etc/office.txt"),
        of_file("10.1.0.0/16 # from the file\n10.2.0.0/16"),
        replace("office", "10.1.0.0/16 # by hand"),
        Change::Protect {
            name: name("redis"),
            settings: Settings {
                ports: ["tcp/6379".parse().unwrap()].into(),
                includes,
                ..Settings::default()
            },
        },
        replace("trusted", "127.0.0.2"),
        Change::Unprotect { name: name("web") },
        protect("db", "tcp/5432"),
        replace("db", "10.3.0.0/16"),
        Change::Unprotect { name: name("redis") },
        follow(""),
        Change::RemoveGroup { name: name("office") },
        // The names and numbers of what is gone.
        protect("office", "tcp/6379"),
        replace("office", "10.4.0.0/16"),
    ]
}

#[test]
fn every_revision_comes_back_as_it_was_until_it_is_no_longer_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut policy) = Store::open(directory.path()).unwrap();
    let mut history = vec![shown(&policy)];
    for change in changes() {
        let next = changed(&policy, &change);
        save(&mut store, &policy, &next);
        policy = next;
        history.push(shown(&policy));
    }
    let all = u64::try_from(history.len()).unwrap();
    let keep_all = KeepRevisions { count: all, days: 9, entries: 99 };
    let check = |store: &Store, kept: u64| {
        for (revision, expected) in (0..).zip(&history) {
            let found = store.policy_at(revision).unwrap().map(|policy| shown(&policy));
            let expected = (revision + kept >= all).then(|| expected.clone());
            assert_eq!(found, expected, "revision {revision} of {kept} kept");
        }
        assert_eq!(store.revisions().unwrap().len() as u64, kept);
    };
    assert!(!store.prune_revisions(keep_all).unwrap());
    check(&store, all);
    assert!(!store.prune_revisions(KeepRevisions { count: 6, ..keep_all }).unwrap());
    check(&store, 6);
    // The two last revisions moved nothing, that before them the two entries of the group, and the one before that two.
    assert!(!store.prune_revisions(KeepRevisions { entries: 2, ..keep_all }).unwrap());
    check(&store, 4);
    assert!(!store.prune_revisions(KeepRevisions { count: 0, days: 0, entries: 0 }).unwrap());
    check(&store, 1);
    let past = "SELECT (SELECT count(*) FROM past_entry) + (SELECT count(*) FROM past_list)
        + (SELECT count(*) FROM batch WHERE until IS NOT NULL)
        + (SELECT count(*) FROM entry JOIN batch ON batch.id = entry.batch WHERE until IS NOT NULL)";
    let left: u64 = store.connection.query_row(past, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "nothing is left of what is not kept");
}

#[test]
fn a_revision_of_a_wrong_time_takes_no_others_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut policy) = Store::open(directory.path()).unwrap();
    // Made at a start before the clock was set, between two of today.
    for (change, seconds) in
        changes().iter().zip([Timestamp::now().as_second(), 60, Timestamp::now().as_second()])
    {
        let next = changed(&policy, change);
        let draft = store.draft().unwrap();
        draft.policy(&policy, &next, &stamp(seconds)).unwrap();
        draft.commit().unwrap();
        policy = next;
    }
    let keep = KeepRevisions { count: 99, days: 9, entries: 99 };
    assert!(!store.prune_revisions(keep).unwrap());
    let kept: Vec<u64> = store.revisions().unwrap().iter().map(|one| one.number).collect();
    assert_eq!(kept, [3, 2, 1, 0]);
    store.connection.execute("UPDATE revision SET time = 60 WHERE number < 3", []).unwrap();
    store.prune_revisions(keep).unwrap();
    let kept: Vec<u64> = store.revisions().unwrap().iter().map(|one| one.number).collect();
    assert_eq!(kept, [3], "what is too old goes");
}

#[test]
fn a_pending_change_keeps_what_it_goes_back_to_and_survives() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut policy) = Store::open(directory.path()).unwrap();
    for change in &changes()[..4] {
        let next = changed(&policy, change);
        save(&mut store, &policy, &next);
        policy = next;
    }
    let pending = PendingChange {
        what: "add redis".into(),
        by: Arc::new(Author { uid: 1000, name: "alice".into() }),
        revision: 4,
        back_to: 3,
        deadline: Deadline::after(60),
        interface: Some(("eth0".into(), Some(false))),
    };
    let draft = store.draft().unwrap();
    draft.pending(Some(&pending)).unwrap();
    draft.commit().unwrap();
    store.prune_revisions(KeepRevisions { count: 0, days: 0, entries: 0 }).unwrap();
    drop(store);
    let (mut store, _) = Store::open(directory.path()).unwrap();
    assert_eq!(store.pending().unwrap(), Some(pending.clone()));
    assert!(store.policy_at(3).unwrap().is_some() && store.policy_at(2).unwrap().is_none());
    let left = pending.deadline.seconds_left();
    assert!((58..=60).contains(&left), "{left}");
    let draft = store.draft().unwrap();
    draft.pending(None).unwrap();
    draft.commit().unwrap();
    assert_eq!(store.pending().unwrap(), None);
}

#[test]
fn a_policy_comes_back_as_it_was_saved() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut policy) = Store::open(directory.path()).unwrap();
    assert_eq!(policy.revision, 0);
    for change in changes() {
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
fn what_was_taken_away_is_not_written_to_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, policy) = grown(directory.path(), 10);
    let (path, away) = (store.path().to_owned(), directory.path().join("away"));
    fs::rename(&path, &away).unwrap();
    for _ in 0..2 {
        assert!(matches!(store.draft().err(), Some(StoreError::Gone(_))));
        assert!(matches!(store.probe(false), Err(StoreError::Gone(_))));
        // The same content is not the same file.
        fs::copy(&away, &path).unwrap();
    }
    fs::rename(&away, &path).unwrap();
    store.probe(false).unwrap();
    let policy = many(&mut store, &policy, 20);
    drop(store);
    assert_eq!(shown(&Store::open(directory.path()).unwrap().1), shown(&policy));
}

#[test]
fn what_is_not_committed_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, policy) = Store::open(directory.path()).unwrap();
    let next = changed(&policy, &protect("redis", "tcp/6379"));
    let draft = store.draft().unwrap();
    draft.policy(&policy, &next, &stamp(1)).unwrap();
    drop(draft);
    drop(store);
    assert_eq!(Store::open(directory.path()).unwrap().1.services.len(), 0);
}

#[test]
fn interfaces_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(directory.path()).unwrap();
    let draft = store.draft().unwrap();
    for (name, attached) in [
        ("eth0", Some(true)),
        ("eth1", Some(true)),
        ("eth1", Some(false)),
        ("eth2", Some(true)),
        ("eth2", None),
    ] {
        draft.interface(name, attached).unwrap();
    }
    draft.commit().unwrap();
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

#[test]
fn only_what_the_disk_holds_can_be_damaged() {
    let path = Path::new("/state/allowlist.db");
    for (code, is_damaged) in [
        (rusqlite::ffi::SQLITE_CORRUPT, true),
        (rusqlite::ffi::SQLITE_ERROR, true),
        (rusqlite::ffi::SQLITE_READONLY, false),
        (rusqlite::ffi::SQLITE_READONLY_DIRECTORY, false),
        (rusqlite::ffi::SQLITE_CANTOPEN, false),
        (rusqlite::ffi::SQLITE_PERM, false),
        (rusqlite::ffi::SQLITE_BUSY, false),
        (rusqlite::ffi::SQLITE_NOMEM, false),
        (rusqlite::ffi::SQLITE_FULL, false),
        (rusqlite::ffi::SQLITE_IOERR, false),
    ] {
        let failure = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let read = unreadable(path, failure());
        assert_eq!(matches!(read, StoreError::Damaged { .. }), is_damaged, "{code}: {read}");
        let said = read.to_string();
        assert_eq!(said.starts_with("cannot write /state/allowlist.db: "), !is_damaged, "{said}");
    }
}

#[test]
fn a_store_that_is_adopted_is_another_one_with_the_same_policy() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut store, policy) = grown(scratch.path(), 10);
    let before = store.identity(policy.revision);
    let record = audit::Record {
        time: Timestamp::from_second(1_800_000_000).unwrap(),
        author: Author { uid: 0, name: "allowlistd".into() },
        action: "adopt".into(),
        subjects: std::collections::BTreeSet::new(),
        from_revision: policy.revision,
        to_revision: policy.revision,
        result: crate::policy::audit::AuditResult::Done,
        message: Some("adopted".into()),
        details: serde_json::Value::Null,
    };
    store.adopt(&record).unwrap();
    let adopted = store.identity(policy.revision);
    assert_ne!(adopted.id, before.id);
    drop(store);
    let found = Found::look(scratch.path()).unwrap();
    assert_eq!(found.identity(), Some(adopted));
    let (store, read) = found.open().unwrap();
    assert_eq!(shown(&read), shown(&policy));
    let all = audit::Filter { name: None, since: None, limit: usize::MAX };
    let last = store.audit(&all).unwrap().pop().unwrap();
    assert_eq!(last.record.action, "adopt");
    assert!(store.verify_audit().unwrap().broken.is_none());
}
