use clap::Parser as _;

use crate::cli::{
    args::Args,
    run::run,
    testing::{FakeDaemon, Screen},
};

const DROP: &str = r#"{"time":"2026-11-22T02:00:00.5Z","source":"203.0.113.7","service":"redis","port":"tcp/6379","interface":"eth0","length":74,"reason":"denied"}"#;
const TAGGED: &str = r#"{"time":"2026-11-22T02:00:01Z","source":null,"service":null,"port":null,"interface":"eth0","vlan":7,"length":1514,"reason":"frame_cut_off"}"#;

/// The exit code, stdout and stderr where the daemon tells this and closes.
fn followed(line: &str, body: &str) -> (u8, String, String) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nserver: allowlistd\r\ncontent-type: text/event-stream\r\n\r\n{body}"
    );
    let daemon = FakeDaemon::answering([answer]);
    let line = format!("allowlist-ctl --socket {} {line}", daemon.socket().display());
    let args = Args::try_parse_from(line.split_whitespace()).unwrap();
    let mut screen = Screen::default();
    let exit = run(&args, &mut screen.console());
    let requests = daemon.requests();
    assert!(requests[0].starts_with("GET /v1/events?only=drop HTTP/1.1\r\n"), "{}", requests[0]);
    (exit as u8, screen.stdout(), screen.stderr())
}

fn stream() -> String {
    format!(
        ": following\n\nevent: drop\ndata: {DROP}\n\nevent: new\ndata: ?\n\n\
         event: lost\ndata: {{\"events\":12}}\n\nevent: drop\ndata: {TAGGED}\n\n"
    )
}

#[test]
fn a_packet_is_a_line_until_the_daemon_ends() {
    let (exit, stdout, stderr) = followed("drops --follow", &stream());
    let expected = "\
TIME                  SOURCE           SERVICE   PORT       INTERFACE  BYTES  REASON
2026-11-22T02:00:00Z  203.0.113.7      redis     tcp/6379   eth0          74  denied
2026-11-22T02:00:01Z  -                -         -          eth0 vlan 7   1514  unreadable: frame cut off
";
    assert_eq!(stdout, expected);
    assert_eq!(
        stderr,
        "warning: 12 packets are not shown, for they came too fast\n\
         error: the daemon no longer tells of dropped packets\n\
         hint: see with `allowlist-ctl status` whether it runs, and follow again\n"
    );
    assert_eq!(exit, 1);
}

#[test]
fn json_is_an_object_a_line() {
    let (exit, stdout, stderr) = followed("drops --follow --json", &stream());
    assert_eq!(stdout, format!("{DROP}\n{{\"events\":12}}\n{TAGGED}\n"));
    assert!(stderr.starts_with("{\"error\":{\"code\":\"failed\","), "{stderr}");
    assert_eq!(exit, 1);
}

#[test]
fn what_cannot_be_read_is_told() {
    let table = [
        ("event: drop\ndata: {}\n\n", "the daemon's answer cannot be read: missing field"),
        ("event: lost\ndata: x\n\n", "the daemon's answer cannot be read: expected value"),
        (": \u{0}\n\n", "the daemon no longer tells of dropped packets"),
    ];
    for (body, expected) in table {
        let (exit, _, stderr) = followed("drops --follow", body);
        assert!(stderr.starts_with(&format!("error: {expected}")), "{stderr}");
        assert_eq!(exit, 1);
    }
}
