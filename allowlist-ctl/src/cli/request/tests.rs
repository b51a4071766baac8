use clap::Parser as _;

use super::*;
use crate::cli::args::Args;

fn meaning(line: &str) -> Result<Meaning, Error> {
    let typed = format!("allowlist-ctl {line}");
    let args = Args::try_parse_from(typed.split_whitespace()).unwrap();
    let mut stdin: &[u8] = b"10.0.0.0/8 # office\n";
    Meaning::of(&args.command, &mut stdin)
}

fn sent(line: &str) -> String {
    let Meaning::Change(change) = meaning(line).unwrap() else { panic!("{line}: no change") };
    let (kind, body) = match &change.request.body {
        Body::Empty => ("", Bytes::new()),
        Body::Json(body) => (" json ", body.clone()),
        Body::Text(body) => (" text ", body.clone()),
    };
    let body = String::from_utf8_lossy(&body);
    format!("{} {}{kind}{body}", change.request.method, change.request.target())
}

#[test]
fn a_change_becomes_its_request() {
    let table = [
        ("protect redis tcp/6379", r#"PUT /v1/services/redis json {"ports":["tcp/6379"]}"#),
        (
            "protect a tcp/1 udp/2-3 --interface x --mode monitor --when-empty closed",
            r#"PUT /v1/services/a json {"ports":["tcp/1","udp/2-3"],"interfaces":["x"],"mode":"monitor","when_empty":"closed"}"#,
        ),
        (
            "protect a tcp/1 --interface all",
            r#"PUT /v1/services/a json {"ports":["tcp/1"],"interfaces":[]}"#,
        ),
        (
            "protect a tcp/1 --address 192.0.2.1 --address 2001:db8::/32 --action reject",
            r#"PUT /v1/services/a json {"ports":["tcp/1"],"addresses":["192.0.2.1/32","2001:db8::/32"],"action":"reject"}"#,
        ),
        (
            "protect a tcp/1 --address any --action drop",
            r#"PUT /v1/services/a json {"ports":["tcp/1"],"addresses":[],"action":"drop"}"#,
        ),
        (
            "protect a tcp/1 --address ::ffff:192.0.2.1",
            r#"PUT /v1/services/a json {"ports":["tcp/1"],"addresses":["192.0.2.1/32"]}"#,
        ),
        ("mode redis monitor", r#"PUT /v1/services/redis/mode json {"mode":"monitor"}"#),
        (
            "mode redis off --dry-run --if-revision 7",
            r#"PUT /v1/services/redis/mode?dry_run=true&if_revision=7 json {"mode":"off"}"#,
        ),
        ("unprotect redis", "DELETE /v1/services/redis"),
        (
            "unprotect redis --yes --force --dry-run --if-revision 7",
            "DELETE /v1/services/redis?yes=true&force=true&dry_run=true&if_revision=7",
        ),
        ("unprotect redis --if-revision 0", "DELETE /v1/services/redis?if_revision=0"),
        (
            "add redis 10.0.0.1-10.0.0.9 !::/64 --comment office",
            r#"POST /v1/lists/redis/add json {"entries":[{"entry":"10.0.0.1-10.0.0.9","comment":"office"},{"entry":"!::/64","comment":"office"}]}"#,
        ),
        (
            "remove redis ::1 !::2 --except",
            r#"POST /v1/lists/redis/remove json {"entries":[{"entry":"!::1"},{"entry":"!::2"}]}"#,
        ),
        (
            "replace redis -f - --dry-run",
            "PUT /v1/lists/redis?dry_run=true text 10.0.0.0/8 # office\n",
        ),
        ("attach eth0", "PUT /v1/interfaces/eth0 json {}"),
        (
            "attach eth0.7@x? --xdp-mode auto",
            r#"PUT /v1/interfaces/eth0.7%40x%3F json {"mode":"auto"}"#,
        ),
        ("detach eth0 --yes", "DELETE /v1/interfaces/eth0?yes=true"),
    ];
    for (typed, expected) in table {
        assert_eq!(sent(typed), expected, "{typed}");
    }
}

#[test]
fn every_argument_that_cannot_be_read_is_named() {
    let table: &[(&str, &[&str])] = &[
        ("list Redis", &["'Redis' is not a name"]),
        ("unprotect ../status", &["'../status' is not a name"]),
        ("protect 9 tcp/0 icmp/1", &["'9' is not a name", "'tcp/0'", "'icmp' is no protocol"]),
        ("protect a tcp/1 --interface a/b", &["'a/b' is no name of an interface"]),
        ("protect a tcp/1 --interface all --interface x", &["give it alone"]),
        ("protect a tcp/1 --address any --address ::1", &["'--address any' lifts the limit"]),
        (
            "protect a tcp/1 --address 10.0.0.5/24 --address x --address ::1 --address ::1%eth0",
            &["10.0.0.5/24 has host bits set", "'x' is not an address", "without '%'"],
        ),
        (
            "protect a tcp/1 --address 10.0.0.1-10.0.0.9 --address 10.0.0.0-10.0.0.255",
            &["'10.0.0.1-10.0.0.9' is not one prefix", "'10.0.0.0-10.0.0.255' is not one prefix"],
        ),
        ("mode Redis off", &["'Redis' is not a name"]),
        (
            "add redis 10.0.0.5/24 10.0.0.1 nonsense",
            &[
                "10.0.0.5/24 has host bits set: use 10.0.0.0/24 for the network or 10.0.0.5/32 for the address",
                "'nonsense' is not an address",
            ],
        ),
        ("add redis !!::1", &["'!::1' is not an address"]),
        ("remove redis !10.0.0.0/33 --except", &["use /0 to /32"]),
        ("replace 9 -f /nowhere", &["'9' is not a name"]),
        ("attach ..", &["'..' is no name of an interface"]),
        ("detach sixteen-letters-", &["is no name of an interface"]),
    ];
    for (typed, expected) in table {
        let Err(Error::Usage(problems)) = meaning(typed) else { panic!("{typed}: taken") };
        assert_eq!(problems.len(), expected.len(), "{typed}: {problems:?}");
        for (problem, expected) in problems.iter().zip(*expected) {
            assert!(problem.contains(expected), "{typed}: {problem}");
        }
    }
}

#[test]
fn a_comment_that_is_too_long_is_refused() {
    let typed = format!("add redis ::1 --comment {}", "x".repeat(501));
    let Err(Error::Usage(problems)) = meaning(&typed) else { panic!("taken") };
    assert_eq!(problems, ["the comment is 501 bytes long: use at most 500"]);
}
