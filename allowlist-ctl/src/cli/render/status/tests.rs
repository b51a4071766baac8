mod services;

use super::*;
use crate::api::{DegradedPart, PastFilter, ServiceTraffic, Tunnel};

fn written(status: &Status) -> String {
    let mut out = Vec::new();
    super::status(status, &mut out, Paint::OFF).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(interfaces: &str, services: &str, unmatched: &str, warnings: &str) -> Status {
    let groups = r#"{"name": "trusted", "entries": 0, "expired": 0, "included_by": []}"#;
    let document = format!(
        r#"{{"revision": 7, "version": "0.1.0", "started_at": "2026-11-22T02:00:00Z", "counting_since": "2026-11-20T07:00:00Z",
            "store": "/var/lib/allowlist/allowlist.db", "interfaces": [{interfaces}],
            "services": [{services}], "groups": [{groups}], "unmatched": {{{unmatched}}}, "warnings": [{warnings}]}}"#
    );
    serde_json::from_str(&document).unwrap()
}

fn service(name: &str, ports: &str, rest: &str, packets: [u64; 4]) -> String {
    answering(
        name,
        ports,
        &format!(r#""action": "drop", "addresses": [], "include": [], "expired": 0, {rest}"#),
        packets,
        0,
    )
}

fn answering(name: &str, ports: &str, rest: &str, packets: [u64; 4], rejects: u64) -> String {
    let traffic = |packets: u64| format!(r#"{{"packets": {packets}, "bytes": 0}}"#);
    let ([admitted, open, denied, would_deny], none) = (packets.map(traffic), traffic(0));
    let rejects = traffic(rejects);
    format!(
        r#"{{"name": "{name}", "ports": [{ports}], {rest}, "admitted": {admitted},
            "admitted_open": {open}, "denied": {denied}, "would_deny": {would_deny},
            "reject_sent": {rejects}, "reject_limited": {none}}}"#
    )
}

