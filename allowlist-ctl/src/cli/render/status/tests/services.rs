//! The table of services.

use super::*;

/// The services of a status, which have to keep to 80 columns.
fn shown(services: &[String]) -> String {
    let text = written(&parsed("", &services.join(","), "", ""));
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    text.split("\n\n").find(|part| part.starts_with("SERVICE")).unwrap().to_owned()
}

#[test]
fn actions_and_addresses_are_told_where_there_are_any() {
    let web = |rest: &str, packets, rejects| {
        let rest = format!(
            r#"{rest}, "include": [], "expired": 0, "interfaces": ["eth0"], "when_empty": "open", "state": "closed", "entries": 1"#
        );
        answering("web", r#""tcp/443", "udp/443""#, &rest, packets, rejects)
    };
    let rejecting =
        r#""mode": "enforce", "action": "reject", "addresses": ["192.0.2.1", "2001:db8::/64"]"#;
    let far = rejecting.replace("2001:db8::/64", "2001:db8:1:2:3:4:5:6");
    let monitoring = r#""mode": "monitor", "action": "reject", "addresses": []"#;
    let table = [
        (
            vec![web(rejecting, [1, 0, 0, 0], 0)],
            "\
SERVICE  PORTS             MODE     STATE   ENTRIES  ADMITTED  DENIED
web      tcp/443 udp/443   enforce  closed        1         1       0
         on eth0           reject
         to 192.0.2.1
         to 2001:db8::/64",
        ),
        (
            vec![web(rejecting, [1, 0, 9, 0], 7)],
            "\
SERVICE  PORTS             MODE     STATE   ENTRIES  ADMITTED  DENIED  REJECTED
web      tcp/443 udp/443   enforce  closed        1         1       9         7
         on eth0           reject
         to 192.0.2.1
         to 2001:db8::/64",
        ),
        (
            vec![web(&far, [1, 0, 9, 0], 7), web(monitoring, [1, 0, 0, 0], 0)],
            "\
SERVICE  PORTS    MODE     STATE   ENTRIES  ADMITTED  DENIED  REJECTED  WOULD
                                                                         DENY
web      tcp/443  enforce  closed        1         1       9         7      0
         udp/443  reject
         on eth0
         to 192.0.2.1
         to 2001:db8:1:2:3:4:5:6
web      tcp/443  monitor  closed        1         1       0         0      0
         udp/443  reject
         on eth0",
        ),
        (
            vec![web(monitoring, [1, 0, 9, 4], 7)],
            "\
SERVICE  PORTS    MODE     STATE   ENTRIES  ADMITTED  DENIED  REJECTED  WOULD
                                                                         DENY
web      tcp/443  monitor  closed        1         1       9         7      4
         udp/443  reject
         on eth0",
        ),
    ];
    for (services, expected) in table {
        assert_eq!(shown(&services), expected);
    }
}

#[test]
fn what_came_in_the_last_minute_is_told_under_each_service() {
    let rest = r#""interfaces": [], "mode": "monitor", "when_empty": "open", "state": "closed", "entries": 1"#;
    let table: [(&str, [u64; 5], &str); 5] = [
        ("nothing", [0, 0, 0, 0, 0], ""),
        ("by an entry and while open", [3, 4, 0, 0, 0], "last minute: 7 admitted"),
        ("denied and answered", [0, 0, 9, 0, 8], "last minute: 9 denied, 8 rejected"),
        ("would be denied", [1, 0, 0, 2, 0], "last minute: 1 admitted, 2 would be denied"),
        (
            "as much as there can be",
            [999_999_999, 0, 999_999_999, 0, 999_999_999],
            "last minute: 999999999 admitted, 999999999 denied, 999999999 rejected",
        ),
    ];
    for (description, [admitted, open, denied, would_deny, rejects], expected) in table {
        let mut status = parsed("", &service("web", r#""tcp/80""#, rest, [5, 0, 0, 0]), "", "");
        let traffic = |packets| Traffic { packets, bytes: 0 };
        status.services[0].last_minute = ServiceTraffic {
            admitted: traffic(admitted),
            admitted_open: traffic(open),
            denied: traffic(denied),
            would_deny: traffic(would_deny),
            reject_sent: traffic(rejects),
            reject_limited: traffic(0),
        };
        let text = written(&status);
        let told = text.lines().find_map(|line| line.strip_prefix("         last"));
        assert_eq!(
            told.map(|told| format!("last{told}")).unwrap_or_default(),
            expected,
            "{description}"
        );
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
    let mut status = parsed("", &service("web", r#""tcp/80""#, rest, [5, 0, 0, 0]), "", "");
    status.last_minute.unmatched = [("no_service".into(), Traffic { packets: 3, bytes: 9 })].into();
    assert!(
        written(&status).contains("Packets of no service: 0 passed\n  last minute: 3 passed\n")
    );
}
