use clap::Parser as _;

use super::*;
use crate::cli::args::Args;

fn meaning(line: &str) -> Result<Meaning, Error> {
    let typed = format!("allowlist-ctl {line}");
    let args = Args::try_parse_from(typed.split_whitespace()).unwrap();
    let mut stdin: &[u8] = match args.command {
        Command::Apply { .. } => {
            b"[group.office]\nentries = ['10.0.0.0/8', { entry = '::1', comment = 'a' }]\n"
        }
        _ => b"10.0.0.0/8 # office\n",
    };
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
        (
            "protect a tcp/1 --include office --include lab",
            r#"PUT /v1/services/a json {"ports":["tcp/1"],"include":["office","lab"]}"#,
        ),
        (
            "protect a tcp/1 --include none --confirm 5m",
            r#"PUT /v1/services/a?confirm=300 json {"ports":["tcp/1"],"include":[]}"#,
        ),
        ("group office", "PUT /v1/groups/office json {}"),
        (
            "group office --follow /etc/../etc/office.txt",
            r#"PUT /v1/groups/office json {"follow":"/etc/../etc/office.txt"}"#,
        ),
        ("group office --follow none", r#"PUT /v1/groups/office json {"follow":""}"#),
        ("ungroup office --dry-run", "DELETE /v1/groups/office?dry_run=true"),
        (
            "add redis ::1 --until 2099-12-01T00:00+01:00 --confirm 60s --if-revision 7",
            r#"POST /v1/lists/redis/add?confirm=60&if_revision=7 json {"entries":[{"entry":"::1","expires_at":"2099-11-30T23:00:00Z"}]}"#,
        ),
        (
            "apply -f -",
            r#"PUT /v1/policy json {"service":{},"group":{"office":{"entries":["10.0.0.0/8",{"entry":"::1","comment":"a"}]}}}"#,
        ),
        ("confirm", "POST /v1/confirm"),
        ("rollback", "POST /v1/rollback json {}"),
        ("rollback --to 0 --yes", r#"POST /v1/rollback?yes=true json {"to":0}"#),
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
        (
            "protect a tcp/1 --address any --address ::1",
            &["'--address any' stands for none of them"],
        ),
        (
            "protect a tcp/1 --address 10.0.0.5/24 --address x --address ::1 --address ::1%eth0",
            &["10.0.0.5/24 has host bits set", "'x' is not an address", "without '%'"],
        ),
        (
            "protect a tcp/1 --address 10.0.0.1-10.0.0.9 --address 10.0.0.0-10.0.0.255",
            &["'10.0.0.1-10.0.0.9' is not one prefix", "'10.0.0.0-10.0.0.255' is not one prefix"],
        ),
        ("protect a tcp/1 --include Office --include x", &["'Office' is not a name"]),
        ("protect a tcp/1 --include none --include x", &["stands for none of them"]),
        ("group 9 --follow /a", &["'9' is not a name"]),
        ("ungroup trusted!", &["'trusted!' is not a name"]),
        ("edit Redis", &["'Redis' is not a name"]),
        ("add redis ::1 --for 60", &["'60' is not a span of time: write it like 90s"]),
        ("add redis x --for 1mo", &["'1mo' has months or years", "'x' is not an address"]),
        ("add redis ::1 --until 2099-12-01T00:00", &["does not say of which time zone"]),
        ("add redis ::1 --until 2009-12-01T00:00Z", &["lies in the past"]),
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

#[test]
fn a_span_of_time_becomes_a_moment() {
    let before = Timestamp::now();
    let sent = sent("add redis ::1 --for 2h30m");
    let (_, end) = sent.split_once(r#""expires_at":""#).unwrap();
    let end: Timestamp = end.split('"').next().unwrap().parse().unwrap();
    let late = before.as_second() + 9000;
    assert!((late..late + 60).contains(&end.as_second()), "{sent}");
}

#[test]
fn a_relative_file_is_followed_from_where_it_was_typed() {
    let here = std::env::current_dir().unwrap();
    for (typed, expected) in
        [("list.txt", "list.txt"), ("../a/none", "../a/none"), ("./none", "none")]
    {
        let path = follow(std::path::Path::new(typed)).unwrap();
        assert_eq!(path, here.join(expected), "{typed}");
    }
    for typed in ["", "a\nb"] {
        assert!(follow(std::path::Path::new(typed)).is_err(), "{typed}");
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.toml");
    std::fs::write(&file, "[service.redis]\nprots = []\n").unwrap();
    let error = meaning(&format!("apply -f {}", file.display())).unwrap_err();
    let expected = format!("line 2, column 1 of {} cannot be read: unknown field", file.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    let error = meaning("apply -f /nowhere/p.toml").unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/p.toml: "), "{error}");
}

#[test]
fn the_audit_trail_is_asked_for_what_is_wanted() {
    let query = |line: &str| match meaning(line).unwrap() {
        Meaning::Audit(query) => query,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(query("audit"), "limit=50");
    assert_eq!(query("audit --name re&dis --limit 7"), "limit=7&name=re%26dis");
    let since = query("audit --since 1d");
    let (_, since) = since.split_once("&since=").unwrap();
    let since: Timestamp = since.replace("%3A", ":").parse().unwrap();
    let age = Timestamp::now().duration_since(since).as_secs();
    assert!((86_400..86_460).contains(&age), "{age}");
    assert!(matches!(meaning("audit --verify"), Ok(Meaning::VerifyAudit)));
    let error = meaning("audit --since yesterday").unwrap_err();
    assert_eq!(
        error.to_string(),
        "'yesterday' is not a span of time: write it like 90s, 2h30m, 7d or 4w"
    );
}

#[test]
fn the_session_of_the_caller_goes_with_a_change() {
    let Meaning::Change(mut change) = meaning("remove ssh 10.0.0.1").unwrap() else { panic!() };
    change.request.options.session = Some("[2001:db8::1]:50022|192.0.2.1:22".parse().unwrap());
    assert_eq!(
        change.request.target(),
        "/v1/lists/ssh/remove?session=%5B2001%3Adb8%3A%3A1%5D%3A50022%7C192.0.2.1%3A22"
    );
}
