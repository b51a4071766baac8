//! Changes that are taken back unless they are confirmed, and what the daemon's end has to do with it: nothing.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::until;

use super::support::{Foreign, PATIENCE, REDIS, Server, served, shut_out};

/// Far enough ahead that nothing but the end of the test comes before it.
const LONG: &str = "confirm=600";
/// In so many seconds a busy machine makes a few changes, kills the daemons and starts others.
const SHORT: u64 = 4;

/// `redis` admits alice.
fn server() -> Result<Server> {
    let server = Server::with_redis()?;
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    server.make("POST /v1/lists/redis/add", &entry("10.77.0.2"))?;
    Ok(server)
}

fn entry(entry: &str) -> Value {
    json!({"entries": [{ "entry": entry }]})
}

fn pending(server: &Server) -> Result<Value> {
    Ok(server.get("/v1/status")?["pending"].take())
}

/// Until after the time of a change that was made just now or before, and whoever takes it back has done so.
fn sleep_beyond_short() {
    thread::sleep(Duration::from_secs(SHORT + 1));
}

fn taken_back(server: &Server) -> Result<()> {
    let gone = || pending(server).ok().filter(Value::is_null).map(drop);
    until("the end of the pending change", PATIENCE, gone)
}

fn last(server: &Server) -> Result<Value> {
    server.trail()?.pop().context("the trail is empty")
}

/// That the daemon has taken the change back, as the trail tells it.
fn is_reverted(server: &Server, what: &str, from: u64, to: u64) -> Result<()> {
    let row = last(server)?;
    for (field, expected) in [
        ("action", json!("revert")),
        ("result", json!("done")),
        ("message", json!(format!("revert of {what}"))),
        ("from_revision", json!(from)),
        ("to_revision", json!(to)),
        ("author", json!({"uid": 0, "name": "allowlistd"})),
    ] {
        ensure!(row[field] == expected, "{field} of {row}");
    }
    ensure!(server.revision()? == to);
    Ok(())
}

#[test]
fn a_change_that_is_confirmed_stays() -> Result<()> {
    let server = server()?;
    let [redis, _] = server.network.server.port(REDIS);
    let line = format!("POST /v1/lists/redis/add?confirm={SHORT}");
    let done = server.make(&line, &entry("10.77.0.3"))?;
    let seconds = done["pending"]["seconds_left"].as_u64().context("no seconds")?;
    ensure!((1..=4).contains(&seconds), "{done}");
    served(server.bob(), redis)?;
    let told = server.make("POST /v1/confirm?dry_run=true", &Value::Null)?;
    ensure!(told["dry_run"] == true && !pending(&server)?.is_null(), "{told}");
    server
        .ask("POST /v1/confirm?if_revision=2", &Value::Null)?
        .refused(412, "revision_conflict")?;
    server.make("POST /v1/confirm", &Value::Null)?;
    ensure!(pending(&server)?.is_null());
    server.ask("POST /v1/confirm", &Value::Null)?.refused(404, "not_found")?;
    sleep_beyond_short();
    ensure!(server.revision()? == 3);
    served(server.bob(), redis)?;
    let rows = server.trail()?;
    let actions: Vec<&str> = rows.iter().filter_map(|row| row["action"].as_str()).collect();
    ensure!(actions == ["protect", "add", "add", "confirm", "confirm", "confirm"], "{actions:?}");
    Ok(())
}

#[test]
fn a_change_that_nobody_confirms_is_taken_back() -> Result<()> {
    let server = server()?;
    let [redis, _] = server.network.server.port(REDIS);
    let before = server.get("/v1/policy")?;
    server.make("POST /v1/lists/redis/add?confirm=2", &entry("10.77.0.3"))?;
    served(server.bob(), redis)?;
    taken_back(&server)?;
    shut_out(server.bob(), redis)?;
    is_reverted(&server, "add redis", 3, 4)?;
    ensure!(server.get("/v1/policy")? == before);
    let row = last(&server)?;
    ensure!(row["subjects"] == json!(["redis"]), "{row}");
    let gone = &row["details"]["items"][0];
    ensure!(gone["entry"] == "10.77.0.3/32" && gone["after"].is_null(), "{row}");

    // What everybody was shut out by is taken back without a question.
    server.make("PUT /v1/services/redis?confirm=1", &json!({"ports": ["tcp/6380"]}))?;
    taken_back(&server)?;
    ensure!(server.get("/v1/policy")? == before);
    // The first entry, which closes what was open.
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
    let before = server.get("/v1/policy")?;
    server.make("POST /v1/lists/web/add?confirm=1", &entry("192.0.2.1"))?;
    taken_back(&server)?;
    ensure!(server.get("/v1/policy")? == before);
    Ok(())
}

