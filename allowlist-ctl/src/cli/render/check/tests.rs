use super::*;

fn rendered(json: serde_json::Value, explained: bool) -> String {
    let checks: Checks = serde_json::from_value(json).unwrap();
    let mut out = Vec::new();
    super::checks(&checks, explained, &mut out, Paint::OFF).unwrap();
    String::from_utf8(out).unwrap()
}

fn entry(list: &str, by: &str, prefix: &str, kind: &str) -> serde_json::Value {
    serde_json::json!({
        "list": list, "by": by, "id": 7, "prefix": prefix, "kind": kind, "origin": "manual",
        "comment": null, "added_by": {"uid": 0, "name": "root"},
        "added_at": "2026-11-01T08:00:00Z", "expires_at": null, "expired": false, "last_hit": null,
    })
}

fn check(verdict: &str, reason: &str, more: &serde_json::Value) -> serde_json::Value {
    let mut check = serde_json::json!({
        "address": "203.0.113.7", "port": "tcp/6379", "to": "192.0.2.1", "interface": "eth0",
        "verdict": verdict, "reason": reason, "service": "redis", "mode": "enforce",
        "action": "drop", "would_be_dropped": false,
    });
    for (name, value) in more.as_object().unwrap() {
        check[name] = value.clone();
    }
    check
}

#[test]
fn a_verdict_is_explained() {
    let mut commented = entry("office", "group", "203.0.113.0/24", "allow");
    commented["comment"] = "Berlin \u{1b}[2J".into();
    commented["expires_at"] = "2026-12-01T00:00:00Z".into();
    commented["last_hit"] = "2026-11-25T10:00:00Z".into();
    let table = [
        (
            check(
                "admitted",
                "allowed",
                &serde_json::json!({
                    "entry": commented, "next": entry("trusted", "trusted", "203.0.0.0/16", "allow"),
                }),
            ),
            "203.0.113.7 to redis (tcp/6379) on eth0: admitted\n  203.0.113.0/24 of group office allows it\n    \
             comment:  Berlin \\u{1b}[2J\n    added:    2026-11-01T08:00:00Z by root\n    \
             expires:  2026-12-01T00:00:00Z\n    last hit: 2026-11-25T10:00:00Z\n  \
             without that, 203.0.0.0/16 of trusted would allow it\n",
        ),
        (
            check("dropped", "not_covered", &serde_json::json!({})),
            "203.0.113.7 to redis (tcp/6379) on eth0: dropped\n  no entry covers it\n  \
             `allowlist-ctl add redis 203.0.113.7` admits it\n",
        ),
        (
            check(
                "dropped",
                "excepted",
                &serde_json::json!({
                    "entry": entry("redis", "own", "203.0.113.7/32", "except"),
                }),
            ),
            "203.0.113.7 to redis (tcp/6379) on eth0: dropped\n  !203.0.113.7/32 of redis denies it\n    \
             added:    2026-11-01T08:00:00Z by root\n    last hit: never yet\n  \
             `allowlist-ctl remove redis '!203.0.113.7/32'` takes it away\n",
        ),
        (
            check(
                "admitted",
                "not_covered",
                &serde_json::json!({
                    "mode": "monitor", "would_be_dropped": true,
                }),
            ),
            "203.0.113.7 to redis (tcp/6379) on eth0: admitted by mode monitor alone\n  \
             no entry covers it\n  `allowlist-ctl add redis 203.0.113.7` admits it\n  \
             redis is in mode monitor; in mode enforce it would be dropped\n",
        ),
        (
            check("admitted", "open", &serde_json::json!({})),
            "203.0.113.7 to redis (tcp/6379) on eth0: admitted\n  \
             No entries: redis is accessible to everyone.\n",
        ),
        (
            check("admitted", "not_filtered", &serde_json::json!({ "interface": null })),
            "203.0.113.7 to redis (tcp/6379): admitted\n  \
             the filter is not on any interface that it is on: nothing is judged\n  \
             `allowlist-ctl attach IF` puts it there\n",
        ),
        (
            check("admitted", "no_service", &serde_json::json!({ "service": null, "mode": null })),
            "203.0.113.7 to tcp/6379 on eth0: admitted\n  \
             tcp/6379 belongs to no service on eth0: it is not judged\n  \
             `allowlist-ctl protect NAME tcp/6379` protects it\n",
        ),
    ];
    for (check, expected) in table {
        let json = serde_json::json!({ "revision": 4, "checks": [check] });
        assert_eq!(rendered(json, true), expected);
    }
}

#[test]
fn without_a_port_each_service_has_a_line() {
    let json = serde_json::json!({ "revision": 4, "checks": [
        check("dropped", "not_covered", &serde_json::json!({})),
        check("admitted", "allowed", &serde_json::json!({
            "service": "web", "port": "tcp/443", "entry": entry("web", "own", "203.0.113.0/24", "allow"),
        })),
    ]});
    assert_eq!(
        rendered(json, false),
        "SERVICE  PORT      VERDICT   WHY\n\
         redis    tcp/6379  dropped   no entry covers it\n\
         web      tcp/443   admitted  203.0.113.0/24 of web\n"
    );
    let none = serde_json::json!({ "revision": 0, "checks": [] });
    assert!(rendered(none, false).starts_with("Nothing is protected yet."));
}
