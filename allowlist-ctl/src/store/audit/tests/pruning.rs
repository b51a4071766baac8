use super::*;

#[test]
fn the_oldest_rows_go_by_count_and_age_and_the_rest_is_whole() {
    let all = u64::MAX;
    let table = [
        ("nothing to prune", 10, None, 0),
        ("more room than rows", all, Some(1), 0),
        ("by count", 4, None, 6),
        ("by age", all, Some(4), 3),
        ("by both, the count takes more", 4, Some(4), 6),
        ("by both, the age takes more", 9, Some(4), 3),
        ("everything by count", 0, None, 10),
        ("everything by age", all, Some(99), 10),
    ];
    for (description, keep, older_than, expected) in table {
        let connection = trail(10);
        let head_hash = verify(&connection).unwrap().head_hash;
        let pruned = prune(&connection, keep, older_than.map(second), second(100)).unwrap();
        assert_eq!(pruned, expected, "{description}");
        let id = i64::try_from(pruned).unwrap();
        let first = (pruned < 10).then_some(id + 1);
        let last = first.map(|_| 10);
        let whole =
            Verification { rows: 10 - pruned, first, last, pruned: id, head_hash, broken: None };
        assert_eq!(verify(&connection).unwrap(), whole, "{description}");
        let ids: Vec<i64> = everything(&connection).iter().map(|row| row.id).collect();
        assert_eq!(ids, (id + 1..=10).collect::<Vec<_>>(), "{description}");

        assert_eq!(append(&connection, &record(11)).unwrap().id, 11, "{description}");
        assert_eq!(verify(&connection).unwrap().broken, None, "{description}");
        let pruned = prune(&connection, 1, None, second(100)).unwrap();
        assert_eq!(pruned, 10 - expected, "{description}");
        assert_eq!(verify(&connection).unwrap().broken, None, "{description}");
    }
}

#[test]
fn an_old_row_behind_a_newer_one_stays() {
    let connection = empty_trail();
    for time in [1, 2, 50, 3, 60] {
        append(&connection, &Record { time: second(time), ..record(1) }).unwrap();
    }
    assert_eq!(prune(&connection, 100, Some(second(40)), second(100)).unwrap(), 2);
    assert_eq!(prune(&connection, 100, Some(second(40)), second(100)).unwrap(), 0);
    assert_eq!(verify(&connection).unwrap().rows, 3);
    assert_eq!(verify(&connection).unwrap().broken, None);
}

#[test]
fn a_call_takes_no_more_than_a_batch() {
    let batch = i64::try_from(PRUNE_BATCH).unwrap();
    let connection = trail(batch + 12);
    for expected in [PRUNE_BATCH, 2, 0] {
        assert_eq!(prune(&connection, 10, None, second(9999)).unwrap(), expected);
        assert_eq!(verify(&connection).unwrap().broken, None);
    }
    let subjects = connection
        .query_row("SELECT count(*) FROM audit_subject", [], |row| row.get::<_, i64>(0))
        .unwrap();
    assert_eq!(subjects, 20);
}

#[test]
fn rows_and_checkpoint_go_in_the_same_transaction() {
    let mut connection = trail(10);
    let before = verify(&connection).unwrap();
    let transaction = connection.transaction().unwrap();
    assert_eq!(prune(&transaction, 4, None, second(100)).unwrap(), 6);
    drop(transaction);
    assert_eq!(verify(&connection).unwrap(), before);
}

#[test]
fn pruning_makes_no_altered_trail_a_whole_one() {
    let altered = |id, what| Some(Break { id, what });
    let table = [
        ("UPDATE audit SET uid = 0 WHERE id = 6", altered(6, BreakKind::Altered)),
        ("DELETE FROM audit WHERE id = 5", altered(5, BreakKind::Missing)),
        ("DELETE FROM audit WHERE id = 4", altered(4, BreakKind::MissingAtBeginning)),
        (
            "INSERT INTO audit SELECT 2, time, uid, name, action, 1, 2, result, NULL, NULL, hash
             FROM audit WHERE id = 7",
            altered(2, BreakKind::OutOfNowhere),
        ),
        (
            "INSERT INTO audit SELECT -7, time, uid, name, action, 1, 2, result, NULL, NULL, hash
             FROM audit WHERE id = 7",
            altered(-7, BreakKind::OutOfNowhere),
        ),
        ("UPDATE audit_checkpoint SET time = time + 1", altered(3, BreakKind::Checkpoint)),
        ("UPDATE audit_head SET hash = zeroblob(32)", altered(10, BreakKind::Head)),
        ("DELETE FROM audit WHERE id = 10", altered(10, BreakKind::MissingAtEnd)),
    ];
    for (tampering, expected) in table {
        let connection = trail(10);
        assert_eq!(prune(&connection, 7, None, second(100)).unwrap(), 3);
        connection.execute_batch(tampering).unwrap();
        assert_eq!(verify(&connection).unwrap().broken, expected, "{tampering}");
        for keep in [3, 2, 0] {
            prune(&connection, keep, None, second(100)).unwrap();
            assert_eq!(verify(&connection).unwrap().broken, expected, "{tampering}, {keep}");
        }
        let (id, what) = expected.map(|broken| (broken.id, broken.what)).unwrap();
        connection.execute_batch("UPDATE audit_checkpoint SET broken = NULL").unwrap();
        let what = match what {
            BreakKind::Head | BreakKind::MissingAtEnd => what,
            _ => BreakKind::Checkpoint,
        };
        let found = verify(&connection).unwrap().broken.unwrap();
        assert_eq!(found.what, what, "{tampering}, {id}: the note of it was altered");
    }
}

#[test]
fn a_forged_head_prunes_no_more_than_was_asked_for() {
    for head in [i64::MAX, 5, -1] {
        let connection = trail(10);
        connection.execute("UPDATE audit_head SET id = ?1", [head]).unwrap();
        prune(&connection, 4, None, second(100)).unwrap();
        assert!(verify(&connection).unwrap().rows >= 4, "{head}");
    }
}
