//! What is told about packets: drops, last hits, fragments.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::until;

use super::support::{CTL, PATIENCE, REDIS, Server, served, shut_out};

fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "192.0.2.1"])?;
    Ok(server)
}

#[test]
fn dropped_packets_are_gathered_by_source_service_and_port() -> Result<()> {
    let server = closed()?;
    let [ipv4, ipv6] = server.network.server.port(REDIS);
    shut_out(server.bob(), ipv4)?;
    shut_out(server.bob(), ipv6)?;
    let find = |source: &str| -> Option<Value> {
        let drops = server.json(&["drops"]).ok()?;
        drops["drops"].as_array()?.iter().find(|drop| drop["source"] == source).cloned()
    };
    for source in ["10.77.0.3", "fd77::3"] {
        let drop = until("the report of a drop", PATIENCE, || find(source))?;
        let about = ["service", "port", "interface", "reason"].map(|field| drop[field].clone());
        let expected = ["redis", "tcp/6379", "eth0", "denied"].map(|text| json!(text));
        ensure!(about == expected, "{drop}");
        ensure!(drop["count"].as_u64() >= Some(1), "{drop}");
    }
    let text = server.done(&["drops", "--limit", "1"])?;
    ensure!(text.matches("tcp/6379").count() == 1, "{text}");
    Ok(())
}

#[test]
fn drops_are_followed_live() -> Result<()> {
    let server = closed()?;
    let mut follower = Command::new(CTL)
        .args(["--json", "drops", "--follow"])
        .env("ALLOWLIST_SOCKET", server.socket())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = follower.stdout.take().context("no output")?;
    let [ipv4, _] = server.network.server.port(REDIS);
    // It may not listen yet when the first ones are dropped.
    let knocks = std::thread::scope(|scope| {
        let line = scope.spawn(|| BufReader::new(output).lines().next());
        let knocked = until("a drop that is followed", PATIENCE, || {
            let _ = shut_out(server.bob(), ipv4);
            line.is_finished().then_some(())
        });
        let _ = follower.kill();
        knocked.map(|()| line.join())
    });
    follower.wait()?;
    let line = knocks?.ok().flatten().context("nothing was followed")??;
    let drop: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
    ensure!(drop["source"] == "10.77.0.3" && drop["service"] == "redis", "{drop}");
    Ok(())
}

#[test]
fn an_entry_knows_when_it_was_last_hit_also_after_a_restart() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    served(server.alice(), ipv4)?;
    let hit = |server: &Server, prefix: &str| -> Result<Value> {
        let list = server.json(&["list", "redis"])?;
        let entries = list["lists"][0]["entries"].as_array().context("no entries")?;
        let entry = entries.iter().find(|entry| entry["prefix"] == prefix);
        Ok(entry.context("no such entry")?["last_hit"].clone())
    };
    let before = hit(&server, "10.77.0.2/32")?;
    ensure!(before.is_string(), "alice's entry: {before}");
    ensure!(hit(&server, "192.0.2.1/32")?.is_null(), "the other entry was hit");
    server.restart()?;
    ensure!(hit(&server, "10.77.0.2/32")?.is_string(), "forgotten over a restart");
    // An entry added anew knows nothing of the one before it.
    server.done(&["remove", "redis", "192.0.2.1"])?;
    server.done(&["add", "redis", "192.0.2.2"])?;
    ensure!(hit(&server, "192.0.2.2/32")?.is_null(), "a new entry was hit");
    Ok(())
}

#[test]
fn later_fragments_pass_unless_the_interface_is_strict() -> Result<()> {
    let large = |server: &Server, client: &str| {
        let client = if client == "bob" { server.bob() } else { server.alice() };
        client.namespace.run("ping", &["-c1", "-W1", "-s4000", "10.77.0.1"]).is_ok()
    };
    let server = closed()?;
    ensure!(large(&server, "bob"), "fragments pass by default");
    drop(server);

    let mut server = Server::prepare(&[])?;
    let strict = "[[interface]]\nname = \"eth0\"\nfragments = \"strict\"\n";
    let config = server.write("strict.toml", strict)?;
    server.set_options(&["--config", &config]);
    server.start()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    ensure!(large(&server, "bob"), "nothing is closed yet");
    server.done(&["add", "redis", "10.77.0.2"])?;
    ensure!(large(&server, "alice"), "alice is admitted by redis");
    ensure!(!large(&server, "bob"), "bob is admitted by nothing");
    let refused = server.status()?["unmatched"]["fragment_refused_dropped"]["packets"].as_u64();
    ensure!(refused >= Some(1), "{refused:?}");
    Ok(())
}
