//! The guard of established connections: what would cut one is refused and names it, and is done when it is forced.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::Host;

use super::support::{PATIENCE, Server, listen};

/// A packet that is let through is answered within a tenth of this.
const SILENCE: Duration = Duration::from_millis(150);

/// Both ends of an established connection.
pub(crate) struct Line {
    client: TcpStream,
    server: TcpStream,
    peer: SocketAddr,
}

impl Line {
    pub(crate) fn open(from: &Host, listener: &TcpListener, to: SocketAddr) -> Result<Self> {
        let client = from.namespace.connect(to, PATIENCE)?;
        client.set_nodelay(true)?;
        let (server, peer) = listener.accept()?;
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Ok(Self { client, server, peer })
    }

    /// Whether a byte of the client arrives.
    fn arrives(&mut self, within: Duration) -> Result<bool> {
        self.client.write_all(b"x").context("the client can't even send")?;
        self.server.set_read_timeout(Some(within))?;
        Ok(self.server.read(&mut [0]).is_ok_and(|read| read == 1))
    }

    pub(crate) fn is_whole(&mut self) -> Result<()> {
        ensure!(self.arrives(PATIENCE)?, "the connection of {} is cut", self.peer);
        Ok(())
    }

    pub(crate) fn is_cut(&mut self) -> Result<()> {
        ensure!(!self.arrives(SILENCE)?, "the connection of {} goes on", self.peer);
        Ok(())
    }
}

pub(crate) fn entries(entries: &[&str]) -> Value {
    let entries: Vec<Value> = entries.iter().map(|entry| json!({ "entry": entry })).collect();
    json!({ "entries": entries })
}

/// A change as it is asked for over HTTP, and by the command line where that has it.
pub(crate) struct Change<'a> {
    pub(crate) line: &'a str,
    pub(crate) body: Value,
    pub(crate) command: &'a [&'a str],
}

/// With the option of a change.
fn with(line: &str, option: &str) -> String {
    format!("{line}{}{option}", if line.contains('?') { '&' } else { '?' })
}

/// Everything that a refused change has to leave as it was.
fn everything(server: &Server) -> Result<(Value, [Value; 2])> {
    Ok((server.get("/v1/policy")?, server.policy()?))
}

/// The change is refused for the sake of one connection, is only told as a dry run, and cuts it when it is forced.
pub(crate) fn is_guarded(
    server: &Server,
    change: &Change<'_>,
    service: &str,
    line: &mut Line,
) -> Result<()> {
    let Change { line: request, body, command } = change;
    let local = line.client.peer_addr()?;
    let cut = json!([{"service": service, "peer": line.peer, "local": local}]);
    line.is_whole()?;
    let before = everything(server)?;

    let told = server.make(&with(request, "dry_run=true&yes=true"), body)?;
    ensure!(told["cuts"] == cut && told["dry_run"] == true, "the dry run tells {told}");
    let problem = server.ask(&with(request, "yes=true"), body)?.refused(409, "guarded")?;
    ensure!(problem["cuts"] == cut, "{problem}");
    let said = format!("this would cut an established connection, that of {}", line.peer);
    ensure!(problem["message"].to_string().contains(&said), "{problem}");
    if !command.is_empty() {
        server.fails(command, 5, &said)?;
    }
    ensure!(everything(server)? == before, "a refused change changed something");
    line.is_whole()?;

    let done = server.make(&with(request, "force=true&yes=true"), body)?;
    ensure!(done["changed"] == true && done["cuts"] == cut, "{done}");
    line.is_cut()
}

/// `web` at a port with entries, in one change and whatever was there before.
pub(crate) fn set_up(
    server: &Server,
    service: &Value,
    office: &[impl AsRef<str>],
    web: &[impl AsRef<str>],
) -> Result<()> {
    let office: Vec<&str> = office.iter().map(AsRef::as_ref).collect();
    let web: Vec<&str> = web.iter().map(AsRef::as_ref).collect();
    let mut service = service.clone();
    service["ports"] = json!(["tcp/8080"]);
    service["entries"] = json!(web);
    let policy = json!({"service": {"web": service}, "group": {"office": {"entries": office}}});
    server.make("PUT /v1/policy?force=true&yes=true", &policy).map(drop)
}

