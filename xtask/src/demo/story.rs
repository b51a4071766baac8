//! What the demo shows. Each expectation is checked; the first that fails ends it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use xtask::lab::{Connection, Host, PingLoop, until};

use super::stage::{REDIS, Stage};

/// What `allowlist-ctl` says of a service without entries.
const OPEN: &str = "No entries: redis is accessible to everyone.";
/// The exit code of a change that a guard refuses.
const REFUSED: i32 = 5;
/// The exit code of timeout(1) when the time is up.
const TIMED_OUT: i32 = 124;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Ipv4,
    Ipv6,
}
use Family::{Ipv4, Ipv6};

pub(super) fn tell(stage: &Stage) -> Result<()> {
    let (alice, bob) = (("alice", stage.alice()), ("bob", stage.bob()));
    let ipv4 = alice.1.ipv4.to_string();
    let ipv6 = alice.1.ipv6.to_string();
    let bobs = bob.1.ipv4.to_string();

    stage.say.scene("Protected, and still open to everyone: there is no entry yet");
    let said = stage.done(&["protect", "redis", &format!("tcp/{REDIS}")])?;
    if !said.contains(OPEN) {
        bail!("protect did not say: {OPEN}");
    }
    for client in [alice, bob] {
        served(stage, client, Ipv4)?;
        served(stage, client, Ipv6)?;
    }

    stage.say.scene("The first entry: alice is served, bob is shut out");
    stage.done(&["add", "redis", &ipv4, "--comment", "alice"])?;
    served(stage, alice, Ipv4)?;
    shut_out(stage, bob, Ipv4)?;

    stage.say.heading("IPv6 the same, with an entry of its own");
    shut_out(stage, alice, Ipv6)?;
    stage.done(&["add", "redis", &ipv6, "--comment", "alice, IPv6"])?;
    served(stage, alice, Ipv6)?;
    shut_out(stage, bob, Ipv6)?;

    stage.say.scene("An entry removed: its open connection is cut as well");
    stage.done(&["add", "redis", &bobs, "--comment", "bob"])?;
    cut(stage, &bobs)?;

    stage.say.scene("What the kernel enforces now");
    stage.done(&["list", "redis"])?;
    stage.say.heading("What there is on one screen");
    stage.done(&["status"])?;
    counted(stage)
}

/// Takes the filter off: everyone is served again.
pub(super) fn end(stage: &Stage) -> Result<()> {
    stage.say.heading("The filter taken off");
    stage.detach()?;
    served(stage, ("bob", stage.bob()), Ipv4)
}

/// Runs `redis-cli` on the client and returns what it printed; `None` when nobody answered.
fn ping(stage: &Stage, client: (&str, &Host), family: Family) -> Result<Option<String>> {
    let server = &stage.network.server;
    let address = match family {
        Ipv4 => server.ipv4.to_string(),
        Ipv6 => server.ipv6.to_string(),
    };
    stage.say.command(client.0, &format!("timeout 1 redis-cli -h {address} ping"));
    let output = client
        .1
        .namespace
        .command("timeout")
        .args(["1", "redis-cli", "-h", &address, "-p", &REDIS.to_string(), "ping"])
        .output()
        .context("redis-cli can't be run")?;
    if output.status.code() == Some(TIMED_OUT) {
        stage.say.note("no answer");
        return Ok(None);
    }
    let text = [output.stdout, output.stderr].concat();
    stage.say.output(&text);
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

fn served(stage: &Stage, client: (&str, &Host), family: Family) -> Result<()> {
    match ping(stage, client, family)? {
        Some(answer) if answer.trim() == "PONG" => Ok(()),
        Some(answer) => bail!("{} should be served, and got: {}", client.0, answer.trim()),
        None => bail!("{} should be served, and got no answer", client.0),
    }
}

fn shut_out(stage: &Stage, client: (&str, &Host), family: Family) -> Result<()> {
    match ping(stage, client, family)? {
        None => Ok(()),
        Some(answer) => bail!("{} should be shut out, and got: {}", client.0, answer.trim()),
    }
}

/// A connection of bob's is answered until his entry is removed, and not once after.
fn cut(stage: &Stage, entry: &str) -> Result<()> {
    let second = Duration::from_secs(1);
    let [address, _] = stage.network.server.port(REDIS);
    let connection = Connection::open(stage.bob(), address, second)?;
    let pings = PingLoop::start(connection, Duration::from_millis(10));
    until("answers to bob", 3 * second, || (pings.answers() >= 50).then_some(()))?;
    stage.say.note(&format!(
        "bob keeps a connection open and sends PING after PING: {} answered so far",
        pings.answers()
    ));

    let arguments = ["remove", "redis", entry];
    let output = stage.ctl(&arguments)?;
    match output.status.code() {
        Some(0) => {}
        Some(REFUSED) => {
            stage.say.note("it would cut that connection; this time it is meant to");
            stage.done(&[&arguments[..], &["--force"]].concat())?;
        }
        _ => bail!("allowlist-ctl {} failed ({})", arguments.join(" "), output.status),
    }
    // An answer that was sent before may still be on its way.
    std::thread::sleep(Duration::from_millis(20));
    let late = pings.answers_during(second);
    if late != 0 {
        bail!("bob's connection should be cut, and had {late} more answers");
    }
    stage.say.note(&format!(
        "bob's connection: {} answered before, none in the second since",
        pings.answers()
    ));
    Ok(())
}

/// The counters of redis, as programs read them, agree with what happened.
fn counted(stage: &Stage) -> Result<()> {
    let output = stage.ctl_unseen(&["--json", "status"])?;
    let status: Value = serde_json::from_slice(&output.stdout).context("status --json")?;
    let services = status["services"].as_array().context("status --json has no services")?;
    let redis = services
        .iter()
        .find(|service| service["name"] == "redis")
        .context("status --json does not have redis")?;
    for counter in ["/admitted/packets", "/admitted_open/packets", "/denied/packets"] {
        if redis.pointer(counter).and_then(Value::as_u64).is_none_or(|packets| packets == 0) {
            bail!("status has no packets at {counter} of redis: {redis}");
        }
    }
    Ok(())
}
