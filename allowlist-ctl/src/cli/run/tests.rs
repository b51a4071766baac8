use clap::Parser as _;

use super::*;
use crate::cli::testing::{Screen, http, typed, typed_at};

const UNCONFIRMED: &str = r#"{"error":{"code":"unconfirmed","message":"after this, redis is accessible to everyone","hint":"--yes does it without asking","revision":4}}"#;
const CHANGED: &str = r#"{"revision":5,"changed":true,"dry_run":false,"added":0,"updated":0,"unchanged":0,"removed":1,"messages":["No entries: redis is accessible to everyone."],"warnings":["look after it"],"differences":{"items":[],"omitted":0}}"#;

#[test]
fn a_change_says_what_happened() {
    let (exit, stdout, stderr, _) = typed("remove redis ::1 --yes", &[http(200, CHANGED)]);
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(
        stdout,
        "redis: 1 removed (revision 5)\nNo entries: redis is accessible to everyone.\n"
    );
    assert_eq!(stderr, "warning: look after it\n");
}

#[test]
fn json_is_the_daemons_document() {
    let (exit, stdout, stderr, _) = typed("remove redis ::1 --json", &[http(200, CHANGED)]);
    assert_eq!((exit, stdout, stderr), (0, format!("{CHANGED}\n"), String::new()));
    let (exit, stdout, stderr, _) = typed("remove redis ::1 --json", &[http(409, UNCONFIRMED)]);
    assert_eq!((exit, stdout, stderr), (5, String::new(), format!("{UNCONFIRMED}\n")));
}

#[test]
fn drops_are_asked_for_as_many_as_are_shown() {
    let drops = r#"{"lost":0,"drops":[]}"#;
    let nothing = "No packet was dropped since the daemon started.\n";
    let document = format!("{drops}\n");
    let table = [
        ("drops", "GET /v1/drops?limit=50 HTTP/1.1\r\n", nothing),
        ("drops --limit 7", "GET /v1/drops?limit=7 HTTP/1.1\r\n", nothing),
        ("drops --json", "GET /v1/drops HTTP/1.1\r\n", &document),
        ("drops --json --limit 7", "GET /v1/drops?limit=7 HTTP/1.1\r\n", &document),
    ];
    for (line, request, expected) in table {
        let (exit, stdout, stderr, requests) = typed(line, &[http(200, drops)]);
        assert_eq!((exit, stdout.as_str(), stderr.as_str()), (0, expected, ""), "{line}");
        assert!(requests[0].starts_with(request), "{line}: {}", requests[0]);
    }
}

#[test]
fn without_a_terminal_the_question_is_a_refusal() {
    let (exit, stdout, stderr, requests) = typed("remove redis ::1", &[http(409, UNCONFIRMED)]);
    assert_eq!((exit, stdout.as_str(), requests.len()), (5, "", 1));
    assert_eq!(
        stderr,
        "error: after this, redis is accessible to everyone\nhint: --yes does it without asking\n"
    );
}

#[test]
fn a_yes_is_for_what_was_asked_about() {
    for yes in ["y\n", "Yes\n", " y \r\n"] {
        let answers = [http(409, UNCONFIRMED), http(200, CHANGED)];
        let (exit, _, stderr, requests) =
            typed_at("remove redis ::1", Screen::answering(yes), &answers);
        assert_eq!(exit, 0, "{yes:?}");
        let asked = "warning: after this, redis is accessible to everyone\nContinue? [y/N] ";
        assert!(stderr.starts_with(asked), "{stderr}");
        assert!(requests[0].starts_with("POST /v1/lists/redis/remove HTTP/1.1\r\n"));
        assert!(
            requests[1].starts_with("POST /v1/lists/redis/remove?yes=true&if_revision=4 HTTP"),
            "{}",
            requests[1]
        );
    }
}

#[test]
fn everything_but_a_yes_is_a_no() {
    for no in ["n\n", "\n", "", "yesterday\n"] {
        let (exit, stdout, stderr, requests) =
            typed_at("remove redis ::1", Screen::answering(no), &[http(409, UNCONFIRMED)]);
        assert_eq!((exit, stdout.as_str(), requests.len()), (5, "", 1), "{no:?}");
        assert!(stderr.ends_with("error: not confirmed, nothing was changed\n"), "{stderr}");
    }
}

#[test]
fn bad_arguments_are_told_before_anybody_is_asked() {
    let (exit, _, stderr, _) = typed("add redis 10.0.0.5/24 x", &[]);
    assert_eq!(exit, 2);
    assert!(
        stderr.starts_with("error: 2 arguments cannot be read\n  10.0.0.5/24 has host"),
        "{stderr}"
    );
    let (exit, _, stderr, _) = typed("replace redis -f /nowhere/x", &[]);
    assert_eq!(exit, 1);
    assert!(stderr.starts_with("error: cannot read /nowhere/x: No such file"), "{stderr}");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let args = Args::try_parse_from(["allowlist-ctl", "completions", "bash"]).unwrap();
    let mut screen = Screen::default();
    let exit = run(&args, &mut Console { stdout: &mut Closed, ..screen.console() });
    assert_eq!((exit, screen.stderr().as_str()), (Exit::Done, ""));
}

#[test]
fn completions_are_made_for_each_shell() {
    for (shell, mark) in
        [("bash", "complete -o"), ("zsh", "#compdef allowlist-ctl"), ("fish", "complete --")]
    {
        let (exit, stdout, ..) = typed(&format!("completions {shell}"), &[]);
        assert_eq!(exit, 0);
        let asks = format!("ALLOWLIST_CTL_COMPLETE={shell}");
        assert!(stdout.contains(mark) && stdout.replace('"', "").contains(&asks), "{stdout}");
    }
    let (exit, ..) = typed("completions fish --json", &[]);
    assert_eq!(exit, 2);
}

#[test]
fn a_trail_that_was_altered_is_a_failure() {
    let whole = r#"{"rows":2,"first":1,"last":2,"pruned":0,"head_hash":"00","broken":null}"#;
    let altered = whole.replace("null", r#"{"id":2,"what":"altered"}"#);
    let (exit, stdout, ..) = typed("audit --verify", &[http(200, whole)]);
    assert_eq!(exit, 0);
    assert!(stdout.starts_with("The audit trail is whole: 2 rows, 1 to 2\n"), "{stdout}");
    let (exit, stdout, stderr, _) = typed("audit --verify", &[http(200, &altered)]);
    assert_eq!(exit, 1);
    assert!(stdout.starts_with("The audit trail was altered at row 2: "), "{stdout}");
    assert!(stderr.starts_with("error: the audit trail is not as it was written\n"), "{stderr}");
    let (exit, stdout, ..) = typed("audit --verify --json", &[http(200, &altered)]);
    assert_eq!((exit, stdout), (1, format!("{altered}\n")));
}
