use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-22T02:10:00Z";

fn row(time: &str, action: &str, subjects: &[&str], revisions: (u64, u64), what: Value) -> Value {
    let refused = what.is_string();
    let (message, details) = if refused { (what, Value::Null) } else { (Value::Null, what) };
    json!({
        "id": 1, "time": time, "author": {"uid": 0, "name": "root"}, "action": action,
        "subjects": subjects, "from_revision": revisions.0, "to_revision": revisions.1,
        "result": if refused { "refused" } else { "done" }, "message": message,
        "details": details, "hash": "00ff"
    })
}

/// Entries that are new in the service `ssh`.
fn entries(entries: &[&str]) -> Value {
    let new = |entry: &&str| {
        json!({
            "what": "entry", "list": "ssh", "entry": entry, "origin": "manual",
            "before": null, "after": {"comment": null, "expires_at": null}
        })
    };
    json!({"items": entries.iter().map(new).collect::<Vec<_>>(), "omitted": 0})
}

fn written(rows: &[Value]) -> String {
    let trail = serde_json::from_value(json!({"rows": rows})).unwrap();
    let mut out = Vec::new();
    audit(&trail, NOW.parse().unwrap(), &mut out, Paint::OFF).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn rows_are_told_in_a_table() {
    let rows = [
        row("2026-11-22T02:00:00.123456Z", "add", &["ssh"], (6, 7), entries(&["::1/128"])),
        row("2026-11-22T02:07:00Z", "remove", &["ssh"], (7, 7), json!("would cut 1 connection")),
        row("2026-11-22T02:08:00Z", "sync", &[], (7, 7), json!(null)),
    ];
    let expected = "\
TIME       WHO   ACTION  NAME  REVISION  RESULT   WHAT
02:00:00Z  root  add     ssh   6 -> 7    done     + ssh ::1/128
02:07:00Z  root  remove  ssh   7         refused  would cut 1 connection
02:08:00Z  root  sync    -     7         done     -
";
    assert_eq!(written(&rows), expected);
}

#[test]
fn a_long_text_goes_on_below_in_its_column() {
    let message = json!("it would cut an established connection from 198.51.100.7 to tcp/22");
    let expected = "\
TIME       WHO   ACTION  NAME  REVISION  RESULT   WHAT
02:00:00Z  root  remove  ssh   6         refused  it would cut an established
                                                  connection from 198.51.100.7
                                                  to tcp/22
";
    assert_eq!(
        written(&[row("2026-11-22T02:00:00Z", "remove", &["ssh"], (6, 6), message)]),
        expected
    );
}

#[test]
fn without_room_for_a_column_the_text_stands_under_its_row() {
    let rows = [
        row("2026-11-21T02:00:00Z", "unprotect", &["monitoring"], (1006, 1007), json!(null)),
        row(
            "2026-11-22T02:00:00Z",
            "apply",
            &["db", "redis", "ssh", "web"],
            (1007, 1007),
            json!(
                "the policy's revision is 1007 and not 1006\u{1b}[2J: look at what somebody changed"
            ),
        ),
    ];
    let expected = "\
TIME                  WHO   ACTION     NAME            REVISION      RESULT
2026-11-21T02:00:00Z  root  unprotect  monitoring      1006 -> 1007  done
02:00:00Z             root  apply      db, redis, ssh  1007          refused
                                       and 1 more
                      the policy's revision is 1007 and not 1006\\u{1b}[2J: look
                      at what somebody changed
";
    assert_eq!(written(&rows), expected);
}

#[test]
fn without_a_row_a_sentence_says_so() {
    assert_eq!(written(&[]), "The audit trail has nothing of that.\n");
}

#[test]
fn what_differs_is_told_in_short() {
    let told = |details: Value, message: Value| {
        let mut row = row("2026-11-22T02:00:00Z", "apply", &[], (6, 7), details);
        row["message"] = message;
        what(&serde_json::from_value(row).unwrap())
    };
    let more = json!({"items": entries(&["a", "b", "c", "d"])["items"], "omitted": 7});
    let table = [
        (json!(null), json!(null), "-"),
        (json!(null), json!("confirm add redis"), "confirm add redis"),
        (entries(&["10.0.0.1/32"]), json!(null), "+ ssh 10.0.0.1/32"),
        (entries(&["a", "b"]), json!("rollback to 3"), "rollback to 3: + ssh a; + ssh b"),
        (more, json!(null), "+ ssh a; + ssh b; + ssh c and 8 more"),
    ];
    for (details, message, expected) in table {
        assert_eq!(told(details, message), expected);
    }
}

#[test]
fn a_text_is_clipped_by_its_characters() {
    let table = [("äöü", 3, "äöü"), ("äöüßx", 4, "ä..."), ("", 4, "")];
    for (text, room, expected) in table {
        assert_eq!(clipped(text, room), expected, "{text}");
    }
    let text = written(&[row(NOW, "add", &["a"], (1, 2), json!("x ".repeat(1000)))]);
    assert!(text.len() < 3 * LONGEST, "{text}");
}

#[test]
fn a_verification_has_the_hash_to_compare_with_the_log() {
    let table = [
        (
            json!([812, 41, 852, 40, null]),
            "The audit trail is whole: 812 rows, 41 to 852\n\
             The daemon's log, too, should have row 852 with this hash:\n00ff\n",
        ),
        (
            json!([1, 41, 41, 40, null]),
            "The audit trail is whole: 1 row, 41\n\
             The daemon's log, too, should have row 41 with this hash:\n00ff\n",
        ),
        (json!([0, null, null, 0, null]), "The audit trail is whole: no rows\n"),
        (json!([0, null, null, 40, null]), "The audit trail is whole: no rows (40 were pruned)\n"),
        (
            json!([812, 41, 852, 40, {"id": 97, "what": "altered"}]),
            "The audit trail was altered at row 97: its hash does not follow from its content and the row before it\n",
        ),
        (
            json!([812, 41, 852, 40, {"id": 853, "what": "missing_at_end"}]),
            "The audit trail was altered at row 853: it is missing at the end of the trail\n",
        ),
    ];
    for (values, expected) in table {
        let document = json!({
            "rows": values[0], "first": values[1], "last": values[2], "pruned": values[3],
            "head_hash": "00ff", "broken": values[4]
        });
        let mut out = Vec::new();
        verification(&serde_json::from_value(document).unwrap(), &mut out, Paint::OFF).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
