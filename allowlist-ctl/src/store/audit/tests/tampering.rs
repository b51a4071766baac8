use proptest::sample::Index;
use rusqlite::types::Value as Cell;

use super::*;

/// A trail of rows 4 to 10; 1 to 3 were pruned.
fn pruned_trail() -> Connection {
    let connection = trail(10);
    assert_eq!(prune(&connection, 7, None, second(100)).unwrap(), 3);
    assert_eq!(verify(&connection).unwrap().broken, None);
    connection
}

fn broken(connection: &Connection) -> Option<Break> {
    verify(connection).unwrap().broken
}

#[test]
fn tampering_is_found_where_it_was_done() {
    use BreakKind::{
        Altered, Checkpoint, Head, Missing, MissingAtBeginning, MissingAtEnd, OutOfNowhere,
    };
    let swap = "UPDATE audit SET id = -5 WHERE id = 5; UPDATE audit SET id = 5 WHERE id = 8;
                UPDATE audit SET id = 8 WHERE id = -5";
    let table = [
        // Columns of a row.
        ("UPDATE audit SET id = 20 WHERE id = 6", 6, Missing),
        ("UPDATE audit SET id = -1 WHERE id = 6", -1, OutOfNowhere),
        ("UPDATE audit SET time = time + 1 WHERE id = 6", 6, Altered),
        ("UPDATE audit SET uid = 0 WHERE id = 6", 6, Altered),
        ("UPDATE audit SET name = 'bob' WHERE id = 6", 6, Altered),
        ("UPDATE audit SET action = 'remove' WHERE id = 6", 6, Altered),
        ("UPDATE audit SET from_revision = 1 WHERE id = 6", 6, Altered),
        ("UPDATE audit SET to_revision = 1 WHERE id = 6", 6, Altered),
        ("UPDATE audit SET result = 'failed' WHERE id = 6", 6, Altered),
        ("UPDATE audit SET message = '' WHERE id = 6", 6, Altered),
        ("UPDATE audit SET message = NULL WHERE id = 6", 6, Altered),
        ("UPDATE audit SET details = '{}' WHERE id = 6", 6, Altered),
        ("UPDATE audit SET details = NULL WHERE id = 6", 6, Altered),
        ("UPDATE audit SET details = CAST(x'ff' AS TEXT) WHERE id = 6", 6, Altered),
        ("UPDATE audit SET hash = zeroblob(32) WHERE id = 6", 6, Altered),
        ("UPDATE audit SET hash = x'' WHERE id = 10", 10, Altered),
        // What moves from one column to the next.
        ("UPDATE audit SET name = 'alicea', action = 'dd' WHERE id = 6", 6, Altered),
        ("UPDATE audit SET message = details, details = message WHERE id = 6", 6, Altered),
        // Subjects.
        ("UPDATE audit_subject SET name = 'ssh' WHERE id = 6 AND name = 'web'", 6, Altered),
        ("DELETE FROM audit_subject WHERE id = 6", 6, Altered),
        ("INSERT INTO audit_subject VALUES (6, 'ssh')", 6, Altered),
        ("INSERT INTO audit_subject VALUES (11, 'ssh')", 11, OutOfNowhere),
        ("INSERT INTO audit_subject VALUES (2, 'ssh')", 2, OutOfNowhere),
        // Rows that go, change places or come.
        ("DELETE FROM audit WHERE id = 6", 6, Missing),
        ("DELETE FROM audit WHERE id IN (6, 7)", 6, Missing),
        ("DELETE FROM audit WHERE id = 10", 10, MissingAtEnd),
        ("DELETE FROM audit WHERE id > 5; DELETE FROM audit_subject WHERE id > 5", 6, MissingAtEnd),
        ("DELETE FROM audit WHERE id = 4", 4, MissingAtBeginning),
        ("DELETE FROM audit; DELETE FROM audit_subject", 4, MissingAtEnd),
        (swap, 5, Altered),
        (
            "INSERT INTO audit SELECT 11, time, uid, name, action, 10, 11, result, NULL, NULL, hash
             FROM audit WHERE id = 10",
            11,
            OutOfNowhere,
        ),
        (
            "INSERT INTO audit SELECT 3, time, uid, name, action, 2, 3, result, NULL, NULL, hash
             FROM audit WHERE id = 4",
            3,
            OutOfNowhere,
        ),
        (
            "INSERT INTO audit SELECT 20, time, uid, name, action, 10, 11, result, NULL, NULL, hash
             FROM audit WHERE id = 10",
            20,
            OutOfNowhere,
        ),
        // The head.
        ("UPDATE audit_head SET id = 11", 11, MissingAtEnd),
        ("UPDATE audit_head SET id = 9", 10, OutOfNowhere),
        ("UPDATE audit_head SET id = 2", 4, OutOfNowhere),
        ("UPDATE audit_head SET hash = zeroblob(32)", 10, Head),
        ("UPDATE audit_head SET hash = x''", 10, Head),
        ("DELETE FROM audit_head", 10, Head),
        ("UPDATE audit_head SET id = -9", 4, OutOfNowhere),
        (
            "UPDATE audit_head SET id = 9, hash = (SELECT hash FROM audit WHERE id = 9)",
            10,
            OutOfNowhere,
        ),
        ("DELETE FROM audit_head; DELETE FROM audit_checkpoint", 1, MissingAtBeginning),
        // The checkpoint.
        ("UPDATE audit_checkpoint SET id = 4", 4, Checkpoint),
        ("UPDATE audit_checkpoint SET hash = zeroblob(32)", 3, Checkpoint),
        ("UPDATE audit_checkpoint SET time = 0", 3, Checkpoint),
        ("UPDATE audit_checkpoint SET broken_id = 0", 3, Checkpoint),
        ("UPDATE audit_checkpoint SET broken = 'altered'", 3, Checkpoint),
        ("UPDATE audit_checkpoint SET seal = zeroblob(32)", 3, Checkpoint),
        ("DELETE FROM audit_checkpoint", 1, MissingAtBeginning),
        // The first of several.
        ("UPDATE audit SET uid = 0 WHERE id = 8; DELETE FROM audit WHERE id = 6", 6, Missing),
        ("UPDATE audit SET uid = 0 WHERE id = 6; DELETE FROM audit WHERE id = 8", 6, Altered),
    ];
    for (tampering, id, what) in table {
        let connection = pruned_trail();
        connection.execute_batch(tampering).unwrap();
        let expected = Some(Break { id, what });
        assert_eq!(broken(&connection), expected, "{tampering}");

        // The trail goes on, and that mends nothing.
        for n in 11..14 {
            append(&connection, &record(n)).unwrap();
            assert!(broken(&connection).is_some(), "{tampering}, after row {n}");
        }
    }
}

