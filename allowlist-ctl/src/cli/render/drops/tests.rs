use super::*;

const NOW: &str = "2026-11-22T08:00:00Z";

fn packets(count: u64, first: &str, packet: &str) -> String {
    format!(r#"{{"count": {count}, "first": "{first}", {packet}}}"#)
}

fn packet(time: &str, source: &str, interface: &str, reason: &str) -> String {
    format!(
        r#""time": "{time}", "source": "{source}", "service": "redis", "port": "tcp/6379",
           "interface": "{interface}", "length": 74, "reason": "{reason}""#
    )
}

fn unreadable(reason: &str) -> String {
    format!(
        r#""time": "2026-11-22T07:00:00Z", "source": null, "service": null, "port": null,
           "interface": "eth\u001b", "vlan": 7, "length": 64, "reason": "{reason}""#
    )
}

fn written(lost: u64, drops: &[String]) -> String {
    let document = format!(r#"{{"lost": {lost}, "drops": [{}]}}"#, drops.join(","));
    let document = serde_json::from_str(&document).unwrap();
    let mut out = Vec::new();
    super::drops(&document, NOW.parse().unwrap(), &mut out, Paint::OFF).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn drops_are_told_in_80_columns() {
    let today = packet("2026-11-22T07:59:59.9Z", "203.0.113.7", "eth0", "denied");
    let earlier = packet("2026-11-22T00:00:00Z", "2001:db8::7", "eth0", "would_deny");
    let yesterday = packet("2026-11-21T23:59:59Z", "203.0.113.8", "eth0", "denied");
    let first = "2026-11-22T00:00:00Z";
    let table = [
        (
            "the first time where there is room",
            vec![packets(12, "2026-11-22T06:00:00Z", &today)],
            "\
LAST       FIRST      COUNT  SOURCE       SERVICE  PORT      INTERFACE  REASON
07:59:59Z  06:00:00Z     12  203.0.113.7  redis    tcp/6379  eth0       denied
",
        ),
        (
            "no room",
            vec![packets(12, first, &today), packets(1_234_567, first, &earlier)],
            "\
LAST         COUNT  SOURCE       SERVICE  PORT      INTERFACE  REASON
07:59:59Z       12  203.0.113.7  redis    tcp/6379  eth0       denied
00:00:00Z  1234567  2001:db8::7  redis    tcp/6379  eth0       would deny
",
        ),
        (
            "another day, and what cannot be read",
            vec![
                packets(1, first, &unreadable("too_many_extensions")),
                packets(1, first, &yesterday),
            ],
            "\
LAST                  COUNT  SOURCE       SERVICE  PORT      INTERFACE         REASON
07:00:00Z                 1  -            -        -         eth\\u{1b} vlan 7  unreadable: too many
                                                                               extension headers
2026-11-21T23:59:59Z      1  203.0.113.8  redis    tcp/6379  eth0              denied
",
        ),
    ];
    for (description, drops, expected) in table {
        assert_eq!(written(0, &drops), expected, "{description}");
    }
}

#[test]
fn what_was_not_reported_is_told_first() {
    let drops = [packets(1, NOW, &packet(NOW, "203.0.113.7", "eth0", "denied"))];
    let table: &[(u64, &[String], &str)] = &[
        (0, &[], "No packet was dropped since the daemon started."),
        (0, &drops, "LAST "),
        (7, &drops, "7 more packets were dropped and not reported, for there were too many\nLAST "),
        (1, &drops, "1 more packet was dropped and not reported, for there were too many\nLAST "),
        (7, &[], "7 packets were dropped and not reported, for there were too many\n"),
    ];
    for (lost, drops, expected) in table {
        let text = written(*lost, drops);
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn every_reason_has_its_words() {
    let reasons = [
        ("denied", "denied"),
        ("would_deny", "would deny"),
        ("frame_cut_off", "unreadable: frame cut off"),
        ("too_many_tags", "unreadable: too many VLAN tags"),
        ("bad_ip_header", "unreadable: bad IP header"),
        ("extension_cut_off", "unreadable: extension header cut off"),
        ("too_many_extensions", "unreadable: too many extension headers"),
        ("ports_cut_off", "unreadable: ports cut off"),
        ("fragment_refused", "unreadable: later fragment"),
    ];
    for (reason, expected) in reasons {
        let document = format!("{{{}}}", packet(NOW, "::1", "eth0", reason));
        let mut out = Vec::new();
        let mut table = LiveDrops::new();
        table.row(&serde_json::from_str(&document).unwrap(), &mut out, Paint::OFF).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert!(line.ends_with(&format!("  {expected}\n")), "{line}");
    }
}