/// A change that cuts bob, and the service `web` and group `office` as they are before it. `ALICE`, `BOB` and `BOTH` stand
/// for their addresses, and `FILE` for a list with alice alone.
struct Case {
    what: &'static str,
    service: &'static str,
    office: &'static [&'static str],
    web: &'static [&'static str],
    line: &'static str,
    body: &'static str,
    /// The same by the command line, where that has it.
    command: &'static [&'static str],
}

const CASES: [Case; 15] = [
    Case {
        what: "the first entry, of another",
        service: "{}",
        office: &[],
        web: &[],
        line: "POST /v1/lists/web/add",
        body: r#"{"entries":[{"entry":"ALICE"}]}"#,
        command: &["add", "web", "ALICE"],
    },
    Case {
        what: "its entry is removed",
        service: "{}",
        office: &[],
        web: &["ALICE", "BOB"],
        line: "POST /v1/lists/web/remove",
        body: r#"{"entries":[{"entry":"BOB"}]}"#,
        command: &["remove", "web", "BOB"],
    },
    Case {
        what: "the entry of a group is removed",
        service: r#"{"include":["office"]}"#,
        office: &["ALICE", "BOB"],
        web: &[],
        line: "POST /v1/lists/office/remove",
        body: r#"{"entries":[{"entry":"BOB"}]}"#,
        command: &["remove", "office", "BOB"],
    },
    Case {
        what: "a list without it",
        service: "{}",
        office: &[],
        web: &["BOTH"],
        line: "PUT /v1/lists/web",
        body: r#"{"entries":[{"entry":"ALICE"}]}"#,
        command: &["replace", "web", "-f", "FILE"],
    },
    Case {
        what: "an except",
        service: "{}",
        office: &[],
        web: &["BOTH"],
        line: "POST /v1/lists/web/add",
        body: r#"{"entries":[{"entry":"!BOB"}]}"#,
        command: &["add", "web", "!BOB"],
    },
    Case {
        what: "an except of trusted",
        service: "{}",
        office: &[],
        web: &["BOTH"],
        line: "POST /v1/lists/trusted/add",
        body: r#"{"entries":[{"entry":"!BOB"}]}"#,
        command: &["add", "trusted", "!BOB"],
    },
    Case {
        what: "a group with others is included",
        service: "{}",
        office: &["ALICE"],
        web: &[],
        line: "PUT /v1/services/web",
        body: r#"{"ports":["tcp/8080"],"include":["office"]}"#,
        command: &[],
    },
    Case {
        what: "a group with it is no longer included",
        service: r#"{"include":["office"]}"#,
        office: &["BOB"],
        web: &["ALICE"],
        line: "PUT /v1/services/web",
        body: r#"{"ports":["tcp/8080"],"include":[]}"#,
        command: &[],
    },
    Case {
        what: "monitor ends, by protect",
        service: r#"{"mode":"monitor"}"#,
        office: &[],
        web: &["ALICE"],
        line: "PUT /v1/services/web",
        body: r#"{"ports":["tcp/8080"],"mode":"enforce"}"#,
        command: &["protect", "web", "tcp/8080", "--mode", "enforce"],
    },
    Case {
        what: "monitor ends, by mode",
        service: r#"{"mode":"monitor"}"#,
        office: &[],
        web: &["ALICE"],
        line: "PUT /v1/services/web/mode",
        body: r#"{"mode":"enforce"}"#,
        command: &["mode", "web", "enforce"],
    },
    Case {
        what: "off ends",
        service: r#"{"mode":"off"}"#,
        office: &[],
        web: &["ALICE"],
        line: "PUT /v1/services/web/mode",
        body: r#"{"mode":"enforce"}"#,
        command: &["mode", "web", "enforce"],
    },
    Case {
        what: "closed though it is empty",
        service: "{}",
        office: &[],
        web: &[],
        line: "PUT /v1/services/web",
        body: r#"{"ports":["tcp/8080"],"when_empty":"closed"}"#,
        command: &[],
    },
    Case {
        what: "its interface is no longer left out",
        service: r#"{"interfaces":["eth9"]}"#,
        office: &[],
        web: &["ALICE"],
        line: "PUT /v1/services/web",
        body: r#"{"ports":["tcp/8080"],"interfaces":[]}"#,
        command: &[],
    },
    Case {
        what: "its address is no longer left out",
        service: r#"{"addresses":["192.0.2.1"]}"#,
        office: &[],
        web: &["ALICE"],
        line: "PUT /v1/services/web",
        body: r#"{"ports":["tcp/8080"],"addresses":[]}"#,
        command: &[],
    },
    Case {
        what: "apply",
        service: "{}",
        office: &[],
        web: &["ALICE", "BOB"],
        line: "PUT /v1/policy",
        body: r#"{"service":{"web":{"ports":["tcp/8080"],"entries":["ALICE"]}},"group":{"office":{}}}"#,
        command: &[],
    },
];