/// Every column that has a meaning of its own, by table.
const COLUMNS: [(&str, &[&str]); 4] = [
    (
        "audit",
        &[
            "id",
            "time",
            "uid",
            "name",
            "action",
            "from_revision",
            "to_revision",
            "result",
            "message",
            "details",
            "hash",
        ],
    ),
    ("audit_subject", &["id", "name"]),
    ("audit_head", &["id", "hash"]),
    ("audit_checkpoint", &["id", "hash", "time", "broken_id", "broken", "seal"]),
];

/// The value with one bit changed, or one byte less or more; texts are given as their bytes.
fn altered(value: Cell, place: Index, bit: u32, way: u8) -> Cell {
    match value {
        Cell::Integer(number) => Cell::Integer(number ^ (1 << (bit % 64))),
        Cell::Blob(mut bytes) => {
            let at = place.index(bytes.len().max(1));
            match way {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << (bit % 8),
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.insert(at, bit.to_le_bytes()[0]),
            }
            Cell::Blob(bytes)
        }
        _ => Cell::Integer(7),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_byte_of_a_trail_can_be_changed_unnoticed(
        records in collection::vec(any_record(), 1..8),
        keep in 0_u64..8,
        cell in any::<Index>(),
        place in any::<Index>(),
        bit in any::<u32>(),
        way in 0_u8..4,
    ) {
        let connection = empty_trail();
        for record in &records {
            append(&connection, record).unwrap();
        }
        prune(&connection, keep, None, second(0)).unwrap();
        prop_assert_eq!(broken(&connection), None);

        let mut cells = Vec::new();
        for (table, columns) in COLUMNS {
            // Rows of a table without rowid are told apart by their place.
            let count: i64 = connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
                .unwrap();
            for row in 0..count {
                cells.extend(columns.iter().map(|column| (table, *column, row)));
            }
        }
        let (table, column, row) = cells[cell.index(cells.len())];
        let key = if table == "audit_subject" { "(id, name)" } else { "rowid" };
        let chosen = format!(
            "{key} = (SELECT {} FROM {table} LIMIT 1 OFFSET {row})", key.trim_matches(['(', ')'])
        );
        let (id, before, kind): (i64, Cell, String) = connection
            .query_row(
                &format!(
                    "SELECT id, CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB)
                            ELSE {column} END, typeof({column}) FROM {table} WHERE {chosen}"
                ),
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        let is_nullable = matches!(column, "message" | "details" | "broken_id" | "broken");
        let after = if way == 3 && is_nullable && before != Cell::Null {
            Cell::Null
        } else {
            altered(before, place, bit, way)
        };
        let is_text = kind == "text" || matches!(column, "message" | "details" | "broken");
        let value = if is_text { "CAST(?1 AS TEXT)" } else { "?1" };
        let update = format!("UPDATE {table} SET {column} = {value} WHERE {chosen}");
        // Another row of this number or name is no tampering that SQLite lets through.
        let changed = connection.execute(&update, [&after]);
        prop_assume!(changed.is_ok(), "{:?}", changed);
        prop_assert_eq!(changed.unwrap(), 1);

        let found = broken(&connection);
        prop_assert!(found.is_some(), "{}.{} of {} to {:?}", table, column, id, after);
        if table == "audit" && column != "id" {
            prop_assert_eq!(found, Some(Break { id, what: BreakKind::Altered }));
        }
    }
}
