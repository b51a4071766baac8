//! What happens, told live at `/v1/events`: to a curl as to anybody.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::UdpSocket,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::{INTERFACE, until};

use super::support::{ECHO, PATIENCE, REDIS, Server, User, shut_out};

/// Somebody who follows with curl.
struct Curl {
    child: Child,
    lines: Receiver<String>,
}

impl Curl {
    /// One that is being told already.
    fn follow(server: &Server, query: &str) -> Result<Self> {
        let mut child = Command::new("curl")
            .args(["--silent", "--no-buffer", "--unix-socket"])
            .arg(server.socket())
            .arg(format!("http://localhost/v1/events{query}"))
            .stdout(Stdio::piped())
            .spawn()
            .context("curl can't be run")?;
        let output = child.stdout.take().context("no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(output)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let curl = Self { child, lines };
        let hello = curl.lines.recv_timeout(PATIENCE)?;
        ensure!(hello == ": following", "{hello}");
        Ok(curl)
    }

    /// The next event: its name and what it tells.
    fn next(&self) -> Result<(String, Value)> {
        let mut name = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).context("nothing more was told")?;
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Ok((name, serde_json::from_str(data)?));
            }
        }
    }

    /// The next event, which has to be of a kind and to have these fields.
    fn tells(&self, kind: &str, fields: &Value) -> Result<Value> {
        let (name, event) = self.next()?;
        let wanted = fields.as_object().context("no fields")?;
        let as_wanted = wanted.iter().all(|(field, value)| event[field] == *value);
        ensure!(name == kind && as_wanted, "{name} {event}, and not {kind} {fields}");
        Ok(event)
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn curl_is_told_of_drops_changes_and_interfaces() -> Result<()> {
    let server = Server::with_redis()?;
    let everything = Curl::follow(&server, "")?;
    let drops = Curl::follow(&server, "?only=drop")?;
    let rest = Curl::follow(&server, "?only=change,interface")?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    // A change that changes nothing is none.
    server.done(&["add", "redis", "10.77.0.2"])?;
    for (action, revision) in [("protect", 1), ("add", 2)] {
        let change = json!({
            "action": action, "subjects": ["redis"], "revision": revision, "state": "done",
            "author": {"uid": 0, "name": "root"}
        });
        for follower in [&everything, &rest] {
            follower.tells("change", &change)?;
        }
    }
    let [ipv4, _] = server.network.server.port(REDIS);
    shut_out(server.bob(), ipv4)?;
    let drop = json!({
        "source": "10.77.0.3", "service": "redis", "port": "tcp/6379", "interface": "eth0",
        "reason": "denied"
    });
    for follower in [&everything, &drops] {
        follower.tells("drop", &drop)?;
    }
    // A retransmission may have been dropped, too.
    server.done(&["detach", INTERFACE, "--yes"])?;
    server.done(&["attach", INTERFACE, "--force"])?;
    for (state, action) in [("detached", "detach"), ("attached", "attach")] {
        rest.tells("interface", &json!({ "name": INTERFACE, "state": state }))?;
        let change = json!({ "action": action, "subjects": [INTERFACE], "revision": 2 });
        rest.tells("change", &change)?;
    }
    // What the kernel tells of, and nobody asked for.
    server.network.server.namespace.ip(&["link set eth0 down", "link set eth0 name was0"])?;
    rest.tells("interface", &json!({ "name": INTERFACE, "state": "attached" }))?;
    ensure!(drops.lines.try_iter().all(|line| !line.contains("event: change")), "not asked for");
    Ok(())
}

#[test]
fn a_change_is_told_with_what_becomes_of_it() -> Result<()> {
    let server = Server::new()?;
    let file = server.write("office.txt", "10.77.0.2\n")?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let curl = Curl::follow(&server, "?only=change")?;
    server.done(&["add", "redis", "10.77.0.2", "--confirm", "1m"])?;
    curl.tells("change", &json!({"action": "add", "state": "pending", "revision": 2}))?;
    // Whoever is told finds it in all else that can be asked for.
    ensure!(server.status()?["pending"]["revision"] == 2);
    server.done(&["confirm"])?;
    let confirmed = json!({
        "action": "confirm", "state": "confirmed", "revision": 2, "message": "confirm add redis"
    });
    curl.tells("change", &confirmed)?;

    server.done(&["add", "redis", "10.77.0.9", "--confirm", "1s"])?;
    curl.tells("change", &json!({"action": "add", "state": "pending", "revision": 3}))?;
    let reverted = curl.tells("change", &json!({"action": "revert", "state": "reverted"}))?;
    ensure!(reverted["revision"] == 4 && reverted["author"]["name"] == "allowlistd", "{reverted}");

    server.done(&["mode", "redis", "monitor", "--confirm", "1m"])?;
    curl.tells("change", &json!({"state": "pending", "message": "mode redis monitor"}))?;
    server.done(&["rollback"])?;
    curl.tells("change", &json!({"action": "rollback", "state": "reverted", "revision": 6}))?;
    server.done(&["rollback", "--to", "2"])?;
    let back = json!({"action": "rollback", "state": "done", "message": "rollback to 2"});
    // It is as it was then already: nothing was changed, and nothing is told.
    server.done(&["add", "redis", "10.77.0.8"])?;
    curl.tells("change", &json!({"action": "add", "revision": 7}))?;
    server.done(&["rollback", "--to", "2"])?;
    curl.tells("change", &back)?;

    server.done(&["group", "office", "--follow", &file])?;
    curl.tells("change", &json!({"action": "group", "subjects": ["office"]}))?;
    server.write("office.txt", "10.77.0.2\n10.77.0.7\n")?;
    curl.tells("change", &json!({"action": "sync", "subjects": ["office"], "state": "done"}))?;

    // A refusal is no change.
    server.fails(&["add", "redis", "0.0.0.0/0"], 5, "")?;
    server.done(&["add", "redis", "10.77.0.6", "--dry-run"])?;
    let last = server.revision()?;
    server.done(&["mode", "redis", "off"])?;
    curl.tells("change", &json!({"action": "mode", "revision": last + 1}))?;
    // The same words as in the trail.
    let trail = server.trail()?;
    let row = trail.last().context("no rows")?;
    ensure!(row["action"] == "mode" && row["message"] == "mode redis off", "{row}");
    Ok(())
}

#[test]
fn a_reader_that_does_not_read_is_told_how_many_it_missed_and_nobody_else_is_held_up() -> Result<()>
{
    /// In all more than the daemon keeps for a reader and the socket holds; in a second fewer than a CPU may report.
    const ROUNDS: u64 = 12;
    const PACKETS: u64 = 450;
    const ROUND: Duration = Duration::from_millis(500);
    let server = Server::with_redis()?;
    server.done(&["protect", "echo", "udp/7000"])?;
    server.done(&["add", "echo", "10.77.0.2"])?;
    let mut lazy = UnixStream::connect(server.socket())?;
    lazy.write_all(b"GET /v1/events?only=drop HTTP/1.1\r\nhost: x\r\n\r\n")?;
    let mut first = [0; 12];
    lazy.read_exact(&mut first)?;
    ensure!(first == *b"HTTP/1.1 200", "{first:?}");
    let quick = Curl::follow(&server, "?only=drop")?;

    let target = server.network.server.port(ECHO)[0];
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        server.bob().namespace.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            (0..PACKETS).try_for_each(|_| socket.send_to(b"x", target).map(drop))
        })??;
        // The daemon goes on meanwhile.
        server.status()?;
        thread::sleep(ROUND.saturating_sub(begin.elapsed()));
    }
    let all = ROUNDS * PACKETS;
    let reported = until("all reports", PATIENCE, || {
        let drops = server.json(&["drops"]).ok()?;
        (drops["drops"][0]["count"] == all).then_some(drops)
    })?;
    // Else it could be the kernel that had no more to tell.
    ensure!(reported["lost"] == 0, "{reported}");
    let mut told = 0;
    until("all of them told to the one that reads", PATIENCE, || {
        for line in quick.lines.try_iter() {
            told += u64::from(line == "event: drop");
        }
        (told == all).then_some(())
    })?;

    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    lazy.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(lazy).lines();
    let mut name = String::new();
    // What was kept for it comes first, then how many it missed, then the last ones.
    while told.values().sum::<u64>() < all {
        let line = lines.next().context("the stream ended")??;
        if let Some(event) = line.strip_prefix("event: ") {
            event.clone_into(&mut name);
        }
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let event: Value = serde_json::from_str(data)?;
        *told.entry(name.clone()).or_default() += event["events"].as_u64().unwrap_or(1);
    }
    ensure!(told.get("lost") > Some(&0) && told.values().sum::<u64>() == all, "{told:?}");
    Ok(())
}

#[test]
fn what_is_no_kind_of_events_is_refused_and_viewers_alone_are_told() -> Result<()> {
    let server = Server::for_users("[access]\nviewers = [\"4002\"]\n")?;
    for query in ["only=drops", "only=", "only=drop,", "kind=drop"] {
        server.ask(&format!("GET /v1/events?{query}"), &Value::Null)?.refused(400, "invalid")?;
    }
    server.ask("GET /v1/drops/follow", &Value::Null)?.refused(404, "not_found")?;
    let anybody = User::new(4009);
    anybody.ask(&server, "GET /v1/events", &Value::Null)?.refused(403, "forbidden")?;
    Ok(())
}
