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
struct Line {
    client: TcpStream,
    server: TcpStream,
    peer: SocketAddr,
}

impl Line {
    fn open(from: &Host, listener: &TcpListener, to: SocketAddr) -> Result<Self> {
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

    fn is_whole(&mut self) -> Result<()> {
        ensure!(self.arrives(PATIENCE)?, "the connection of {} is cut", self.peer);
        Ok(())
    }

    fn is_cut(&mut self) -> Result<()> {
        ensure!(!self.arrives(SILENCE)?, "the connection of {} goes on", self.peer);
        Ok(())
    }
}

fn entries(entries: &[&str]) -> Value {
    let entries: Vec<Value> = entries.iter().map(|entry| json!({ "entry": entry })).collect();
    json!({ "entries": entries })
}

/// A change as it is asked for over HTTP, and by the command line where that has it.
struct Change<'a> {
    line: &'a str,
    body: Value,
    command: &'a [&'a str],
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
fn is_guarded(server: &Server, change: &Change<'_>, service: &str, line: &mut Line) -> Result<()> {
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
fn set_up(server: &Server, service: &Value, office: &[&str], web: &[&str]) -> Result<()> {
    let mut service = service.clone();
    service["ports"] = json!(["tcp/8080"]);
    service["entries"] = json!(web);
    let policy = json!({"service": {"web": service}, "group": {"office": {"entries": office}}});
    server.make("PUT /v1/policy?force=true&yes=true", &policy).map(drop)
}

#[test]
fn each_change_that_would_cut_a_connection_is_refused_unless_it_is_forced() -> Result<()> {
    let server = Server::new()?;
    // Over both families, so that IPv4 connections are those of an IPv6 socket.
    let listener = listen(&server.network.server.namespace, 8080)?;
    let families = [
        (0, "10.77.0.2/32", "10.77.0.3/32", "10.77.0.0/24"),
        (1, "fd77::2/128", "fd77::3/128", "fd77::/64"),
    ];
    for (family, alice, bob, both) in families {
        let except = format!("!{bob}");
        let add_except = ["add", "web", &except];
        let only_alice = server.write("alice.txt", &format!("{alice}\n"))?;
        let ends_soon = json!({"entries": [{"entry": bob, "expires_at": "2030-01-01T00:00:00Z"}]});
        let document = |entries: &[&str]| {
            let web = json!({"ports": ["tcp/8080"], "entries": entries});
            json!({"service": {"web": web}, "group": {"office": {}}})
        };
        let settings = |rest: Value| {
            let mut settings = json!({"ports": ["tcp/8080"]});
            settings.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            settings
        };
        let (none, plain) = (Value::Null, json!({}));
        let includes = json!({"include": ["office"]});
        let monitor = json!({"mode": "monitor"});
        // What it is about, the service, entries of the group and its own, the change.
        let table = [
            (
                "the first entry, of another",
                &plain,
                &[][..],
                &[][..],
                Change {
                    line: "POST /v1/lists/web/add",
                    body: entries(&[alice]),
                    command: &["add", "web", alice],
                },
            ),
            (
                "its entry is removed",
                &plain,
                &[],
                &[alice, bob],
                Change {
                    line: "POST /v1/lists/web/remove",
                    body: entries(&[bob]),
                    command: &["remove", "web", bob],
                },
            ),
            (
                "the entry of a group is removed",
                &includes,
                &[alice, bob],
                &[],
                Change {
                    line: "POST /v1/lists/office/remove",
                    body: entries(&[bob]),
                    command: &["remove", "office", bob],
                },
            ),
            (
                "a list without it",
                &plain,
                &[],
                &[both],
                Change {
                    line: "PUT /v1/lists/web",
                    body: entries(&[alice]),
                    command: &["replace", "web", "-f", &only_alice],
                },
            ),
            (
                "an except",
                &plain,
                &[],
                &[both],
                Change {
                    line: "POST /v1/lists/web/add",
                    body: entries(&[&except]),
                    command: &add_except,
                },
            ),
            (
                "an except of trusted",
                &plain,
                &[],
                &[both],
                Change {
                    line: "POST /v1/lists/trusted/add",
                    body: entries(&[&except]),
                    command: &["add", "trusted", &except],
                },
            ),
            (
                "a group with others is included",
                &plain,
                &[alice],
                &[],
                Change {
                    line: "PUT /v1/services/web",
                    body: settings(includes.clone()),
                    command: &[],
                },
            ),
            (
                "a group with it is no longer included",
                &includes,
                &[bob],
                &[alice],
                Change {
                    line: "PUT /v1/services/web",
                    body: settings(json!({"include": []})),
                    command: &[],
                },
            ),
            (
                "monitor ends, by protect",
                &monitor,
                &[],
                &[alice],
                Change {
                    line: "PUT /v1/services/web",
                    body: settings(json!({"mode": "enforce"})),
                    command: &["protect", "web", "tcp/8080", "--mode", "enforce"],
                },
            ),
            (
                "monitor ends, by mode",
                &monitor,
                &[],
                &[alice],
                Change {
                    line: "PUT /v1/services/web/mode",
                    body: json!({"mode": "enforce"}),
                    command: &["mode", "web", "enforce"],
                },
            ),
            (
                "off ends",
                &json!({"mode": "off"}),
                &[],
                &[alice],
                Change {
                    line: "PUT /v1/services/web/mode",
                    body: json!({"mode": "enforce"}),
                    command: &["mode", "web", "enforce"],
                },
            ),
            (
                "closed though it is empty",
                &plain,
                &[],
                &[],
                Change {
                    line: "PUT /v1/services/web",
                    body: settings(json!({"when_empty": "closed"})),
                    command: &[],
                },
            ),
            (
                "a port more",
                &json!({"interfaces": ["eth9"]}),
                &[],
                &[alice],
                Change {
                    line: "PUT /v1/services/web",
                    body: settings(json!({"interfaces": []})),
                    command: &[],
                },
            ),
            (
                "apply",
                &plain,
                &[],
                &[alice, bob],
                Change { line: "PUT /v1/policy", body: document(&[alice]), command: &[] },
            ),
        ];
        let to = server.network.server.port(8080)[family];
        for (what, service, office, web, change) in table {
            let case = || format!("{what}, {bob}");
            set_up(&server, service, office, web).with_context(case)?;
            let mut line = Line::open(server.bob(), &listener, to).with_context(case)?;
            let forced = is_guarded(&server, &change, "web", &mut line);
            forced.with_context(case)?;
        }

        // An end in the future is a change of what there is, and cuts nobody now.
        set_up(&server, &plain, &[], &[alice, bob])?;
        let mut line = Line::open(server.bob(), &listener, to)?;
        server.make("POST /v1/lists/web/add", &ends_soon)?;
        line.is_whole()?;
        let revision = server.revision()?;
        drop(line);

        // Back to where it was not admitted.
        server.make("PUT /v1/lists/web?force=true", &entries(&[alice]))?;
        server.make("POST /v1/lists/web/add", &entries(&[bob]))?;
        let mut line = Line::open(server.bob(), &listener, to)?;
        let rollback = json!({"to": revision + 1});
        let back = Change { line: "POST /v1/rollback", body: rollback, command: &[] };
        is_guarded(&server, &back, "web", &mut line).context("rollback to a revision")?;
        drop(line);
        server.make("POST /v1/lists/web/add", &entries(&[bob]))?;
        let mut line = Line::open(server.bob(), &listener, to)?;
        let back = Change { line: "POST /v1/rollback", body: none, command: &[] };
        is_guarded(&server, &back, "web", &mut line).context("rollback")?;
    }
    Ok(())
}

#[test]
fn putting_the_filter_on_an_interface_is_guarded_too() -> Result<()> {
    let server = Server::with_options(&[])?;
    let listener = listen(&server.network.server.namespace, 8080)?;
    for to in server.network.server.port(8080) {
        set_up(&server, &json!({}), &[], &["10.77.0.2", "fd77::2"])?;
        let mut line = Line::open(server.bob(), &listener, to)?;
        let mut admitted = Line::open(server.alice(), &listener, to)?;
        let attach = Change {
            line: "PUT /v1/interfaces/eth0",
            body: Value::Null,
            command: &["attach", "eth0"],
        };
        is_guarded(&server, &attach, "web", &mut line)?;
        admitted.is_whole()?;
        server.make("DELETE /v1/interfaces/eth0?yes=true", &Value::Null)?;
    }
    // Taken back by whoever made it, a detachment is an attachment.
    server.make("PUT /v1/interfaces/eth0", &Value::Null)?;
    server.make("DELETE /v1/interfaces/eth0?yes=true&confirm=60", &Value::Null)?;
    let mut line = Line::open(server.bob(), &listener, server.network.server.port(8080)[0])?;
    let back = Change { line: "POST /v1/rollback", body: Value::Null, command: &[] };
    is_guarded(&server, &back, "web", &mut line).context("rollback of detach")?;
    // And an attachment that is taken back opens what is closed.
    server.make("DELETE /v1/interfaces/eth0?yes=true", &Value::Null)?;
    drop(line);
    server.make("PUT /v1/interfaces/eth0?force=true&confirm=60", &Value::Null)?;
    server.ask("POST /v1/rollback", &Value::Null)?.refused(409, "unconfirmed")?;
    server.make("POST /v1/rollback?yes=true", &Value::Null)?;
    ensure!(server.interfaces_attached()? == 0);
    Ok(())
}

#[test]
fn connections_that_are_not_cut_do_not_count() -> Result<()> {
    let server = Server::new()?;
    let here = &server.network.server;
    let listener = listen(&here.namespace, 8080)?;
    let unprotected = listen(&here.namespace, 8081)?;
    let [to, to_v6] = here.port(8080);
    set_up(&server, &json!({"include": ["office"]}), &[], &[])?;

    // The host's own connections never come over a wire.
    let mut own = Vec::new();
    for to in [to, to_v6, ([127, 0, 0, 1], 8080).into()] {
        own.push(Line::open(here, &listener, to)?);
    }
    let mut bob = Line::open(server.bob(), &listener, to)?;
    let mut elsewhere = Line::open(server.bob(), &unprotected, here.port(8081)[0])?;
    let remove = "POST /v1/lists/web/remove";
    for (what, list, entry) in [
        ("another entry", "web", "10.77.0.3"),
        ("a group", "office", "10.77.0.0/28"),
        ("trusted", "trusted", "10.77.0.0/27"),
    ] {
        server.make("POST /v1/lists/web/add", &entries(&["10.77.0.0/24"])).context(what)?;
        server.make(&format!("POST /v1/lists/{list}/add"), &entries(&[entry])).context(what)?;
        server.make("POST /v1/lists/web/add", &entries(&["192.0.2.1"]))?;
        server.make(remove, &entries(&["10.77.0.0/24"])).context(what)?;
        bob.is_whole().context(what)?;
        server.make("POST /v1/lists/web/add", &entries(&["10.77.0.0/24"]))?;
        server.make(&format!("POST /v1/lists/{list}/remove"), &entries(&[entry])).context(what)?;
        bob.is_whole().context(what)?;
    }

    // One that is cut already is cut no further.
    server.ask(remove, &entries(&["10.77.0.0/24"]))?.refused(409, "guarded")?;
    server.make("POST /v1/lists/web/remove?force=true", &entries(&["10.77.0.0/24"]))?;
    bob.is_cut()?;
    server.make("POST /v1/lists/web/add", &entries(&["192.0.2.2"]))?;
    server.make("POST /v1/lists/web/add", &entries(&["!10.77.0.3"]))?;
    server.make(remove, &entries(&["192.0.2.1"]))?;
    server.make("PUT /v1/services/web/mode", &json!({"mode": "enforce"}))?;

    for line in &mut own {
        line.is_whole()?;
    }
    elsewhere.is_whole()
}