/// The addresses of a family.
struct Addresses {
    alice: &'static str,
    bob: &'static str,
    both: &'static str,
    /// A file with alice alone.
    file: String,
}

impl Addresses {
    fn fill_in(&self, text: &str) -> String {
        let Self { alice, bob, both, file } = self;
        let text = text.replace("ALICE", alice).replace("BOB", bob).replace("BOTH", both);
        text.replace("FILE", file)
    }

    fn check(
        &self,
        case: &Case,
        server: &Server,
        listener: &TcpListener,
        to: SocketAddr,
    ) -> Result<()> {
        let all = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| self.fill_in(text)).collect()
        };
        set_up(server, &serde_json::from_str(case.service)?, &all(case.office), &all(case.web))?;
        let mut line = Line::open(server.bob(), listener, to)?;
        let command = all(case.command);
        let change = Change {
            line: case.line,
            body: serde_json::from_str(&self.fill_in(case.body))?,
            command: &command.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        is_guarded(server, &change, "web", &mut line)
    }
}

#[test]
fn each_change_that_would_cut_a_connection_is_refused_unless_it_is_forced() -> Result<()> {
    let server = Server::new()?;
    // Over both families, so that IPv4 connections are those of an IPv6 socket.
    let listener = listen(&server.network.server.namespace, 8080)?;
    let families = [
        ("10.77.0.2/32", "10.77.0.3/32", "10.77.0.0/24"),
        ("fd77::2/128", "fd77::3/128", "fd77::/64"),
    ];
    for (to, (alice, bob, both)) in server.network.server.port(8080).into_iter().zip(families) {
        let file = server.write("alice.txt", &format!("{alice}\n"))?;
        let addresses = Addresses { alice, bob, both, file };
        for case in &CASES {
            let checked = addresses.check(case, &server, &listener, to);
            checked.with_context(|| format!("{}, {bob}", case.what))?;
        }
    }
    Ok(())
}

#[test]
fn going_back_is_guarded_too_and_an_end_to_come_is_not() -> Result<()> {
    let server = Server::new()?;
    let listener = listen(&server.network.server.namespace, 8080)?;
    let [to, _] = server.network.server.port(8080);
    set_up(&server, &json!({}), &[""; 0], &["10.77.0.2", "10.77.0.3"])?;
    let mut line = Line::open(server.bob(), &listener, to)?;
    let soon = json!({"entry": "10.77.0.3", "expires_at": "2100-01-01T00:00:00Z"});
    server.make("POST /v1/lists/web/add", &json!({"entries": [soon]}))?;
    line.is_whole()?;
    drop(line);

    server.make("PUT /v1/lists/web?force=true", &entries(&["10.77.0.2"]))?;
    let revision = server.revision()?;
    for body in [json!({"to": revision}), Value::Null] {
        server.make("POST /v1/lists/web/add", &entries(&["10.77.0.3"]))?;
        let mut line = Line::open(server.bob(), &listener, to)?;
        let back = Change { line: "POST /v1/rollback", body, command: &[] };
        is_guarded(&server, &back, "web", &mut line)?;
    }
    Ok(())
}
