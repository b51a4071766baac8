use super::*;
use crate::{api::Failure, cli::testing::Screen};

fn told(error: &Error, json: bool) -> String {
    let mut screen = Screen::default();
    error.tell(json, &mut screen.console());
    screen.stderr()
}

fn guarded() -> Problem {
    let cut = |peer: &str, own_session| CutConnection {
        service: "ssh".parse().unwrap(),
        peer: peer.parse().unwrap(),
        local: "192.0.2.1:22".parse().unwrap(),
        own_session,
    };
    Problem {
        cuts: vec![cut("203.0.113.7:51234", true), cut("203.0.113.8:51234", false)],
        ..Problem::new(ErrorCode::Guarded, "this would cut 2 connections")
    }
}

fn kept(error: Error) -> Error {
    Error::Kept { error: Box::new(error), list: "redis".parse().unwrap(), file: "/tmp/x".into() }
}

#[test]
fn an_error_is_a_sentence_and_what_to_do() {
    let table = [
        (
            Error::NoDaemon { socket: "/run/x.sock".into(), why: Absence::Missing },
            3,
            "error: no daemon answers at /run/x.sock: there is no such file\n\
             hint: start allowlistd, or give its socket with --socket\n",
        ),
        (
            Error::NoDaemon { socket: "/run/x.sock".into(), why: Absence::Deserted },
            3,
            "error: no daemon answers at /run/x.sock: its socket is there, but nobody listens\n\
             hint: start allowlistd; its log, as in `journalctl -u allowlistd`, says why it ended\n",
        ),
        (
            Error::NoDaemon { socket: "/tmp".into(), why: Absence::NoSocket },
            3,
            "error: no daemon answers at /tmp: that is no socket\n\
             hint: give the socket of allowlistd with --socket; it is /run/allowlist/allowlistd.sock unless configured\n",
        ),
        (
            Error::Stranger {
                socket: "/run/x.sock".into(),
                said: "it answers 404 Not Found".into(),
            },
            3,
            "error: what answers at /run/x.sock is not allowlistd: it answers 404 Not Found\n\
             hint: give the socket of allowlistd with --socket; it is /run/allowlist/allowlistd.sock unless configured\n",
        ),
        (
            Error::Usage(vec!["one".into(), "two".into()]),
            2,
            "error: 2 arguments cannot be read\n  one\n  two\n",
        ),
        (Error::Usage(vec!["one".into()]), 2, "error: one\n"),
        (
            Error::MayNotOpen {
                user: "eve (uid 1001)".into(),
                socket: "/s".into(),
                group: Some("allowlist".into()),
            },
            4,
            "error: eve (uid 1001) may not open the daemon's socket /s\n\
             hint: run it with sudo, or ask for membership of the group 'allowlist'\n",
        ),
        (
            Error::Refused(Problem::new(ErrorCode::Unconfirmed, "everyone gets in.")),
            5,
            "error: everyone gets in\nhint: --yes does it without asking\n",
        ),
        (
            Error::Refused(Problem {
                details: vec!["line 1: bad".into(), "line 2: \x1b[2J".into()],
                ..Problem::new(ErrorCode::InvalidLines, "2 lines cannot be read")
            }),
            1,
            "error: 2 lines cannot be read\n  line 1: bad\n  line 2: \\u{1b}[2J\n\
             hint: correct that, and run it again\n",
        ),
        (
            Error::Ended,
            1,
            "error: the daemon no longer tells of dropped packets\n\
             hint: see with `allowlist-ctl status` whether it runs, and follow again\n",
        ),
        (Error::Declined, 5, "error: not confirmed, nothing was changed\n"),
        (
            Error::Editor { command: "vi".into(), reason: "ended with exit status: 1".into() },
            1,
            "error: the editor 'vi' ended with exit status: 1; nothing was changed\n",
        ),
        (
            kept(Error::Refused(guarded())),
            5,
            "error: this would cut 2 connections\n\
             \x20 203.0.113.7:51234 -> 192.0.2.1:22 (ssh), your own SSH session\n\
             \x20 203.0.113.8:51234 -> 192.0.2.1:22 (ssh)\n\
             hint: --force does it all the same; your text is in /tmp/x: \
             `allowlist-ctl replace redis -f /tmp/x` takes it\n",
        ),
        (
            kept(Error::Refused(Problem::new(ErrorCode::RevisionConflict, "moved on"))),
            7,
            "error: moved on\nhint: your text is in /tmp/x: see what has changed with \
             `allowlist-ctl list redis`, and edit again\n",
        ),
        (
            Error::Policy(InvalidPolicy::Entries {
                name: "p.toml".into(),
                wrong: vec!["line 3: a: bad".into(), "line 4: a: worse".into()],
            }),
            1,
            "error: 2 entries of p.toml cannot be read; nothing was changed\n\
             \x20 line 3: a: bad\n  line 4: a: worse\nhint: correct that, and run it again\n",
        ),
    ];
    for (error, exit, expected) in table {
        assert_eq!(told(&error, false), expected);
        assert_eq!(error.exit() as u8, exit, "{expected}");
    }
}

#[test]
fn an_error_as_json_is_the_document_of_the_daemon() {
    let problem =
        Problem { revision: Some(3), ..Problem::new(ErrorCode::Unconfirmed, "m") }.hint("h");
    let document = told(&Error::Refused(problem.clone()), true);
    assert_eq!(serde_json::from_str::<Failure>(&document).unwrap(), Failure { error: problem });
    let document = told(&kept(Error::Refused(guarded().hint("h"))), true);
    let expected = guarded()
        .hint("h; your text is in /tmp/x: `allowlist-ctl replace redis -f /tmp/x` takes it");
    assert_eq!(serde_json::from_str::<Failure>(&document).unwrap(), Failure { error: expected });
    assert_eq!(
        told(&Error::NoDaemon { socket: "/s".into(), why: Absence::Missing }, true),
        "{\"error\":{\"code\":\"no_daemon\",\"message\":\"no daemon answers at /s: there is no such file\",\
         \"hint\":\"start allowlistd, or give its socket with --socket\"}}\n"
    );
}
