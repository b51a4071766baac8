use super::*;
use crate::api::CutConnection;

const REPORT: &str = r#"{
    "trial":{"id":7,"what":"replace redis","by":{"uid":0,"name":"root"},"since":"2026-11-25T09:00:00.1Z",
        "until":"2026-11-25T09:01:00Z","seconds_left":0,"revision":3},
    "ended":"2026-11-25T09:01:00.2Z","differs":true,"revision":3,"packets":1240,
    "newly_dropped":0,"newly_admitted":0,"sources":[],"cuts":[],"opens":[],"incomplete":false}"#;

fn report() -> TrialReport {
    serde_json::from_str(REPORT).unwrap()
}

fn source(source: &str, service: Option<&str>, would: WouldBe, packets: u64) -> TrialSource {
    let time = |text: &str| text.parse().unwrap();
    TrialSource {
        source: source.parse().unwrap(),
        service: service.map(|name| name.parse().unwrap()),
        would,
        packets,
        first: time("2026-11-25T09:00:10Z"),
        last: time("2026-11-25T09:00:50Z"),
    }
}

fn written(report: &TrialReport) -> String {
    let mut out = Vec::new();
    trial(report, Some("allowlist-ctl replace redis -f redis.txt"), &mut out, Paint::OFF).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn who_would_be_judged_otherwise_is_told() {
    let report = TrialReport {
        newly_dropped: 34,
        newly_admitted: 1,
        sources: vec![
            source("203.0.113.7", Some("redis"), WouldBe::Dropped, 30),
            source("2001:db8::7", None, WouldBe::Dropped, 4),
            source("198.51.100.9", Some("redis"), WouldBe::Admitted, 1),
        ],
        cuts: vec![CutConnection {
            service: "redis".parse().unwrap(),
            peer: "203.0.113.7:51234".parse().unwrap(),
            local: "192.0.2.1:6379".parse().unwrap(),
            own_session: false,
        }],
        opens: vec!["web".parse().unwrap()],
        incomplete: true,
        revision: 5,
        ..report()
    };
    let expected = "\
'replace redis' was on trial for 60 s; 1240 packets were judged by both policies.
The policy in force has moved on from revision 3 to 5: what was on trial has nothing of that.

Would be dropped: 2 sources, 34 packets
SOURCE       SERVICE       PACKETS  FIRST      LAST
203.0.113.7  redis              30  09:00:10Z  09:00:50Z
2001:db8::7  (unreadable)        4  09:00:10Z  09:00:50Z

Would be admitted: 1 source, 1 packet
SOURCE        SERVICE  PACKETS  FIRST      LAST
198.51.100.9  redis          1  09:00:10Z  09:00:50Z

Would be cut: 1 established connection
203.0.113.7:51234 -> 192.0.2.1:6379 (redis)

Would be accessible to everyone: web

So many sources were seen that some may be missing.

To enforce it: allowlist-ctl replace redis -f redis.txt
";
    assert_eq!(written(&report), expected);
}

#[test]
fn that_nothing_would_change_is_said() {
    let expected = "\
'replace redis' was on trial for 60 s; 1240 packets were judged by both policies.

Nothing would change for anybody seen in 60 s.

To enforce it: allowlist-ctl replace redis -f redis.txt
";
    assert_eq!(written(&report()), expected);
    let same = TrialReport { differs: false, packets: 1, ..report() };
    let expected = "\
'replace redis' was on trial for 60 s; 1 packet was judged by both policies.
It is the policy that was in force when it began.
";
    assert!(written(&same).starts_with(expected), "{}", written(&same));
    // Some may have made room for others.
    let lost = TrialReport { newly_dropped: 1, ..report() };
    assert!(!written(&lost).contains("Nothing would change"), "{}", written(&lost));
}

#[test]
fn no_more_sources_are_told_than_somebody_may_want_to_read() {
    let one = source("203.0.113.7", Some("redis"), WouldBe::Dropped, 2);
    let many = TrialReport { newly_dropped: 46, sources: vec![one; 23], ..report() };
    let text = written(&many);
    assert_eq!(text.matches("203.0.113.7").count(), 20, "{text}");
    assert!(text.contains("\n... and 3 more sources; --json has all of them\n"), "{text}");
}