#[test]
fn a_daemon_that_has_ended_takes_it_back_at_its_start_or_on_time() -> Result<()> {
    // Whether the next daemon comes after the time, and how the first one ends.
    let table = [(true, true), (false, true), (true, false)];
    let mut servers = Vec::new();
    for (is_late, is_killed) in table {
        let mut server = server()?;
        let before = server.get("/v1/policy")?;
        let line = format!("POST /v1/lists/redis/add?confirm={SHORT}");
        server.make(&line, &entry("10.77.0.3"))?;
        let daemon = server.daemon()?;
        if is_killed {
            daemon.kill()?
        } else {
            daemon.terminate()?
        };
        let [redis, _] = server.network.server.port(REDIS);
        if !is_late {
            server.start()?;
            ensure!(pending(&server)?["what"] == "add redis");
        }
        served(server.bob(), redis)?;
        servers.push((server, before, redis));
    }
    sleep_beyond_short();
    for ((is_late, is_killed), (mut server, before, redis)) in table.into_iter().zip(servers) {
        let case = || format!("late: {is_late}, killed: {is_killed}");
        if is_late {
            // Nobody was there to take it back.
            served(server.bob(), redis).with_context(case)?;
            server.start()?;
            ensure!(pending(&server)?.is_null(), "{}", case());
        } else {
            taken_back(&server).with_context(case)?;
        }
        shut_out(server.bob(), redis).with_context(case)?;
        is_reverted(&server, "add redis", 3, 4).with_context(case)?;
        ensure!(server.get("/v1/policy")? == before, "{}", case());
        ensure!(server.get("/v1/audit/verify")?["broken"].is_null(), "{}", case());
    }
    Ok(())
}

#[test]
fn while_one_is_pending_no_other_change_is_made() -> Result<()> {
    let server = server()?;
    server.make("PUT /v1/groups/office", &Value::Null)?;
    server.make(&format!("POST /v1/lists/redis/add?{LONG}"), &entry("10.77.0.3"))?;
    let before = (server.get("/v1/policy")?, server.revision()?, server.trail()?.len());
    let redis = json!({"ports": ["tcp/6379"], "mode": "monitor"});
    let changes = [
        ("POST /v1/lists/redis/add", entry("10.77.0.4")),
        ("POST /v1/lists/redis/remove", entry("10.77.0.2")),
        ("PUT /v1/lists/redis", entry("10.77.0.2")),
        ("PUT /v1/services/redis", redis),
        ("PUT /v1/services/redis/mode", json!({"mode": "off"})),
        ("DELETE /v1/services/redis", Value::Null),
        ("PUT /v1/groups/office", json!({"follow": "/etc/hosts"})),
        ("DELETE /v1/groups/office", Value::Null),
        ("PUT /v1/policy", json!({})),
        ("POST /v1/rollback", json!({"to": 1})),
        ("PUT /v1/interfaces/eth1", Value::Null),
        ("DELETE /v1/interfaces/eth0", Value::Null),
    ];
    for (line, body) in &changes {
        for options in ["yes=true&force=true", "confirm=60", "dry_run=true"] {
            let problem = server.ask(&format!("{line}?{options}"), body)?;
            let problem = problem.refused(409, "pending").context(*line)?;
            let message = problem["message"].to_string();
            ensure!(message.contains("'add redis' of root waits to be confirmed"), "{problem}");
        }
    }
    let after = (server.get("/v1/policy")?, server.revision()?, server.trail()?.len());
    ensure!(after == (before.0, before.1, before.2 + 2 * changes.len()), "{after:?}");
    // What is undone is not on probation: nobody is to think so.
    let twice = server.ask("POST /v1/rollback?confirm=60", &Value::Null)?;
    let twice = twice.refused(400, "invalid")?;
    ensure!(twice["hint"].to_string().contains("leave --confirm out"), "{twice}");
    // Undone by command, it leaves room for others.
    server.make("POST /v1/rollback", &Value::Null)?;
    ensure!(last(&server)?["message"] == "rollback of add redis", "{:?}", last(&server)?);
    server.make("POST /v1/lists/redis/add", &entry("10.77.0.4")).map(drop)
}

