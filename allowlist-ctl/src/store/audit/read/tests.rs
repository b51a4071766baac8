use super::*;
use crate::{
    policy::audit::AuditResult,
    store::audit::{SCHEMA, append},
};

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Rows with these times and subjects.
fn trail(rows: &[(i64, &[&str])]) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    for (time, subjects) in rows {
        let record = Record {
            time: second(*time),
            author: Author { uid: 0, name: "root".into() },
            action: "add".into(),
            subjects: subjects.iter().map(|name| (*name).to_owned()).collect(),
            from_revision: 1,
            to_revision: 2,
            result: AuditResult::Done,
            message: None,
            details: serde_json::Value::Null,
        };
        append(&connection, &record).unwrap();
    }
    connection
}

#[test]
fn the_latest_rows_that_pass_the_filter_are_read_in_order() {
    // Before row 5 the clock was set back.
    let connection = trail(&[
        (10, &["redis"]),
        (20, &["web"]),
        (90, &["redis", "web"]),
        (40, &[]),
        (50, &["redis"]),
        (60, &["redis2"]),
    ]);
    let all = usize::MAX;
    let table = [
        ("everything", None, None, all, vec![1, 2, 3, 4, 5, 6]),
        ("the latest", None, None, 2, vec![5, 6]),
        ("none", None, None, 0, vec![]),
        ("of a name", Some("redis"), None, all, vec![1, 3, 5]),
        ("the latest of a name", Some("redis"), None, 2, vec![3, 5]),
        ("of a name in a row with several", Some("web"), None, all, vec![2, 3]),
        ("of a name that has none", Some("ssh"), None, all, vec![]),
        ("from a moment on", None, Some(50), all, vec![3, 5, 6]),
        ("the latest from a moment on", None, Some(20), 4, vec![3, 4, 5, 6]),
        ("from a moment in the future on", None, Some(91), all, vec![]),
        ("of a name from a moment on", Some("redis"), Some(50), all, vec![3, 5]),
        ("of a name, also where the clock was set back", Some("redis"), Some(60), all, vec![3]),
        ("the latest of a name from a moment on", Some("redis"), Some(10), 1, vec![5]),
    ];
    for (description, name, since, limit, expected) in table {
        let filter = Filter { name: name.map(str::to_owned), since: since.map(second), limit };
        let ids: Vec<i64> = read(&connection, &filter).unwrap().iter().map(|row| row.id).collect();
        assert_eq!(ids, expected, "{description}");
    }
}

#[test]
fn no_query_sorts_or_reads_what_it_does_not_need() {
    let connection = trail(&[]);
    let table: [(&str, String, &[&str]); 3] = [
        ("the latest", query(false), &["SEARCH audit USING INTEGER PRIMARY KEY (rowid>?)"]),
        (
            "the latest of a name",
            query(true),
            &[
                "SEARCH audit_subject USING COVERING INDEX audit_subject_name (name=? AND id>?)",
                "SEARCH audit USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
        (
            "the first since",
            FIRST_SINCE.to_owned(),
            &["SEARCH audit USING COVERING INDEX audit_time (time>?)"],
        ),
    ];
    for (description, query, expected) in table {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let steps = (1..=statement.parameter_count()).map(|_| 1_i64);
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(steps), |row| row.get("detail"))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(plan, expected, "{description}");
    }
}

#[test]
fn a_row_that_cannot_be_read_is_named() {
    let table = [
        ("UPDATE audit SET result = 'perhaps' WHERE id = 2", "its result is impossible"),
        ("UPDATE audit SET time = 1 << 62 WHERE id = 2", "its time is impossible"),
        ("UPDATE audit SET uid = -1 WHERE id = 2", "its uid is impossible"),
        ("UPDATE audit SET from_revision = -1 WHERE id = 2", "its revision is impossible"),
        ("UPDATE audit SET to_revision = -1 WHERE id = 2", "its revision is impossible"),
        (
            "UPDATE audit SET name = CAST(x'ff' AS TEXT) WHERE id = 2",
            "its user's name is impossible",
        ),
        ("UPDATE audit SET action = CAST(x'ff' AS TEXT) WHERE id = 2", "its action is impossible"),
        (
            "UPDATE audit SET message = CAST(x'ff' AS TEXT) WHERE id = 2",
            "its message is impossible",
        ),
        ("UPDATE audit SET details = '{' WHERE id = 2", "its details is impossible"),
        ("UPDATE audit SET hash = x'00' WHERE id = 2", "its hash is impossible"),
        (
            "UPDATE audit_subject SET name = CAST(x'ff' AS TEXT) WHERE id = 2",
            "its subject is impossible",
        ),
    ];
    for (tampering, expected) in table {
        let connection = trail(&[(1, &["a"]), (2, &["b"]), (3, &["c"])]);
        connection.execute_batch(tampering).unwrap();
        let filter = Filter { name: None, since: None, limit: 3 };
        let error = read(&connection, &filter).unwrap_err().to_string();
        assert!(error.contains("row 2 of the audit trail"), "{tampering}: {error}");
        assert!(error.contains(expected), "{tampering}: {error}");
        let filter = Filter { limit: 1, ..filter };
        assert_eq!(read(&connection, &filter).unwrap().len(), 1, "{tampering}");
    }
}