#[test]
fn the_engine_is_told_with_the_lists_in_flat_memory_and_what_entries_take() {
    let engines = [
        ("a", r#"{"ipv4": "flat", "ipv6": "flat"}"#),
        ("b", r#"{"ipv4": "flat"}"#),
        ("c", r#"{"ipv4": "lpm", "ipv6": "flat"}"#),
        ("d", r#"{"ipv4": "flat", "ipv6": "lpm"}"#),
        ("e", r#"{"ipv4": "lpm"}"#),
        ("f", "{}"),
    ];
    let services = engines.map(|(name, engine)| {
        let rest = format!(
            r#""interfaces": [], "mode": "enforce", "when_empty": "open", "state": "closed", "entries": 1, "engine": {engine}"#
        );
        service(name, r#""tcp/1""#, &rest, [0; 4])
    });
    let mut status = parsed("", &services.join(","), "", "");
    assert!(!written(&status).contains("Engine"), "{}", written(&status));
    let engine = r#"{"kind": "auto", "memory_used": 1048577, "memory_limit": 1073741824}"#;
    status.engine = Some(serde_json::from_str(engine).unwrap());
    let told = "\n\nEngine auto: in flat memory: a, b, c (IPv6), d (IPv4). Entries take 2 of 1024\nMiB of kernel memory.\n";
    assert!(written(&status).contains(told), "{}", written(&status));
    status.services.clear();
    let told = "Engine auto: no list is in flat memory. Entries take";
    assert!(written(&status).contains(told), "{}", written(&status));
}

#[test]
fn what_is_watched_is_told_with_who_watches() {
    let mut status = parsed("", "", "", "");
    assert!(!written(&status).contains("noted"), "{}", written(&status));
    let watching = r#"{"id": 7, "service": "redis", "by": {"uid": 0, "name": "root"}, "seconds_left": 34,
        "since": "2026-11-25T09:00:00Z", "until": "2026-11-25T09:01:00Z"}"#;
    status.watches = vec![serde_json::from_str(watching).unwrap()];
    let told = "\n\nSources are noted: redis for root, 34 s left\n\n";
    assert!(written(&status).contains(told), "{}", written(&status));
    let trial = r#"{"id": 7, "what": "replace redis", "by": {"uid": 0, "name": "root"}, "seconds_left": 150,
        "since": "2026-11-25T09:00:00Z", "until": "2026-11-25T09:01:00Z", "revision": 3}"#;
    status.trial = Some(serde_json::from_str(trial).unwrap());
    let told = "On trial, and touching no packet: 'replace redis' of root, 2m 30s left\n\n";
    assert!(written(&status).contains(told), "{}", written(&status));
}

#[test]
fn everything_is_told_in_80_columns() {
    let interfaces = r#"
        {"name": "eth0", "state": "attached", "ifindex": 2, "mode": "native", "program_id": 42},
        {"name": "eth1", "state": "attached", "ifindex": 3, "mode": "generic", "program_id": 142,
         "reason": "the driver does not take XDP programs (Operation not supported)"},
        {"name": "eth2", "state": "missing", "reason": "there is no such interface"}"#;
    let services = [
        service(
            "mail",
            r#""tcp/25", "tcp/143", "tcp/465", "tcp/993""#,
            r#""interfaces": ["eth0"], "mode": "enforce", "when_empty": "closed", "state": "closed", "entries": 0"#,
            [0, 0, 12, 0],
        ),
        service(
            "redis",
            r#""tcp/6379""#,
            r#""interfaces": [], "mode": "enforce", "when_empty": "open", "state": "open", "entries": 0"#,
            [1, 2, 0, 0],
        ),
        service(
            "web",
            r#""tcp/80""#,
            r#""interfaces": [], "mode": "monitor", "when_empty": "open", "state": "closed", "entries": 186809"#,
            [4_294_967, 0, 0, 77],
        ),
    ];
    let unmatched = r#""no_service": {"packets": 5, "bytes": 1}, "not_ip": {"packets": 2, "bytes": 1},
        "ports_cut_off_dropped": {"packets": 1, "bytes": 1}, "ports_cut_off_passed": {"packets": 0, "bytes": 0}"#;
    let status =
        parsed(interfaces, &services.join(","), unmatched, r#""eth2 is not filtered\u0007""#);
    let expected = "\
allowlistd 0.1.0, revision 7, store /var/lib/allowlist/allowlist.db

No entries: redis is accessible to everyone.
  the first entry closes it: allowlist-ctl add redis CIDR
Mode monitor: web is accessible to everyone, and counts whom it would deny.
  judge it: allowlist-ctl mode web enforce

INTERFACE  STATE     MODE     PROGRAM  REASON
eth0       attached  native        42  -
eth1       attached  generic      142  the driver does not take XDP programs
                                       (Operation not supported)
eth2       missing   -              -  there is no such interface

SERVICE  PORTS            MODE     STATE   ENTRIES  ADMITTED  DENIED  WOULD DENY
mail     tcp/25 tcp/143   enforce  closed        0         0      12           0
         tcp/465 tcp/993
         on eth0
redis    tcp/6379         enforce  open          0         3       0           0
web      tcp/80           monitor  closed   186809   4294967       0          77
No entries: mail is accessible to trusted alone.

Packets of no service: 7 passed, 1 unreadable dropped
All are counted since 2026-11-20T07:00:00Z, or since the service was made.

warning: eth2 is not filtered\\u{7}
";
    assert_eq!(written(&status), expected);
    assert!(expected.lines().all(|line| line.len() <= 80));
}

#[test]
fn without_anything_the_next_step_is_told() {
    let expected = "\
allowlistd 0.1.0, revision 7, store /var/lib/allowlist/allowlist.db

No interface has the filter.

Nothing is protected yet. Protect a port: allowlist-ctl protect redis tcp/6379
";
    assert_eq!(written(&parsed("", "", "", "")), expected);
}

#[test]
fn groups_and_ends_are_told_where_there_are_any() {
    let rest = |include: &str, expired, entries| {
        format!(
            r#""interfaces": [], "addresses": [], "action": "drop", "mode": "enforce",
               "when_empty": "open", "state": "closed", "include": [{include}],
               "expired": {expired}, "entries": {entries}"#
        )
    };
    let many: Vec<String> = (0..9).map(|number| format!(r#""group-{number}""#)).collect();
    let services = [
        answering("redis", r#""tcp/6379""#, &rest(r#""office", "lab""#, 1, 4), [1, 0, 0, 0], 0),
        answering("web", r#""tcp/80""#, &rest(&many.join(","), 2, 2), [1, 0, 0, 0], 0),
    ];
    let mut status = parsed("", &services.join(","), "", "");
    let group = |name: &str, entries, expired, rest: &str| {
        let document =
            format!(r#"{{"name": "{name}", "entries": {entries}, "expired": {expired}, {rest}}}"#);
        serde_json::from_str(&document).unwrap()
    };
    status.groups = vec![
        group("lab", 0, 0, r#""included_by": []"#),
        group("office", 3, 1, r#""included_by": ["redis", "web"], "follow": "/etc/office.txt""#),
        group("trusted", 2, 0, r#""included_by": ["redis", "web"]"#),
    ];
    let expected = "\
SERVICE  PORTS     MODE     STATE   ENTRIES  ADMITTED  DENIED
redis    tcp/6379  enforce  closed        4         1       0
         includes office lab
         1 entry has expired
web      tcp/80    enforce  closed        2         1       0
         includes group-0 group-1 group-2 group-3 group-4 group-5
         group-6 group-7 group-8
         2 entries have expired

Packets of no service: 0 passed
All are counted since 2026-11-20T07:00:00Z, or since the service was made.

GROUP    ENTRIES  EXPIRED  INCLUDED BY
lab            0        0  -
office         3        1  redis web
         follows /etc/office.txt
trusted        2        0  every service
";
    let text = written(&status);
    assert!(text.ends_with(expected), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    status.groups.iter_mut().for_each(|group| group.expired = 0);
    assert!(written(&status).contains("GROUP    ENTRIES  INCLUDED BY\n"));
}

#[test]
fn a_change_that_waits_to_be_confirmed_is_told_first() {
    let mut status = parsed("", "", "", "");
    let pending = r#"{"what": "add redis", "by": {"uid": 7, "name": "alice"}, "revision": 7,
        "until": "2026-11-22T02:05:00Z", "seconds_left": 150}"#;
    status.pending = Some(serde_json::from_str(pending).unwrap());
    let expected = "\
allowlistd 0.1.0, revision 7, store /var/lib/allowlist/allowlist.db

TO BE CONFIRMED: 'add redis' of alice, taken back in 2m 30s
revision 7; keep it: allowlist-ctl confirm, undo it: allowlist-ctl rollback

No interface has the filter.
";
    let text = written(&status);
    assert!(text.starts_with(expected), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    // What would be refused is not proposed.
    status.pending.iter_mut().for_each(|pending| pending.seconds_left = 0);
    let text = written(&status);
    assert!(
        text.contains("\nNOT CONFIRMED: 'add redis' of alice, is being taken back\n"),
        "{text}"
    );
    assert!(!text.contains("allowlist-ctl confirm"), "{text}");
}

#[test]
fn what_is_open_is_told_before_anything_else_with_what_closes_it() {
    let told = |mode: &str, state: &str, entries: usize| {
        let rest = format!(
            r#""interfaces": [], "mode": "{mode}", "when_empty": "open", "state": "{state}", "entries": {entries}"#
        );
        let text = written(&parsed("", &service("web", r#""tcp/80""#, &rest, [0; 4]), "", ""));
        let part = text.split("\n\n").nth(1).unwrap().to_owned();
        if part.starts_with("No interface") { String::new() } else { part }
    };
    let closes = "\n  the first entry closes it: allowlist-ctl add web CIDR";
    let judges = "\n  judge it: allowlist-ctl mode web enforce";
    let table = [
        ("enforce", "closed", 1, String::new()),
        ("enforce", "closed", 0, String::new()),
        ("enforce", "open", 0, format!("No entries: web is accessible to everyone.{closes}")),
        (
            "monitor",
            "open",
            0,
            format!("No entries: web is accessible to everyone.{judges}{closes}"),
        ),
        (
            "monitor",
            "closed",
            1,
            format!(
                "Mode monitor: web is accessible to everyone, and counts whom it would deny.{judges}"
            ),
        ),
        ("off", "closed", 1, format!("Mode off: web is accessible to everyone.{judges}")),
        ("off", "open", 0, format!("Mode off: web is accessible to everyone.{judges}{closes}")),
    ];
    for (mode, state, entries, expected) in table {
        assert_eq!(told(mode, state, entries), expected, "{mode} {state} {entries}");
    }
}

#[test]
fn warnings_are_broken_into_lines_but_not_what_is_to_be_typed() {
    let mut status = parsed("", "", "", "");
    status.past_filter = PastFilter {
        other_protocols: Traffic { packets: 12, bytes: 1200 },
        tunnels: vec![Tunnel {
            interface: "wg0".into(),
            kind: "wireguard".into(),
            filtered: false,
        }],
        ..PastFilter::default()
    };
    status.warnings = vec![
        "short".into(),
        "redis: tcp/6379 also listens on eth1 (10.78.0.1), which has no filter: `allowlist-ctl attach eth1`".into(),
        "one `a command that is so very long that it does not fit a line of eighty columns` two".into(),
    ];
    let expected = "
Past the filter: 12 packets of other protocols; what comes out of the tunnels
wg0 (wireguard). See docs/past.md

warning: short
warning: redis: tcp/6379 also listens on eth1 (10.78.0.1), which has no filter:
         `allowlist-ctl attach eth1`
warning: one
         `a command that is so very long that it does not fit a line of eighty columns`
         two
";
    let text = written(&status);
    assert!(text.ends_with(expected), "{text}");
    let mut coloured = Vec::new();
    super::status(&status, &mut coloured, Paint::ON).unwrap();
    let coloured = String::from_utf8(coloured).unwrap();
    assert!(coloured.contains("\x1b[1;33mwarning:\x1b[0m redis: "), "{coloured}");
}

#[test]
fn what_does_not_work_is_told_first() {
    let mut status = parsed("", "", "", "");
    let well = written(&status);
    let part = |what, message: &str| Degraded {
        what,
        message: message.into(),
        since: "2026-11-22T02:03:04Z".parse().unwrap(),
    };
    status.degraded = vec![
        part(DegradedPart::Kernel, "the kernel does not take what it is to enforce"),
        part(DegradedPart::Store, "cannot write /a\u{7}: database or disk is full"),
    ];
    let expected = "\
DEGRADED: KERNEL, since 2026-11-22T02:03:04Z: the kernel does not take what it
  is to enforce
DEGRADED: STORE, since 2026-11-22T02:03:04Z: cannot write /a\\u{7}: database or
  disk is full
What is enforced stays enforced, but for what is said here.

";
    assert_eq!(written(&status), format!("{expected}{well}"));
}

#[test]
fn every_part_is_called_as_in_json() {
    for part in [
        DegradedPart::Kernel,
        DegradedPart::Store,
        DegradedPart::Pins,
        DegradedPart::Interfaces,
        DegradedPart::Revert,
        DegradedPart::Copy,
    ] {
        assert_eq!(serde_json::to_string(&part).unwrap(), format!("\"{}\"", part.word()));
    }
}