/// An interface that is filtered where it is configured, and the other way round while a change is pending.
struct Link {
    is_configured: bool,
    is_killed: bool,
    server: Server,
}

impl Link {
    fn new(is_configured: bool, is_killed: bool) -> Result<Self> {
        let options: &[&str] = if is_configured { &["--interface", "eth0"] } else { &[] };
        let mut server = Server::prepare(options)?;
        server.add_redis()?;
        server.start()?;
        server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
        server.make("POST /v1/lists/redis/add", &entry("10.77.0.2"))?;
        Ok(Self { is_configured, is_killed, server })
    }

    fn is_filtered(&self, filtered: bool) -> Result<()> {
        let [redis, _] = self.server.network.server.port(REDIS);
        served(self.server.alice(), redis)?;
        let bob = self.server.bob();
        if filtered { shut_out(bob, redis) } else { served(bob, redis) }
    }

    fn what(&self) -> &'static str {
        if self.is_configured { "detach eth0" } else { "attach eth0" }
    }

    fn change(&mut self) -> Result<()> {
        self.is_filtered(self.is_configured)?;
        let method = if self.is_configured { "DELETE" } else { "PUT" };
        let line = format!("{method} /v1/interfaces/eth0?yes=true&force=true&confirm={SHORT}");
        let done = self.server.make(&line, &Value::Null)?;
        ensure!(done["pending"]["what"] == self.what(), "{done}");
        if self.is_killed {
            self.server.daemon()?.kill()?;
        }
        self.is_filtered(!self.is_configured)
    }

    fn is_taken_back(&mut self) -> Result<()> {
        if self.is_killed {
            self.is_filtered(!self.is_configured)?;
            self.server.start()?;
            ensure!(pending(&self.server)?.is_null());
        } else {
            taken_back(&self.server)?;
        }
        self.is_filtered(self.is_configured)?;
        ensure!(self.server.interfaces_attached()? == usize::from(self.is_configured));
        is_reverted(&self.server, self.what(), 2, 2)?;
        let row = last(&self.server)?;
        ensure!(row["subjects"] == json!(["eth0"]), "{row}");
        // It is as if it had never been: nothing of it is remembered.
        self.server.restart()?;
        self.is_filtered(self.is_configured)
    }
}

#[test]
fn attaching_and_detaching_are_taken_back_too() -> Result<()> {
    let mut links = Vec::new();
    for (is_configured, is_killed) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut link = Link::new(is_configured, is_killed)?;
        link.change()?;
        links.push(link);
    }
    sleep_beyond_short();
    let mut wrong = Vec::new();
    for link in &mut links {
        if let Err(error) = link.is_taken_back() {
            wrong.push(format!("{}, killed: {}: {error:#}", link.what(), link.is_killed));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn a_detach_is_undone_only_where_the_filter_is_on_again() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0", "--interface", "eth7"])?;
    let foreign = Foreign::load(&server)?;
    server.network.server.namespace.ip(&["link add eth7 type veth peer name peer7"])?;
    server.start()?;
    server.make(&format!("DELETE /v1/interfaces/eth7?yes=true&{LONG}"), &Value::Null)?;
    foreign.put_on(&server, "eth7")?;
    let refused = server.ask("POST /v1/rollback", &Value::Null)?.refused(500, "failed")?;
    let message = refused["message"].to_string();
    ensure!(
        message.contains("the filter is not on eth7 again: ")
            && message.contains("has an XDP program of somebody else"),
        "{refused}"
    );
    ensure!(pending(&server)?["what"] == "detach eth7", "{}", pending(&server)?);
    ensure!(server.interface("eth7")?["state"] == "detached", "{}", server.interface("eth7")?);

    server.network.server.namespace.ip(&["link set dev eth7 xdp off"])?;
    server.make("POST /v1/rollback", &Value::Null)?;
    ensure!(server.interface("eth7")?["state"] == "attached", "{}", server.interface("eth7")?);
    ensure!(pending(&server)?.is_null());
    let row = last(&server)?;
    ensure!(row["message"] == "rollback of detach eth7" && row["result"] == "done", "{row}");
    // Nothing of it is remembered.
    server.restart()?;
    ensure!(server.interface("eth7")?["state"] == "attached", "{}", server.interface("eth7")?);
    Ok(())
}
