use proptest::{collection, option, prelude::*};
use serde_json::json;

use super::*;
use crate::policy::audit::{Break, BreakKind};

mod pruning;
mod tampering;

fn empty_trail() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection
}

/// A moment on the tests' clock.
fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The record of row `n`, from second `n` on the tests' clock.
fn record(n: i64) -> Record {
    let revision = n.unsigned_abs();
    Record {
        time: second(n),
        author: Author { uid: 1000, name: "alice".into() },
        action: "add".into(),
        subjects: ["redis".to_owned(), "web".to_owned()].into(),
        from_revision: revision - 1,
        to_revision: revision,
        result: AuditResult::Done,
        message: Some("1 entry added".into()),
        details: json!({"added": ["10.0.0.0/8"]}),
    }
}

/// A trail of rows 1 to `count`.
fn trail(count: i64) -> Connection {
    let connection = empty_trail();
    for n in 1..=count {
        assert_eq!(append(&connection, &record(n)).unwrap().id, n);
    }
    connection
}

/// What is read without a filter.
fn everything(connection: &Connection) -> Vec<Row> {
    read(connection, &Filter { name: None, since: None, limit: usize::MAX }).unwrap()
}

prop_compose! {
    fn any_record()(
        time in -1_000_000_000_000_i64..4_000_000_000_000_000,
        (uid, name) in (any::<u32>(), any::<String>()),
        action in any::<String>(),
        subjects in collection::btree_set(any::<String>(), 0..4),
        from_revision in 0..=i64::MAX.unsigned_abs(),
        to_revision in 0..=i64::MAX.unsigned_abs(),
        result in prop_oneof![
            Just(AuditResult::Done), Just(AuditResult::Refused), Just(AuditResult::Failed)
        ],
        message in option::of(any::<String>()),
        details in prop_oneof![
            Just(Value::Null), any::<String>().prop_map(|text| json!({"before": text}))
        ],
    ) -> Record {
        let time = Timestamp::from_microsecond(time).unwrap();
        let author = Author { uid, name };
        Record {
            time, author, action, subjects, from_revision, to_revision, result, message, details,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_come_back_as_they_were_appended(records in collection::vec(any_record(), 0..8)) {
        let connection = empty_trail();
        for record in &records {
            append(&connection, record).unwrap();
        }
        let verification = verify(&connection).unwrap();
        prop_assert_eq!(verification.broken, None);
        let rows = everything(&connection);
        if let Some(last) = rows.last() {
            prop_assert_eq!(last.hash.to_string(), verification.head_hash);
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        prop_assert_eq!(ids, (1..).take(records.len()).collect::<Vec<_>>());
        let read: Vec<Record> = rows.into_iter().map(|row| row.record).collect();
        prop_assert_eq!(read, records);
    }
}

#[test]
fn the_hash_is_the_one_that_is_documented() {
    let connection = trail(1);
    let refused = Record {
        author: Author { uid: 0, name: "root".into() },
        subjects: BTreeSet::new(),
        from_revision: 1,
        to_revision: 1,
        result: AuditResult::Refused,
        message: None,
        details: Value::Null,
        ..record(2)
    };
    append(&connection, &refused).unwrap();
    let hashes: Vec<String> =
        everything(&connection).iter().map(|row| row.hash.to_string()).collect();
    // Made by another program from the documentation.
    assert_eq!(
        hashes,
        [
            "0e4ec7365da314aedb23487157ca59420785c4a90f453b08fba9fe2fd884ea79",
            "c5163b34e467df11cecd5bc31a93594d4737a1d2d7b1caa919daa816da97ecc1",
        ]
    );
}

#[test]
fn a_trail_is_verified_from_its_first_row_to_its_last() {
    let table = [(0, None, None), (1, Some(1), Some(1)), (10, Some(1), Some(10))];
    for (count, first, last) in table {
        let connection = trail(count);
        let verification = verify(&connection).unwrap();
        let head_hash = everything(&connection)
            .last()
            .map_or_else(|| "0".repeat(64), |row| row.hash.to_string());
        let rows = count.unsigned_abs();
        let expected = Verification { rows, first, last, pruned: 0, head_hash, broken: None };
        assert_eq!(verification, expected, "{count} rows");
    }
}

#[test]
fn a_row_goes_with_the_transaction_of_its_change() {
    let mut connection = trail(3);
    let before = verify(&connection).unwrap();
    let transaction = connection.transaction().unwrap();
    append(&transaction, &record(4)).unwrap();
    assert_eq!(verify(&transaction).unwrap().rows, 4);
    drop(transaction);
    assert_eq!(verify(&connection).unwrap(), before);
    assert_eq!(append(&connection, &record(4)).unwrap().id, 4);
}

#[test]
fn a_record_that_cannot_be_appended_leaves_nothing() {
    let connection = trail(3);
    let impossible = Record { to_revision: u64::MAX, ..record(4) };
    append(&connection, &impossible).unwrap_err();
    connection.execute_batch("INSERT INTO audit_subject VALUES (4, 'web')").unwrap();
    append(&connection, &record(4)).unwrap_err();
    connection.execute_batch("DELETE FROM audit_subject WHERE id = 4").unwrap();
    let verification = verify(&connection).unwrap();
    assert_eq!((verification.rows, verification.broken), (3, None));
}

#[test]
fn the_trail_is_a_part_of_every_store() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = crate::store::Store::open(directory.path()).unwrap();
    append(&store.connection, &record(1)).unwrap();
    drop(store);
    let (store, _) = crate::store::Store::open(directory.path()).unwrap();
    assert_eq!(everything(&store.connection).len(), 1);
    assert_eq!(verify(&store.connection).unwrap().broken, None);
}
