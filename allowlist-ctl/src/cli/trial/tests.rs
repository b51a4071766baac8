use clap::Parser as _;

use crate::cli::{
    args::Args,
    testing::{http, typed},
};

const TRIAL: &str = r#"{"id":7,"what":"replace redis","by":{"uid":0,"name":"root"},"since":"2026-11-25T09:00:00Z","until":"2026-11-25T09:00:01Z","seconds_left":1,"revision":3}"#;

fn report() -> String {
    format!(
        r#"{{"trial":{TRIAL},"ended":"2026-11-25T09:00:01Z","differs":true,"revision":3,"packets":0,"newly_dropped":0,"newly_admitted":0,"sources":[],"cuts":[],"opens":[],"incomplete":false}}"#
    )
}

#[test]
fn a_list_or_a_policy_is_put_on_trial_and_ended_by_its_id() {
    let directory = tempfile::tempdir().unwrap();
    let (list, policy) = (directory.path().join("list.txt"), directory.path().join("p.toml"));
    std::fs::write(&list, "10.0.0.1 # alice\n").unwrap();
    std::fs::write(&policy, "[service.redis]\nports = [\"tcp/6379\"]\n").unwrap();
    let (list, policy) = (list.display(), policy.display());
    let table = [
        (
            format!("try redis -f {list} --for 1s"),
            "POST /v1/trial/redis?seconds=1 HTTP/1.1\r\n",
            "10.0.0.1 # alice\n",
            format!("allowlist-ctl replace redis -f {list}"),
        ),
        (
            format!("try -f {policy} --for 1s"),
            "POST /v1/trial?seconds=1 HTTP/1.1\r\n",
            "\"tcp/6379\"",
            format!("allowlist-ctl apply -f {policy}"),
        ),
    ];
    for (line, request, body, next) in table {
        let (exit, stdout, stderr, requests) =
            typed(&line, &[http(200, TRIAL), http(200, &report())]);
        assert_eq!(exit, 0, "{line}: {stderr}");
        assert!(requests[0].starts_with(request) && requests[0].contains(body), "{}", requests[0]);
        assert!(requests[1].starts_with("DELETE /v1/trial?id=7 HTTP/1.1\r\n"), "{}", requests[1]);
        assert!(stderr.starts_with("on trial for 1 s, until 2026-11-25T09:00:01Z"), "{stderr}");
        assert!(stdout.ends_with(&format!("To enforce it: {next}\n")), "{stdout}");
        let (exit, stdout, stderr, _) =
            typed(&format!("{line} --json"), &[http(200, TRIAL), http(200, &report())]);
        assert_eq!((exit, stdout, stderr), (0, report() + "\n", String::new()), "{line}");
    }
}

#[test]
fn a_trial_is_ended_whoever_began_it() {
    let (exit, stdout, stderr, requests) = typed("try --end", &[http(200, &report())]);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert!(requests[0].starts_with("DELETE /v1/trial HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(stdout.contains("Nothing would change") && !stdout.contains("To enforce"), "{stdout}");
    for line in ["try", "try redis", "try --end -f x", "try redis --end", "try --end --for 5s"] {
        let line = format!("allowlist-ctl {line}");
        assert!(Args::try_parse_from(line.split_whitespace()).is_err(), "{line}");
    }
}

#[test]
fn what_cannot_be_read_is_put_on_no_trial() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("p.toml");
    std::fs::write(&policy, "[service.redis]\nports = 7\n").unwrap();
    let table = [
        ("try redis! -f /nowhere --for 8d".to_owned(), 2, "2 arguments cannot be read"),
        ("try redis -f /nowhere".to_owned(), 1, "cannot read /nowhere"),
        (format!("try -f {}", policy.display()), 1, "line 2, column 9 of"),
    ];
    for (line, code, said) in table {
        let (exit, stdout, stderr, requests) = typed(&line, &[]);
        assert_eq!((exit, stdout.as_str(), requests.len()), (code, "", 0), "{line}");
        assert!(stderr.contains(said), "{line}: {stderr}");
    }
}
