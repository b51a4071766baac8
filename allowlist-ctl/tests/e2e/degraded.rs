//! What does not work is told by `status`, begins and ends once in the log, and is over by itself.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::until;

use super::{
    full_disk::SmallDisk,
    support::{PATIENCE, REDIS, Server, served, shut_out},
};

/// The parts that do not work.
fn degraded(server: &Server) -> Result<Vec<String>> {
    let status = server.get("/v1/status")?;
    let parts = status["degraded"].as_array().context("status has no such list")?;
    let what = |part: &Value| {
        ensure!(part["message"].as_str().is_some_and(|said| !said.is_empty()), "{part}");
        ensure!(part["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{part}");
        Ok(part["what"].as_str().context("no part")?.to_owned())
    };
    parts.iter().map(what).collect()
}

fn is_well(server: &Server) -> Result<()> {
    until("all to be well", PATIENCE, || degraded(server).ok()?.is_empty().then_some(()))
}

fn lines(server: &Server, said: &str) -> usize {
    server.log().lines().filter(|line| line.contains(said)).count()
}

#[test]
fn a_disk_that_fills_up_refuses_changes_until_there_is_room_again() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    let disk = SmallDisk::mount(server.path("state"))?;
    server.add_redis()?;
    server.start()?;
    let [redis, _] = server.network.server.port(REDIS);
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.77.0.2"}]}))?;
    ensure!(degraded(&server)?.is_empty());
    let bob = json!({"entries": [{"entry": "10.77.0.3"}]});
    for round in 1..=2 {
        disk.fill()?;
        let refused = server.ask("POST /v1/lists/redis/add", &bob)?.refused(500, "failed")?;
        let said = refused["message"].as_str().unwrap_or_default();
        ensure!(said.contains("full") && said.contains("nothing was changed"), "{refused}");
        shut_out(server.bob(), redis)?;
        served(server.alice(), redis)?;
        ensure!(server.revision()? == 2);
        // Over several tries.
        std::thread::sleep(std::time::Duration::from_secs(3));
        ensure!(degraded(&server)?.contains(&"store".to_owned()), "{:?}", degraded(&server)?);
        let told = server.done(&["status"])?;
        ensure!(told.starts_with("DEGRADED: STORE, since 20"), "{told}");
        let begun = lines(&server, "degraded=\"store\"");
        ensure!(begun == round, "{begun} times: {}", server.log());

        disk.empty()?;
        is_well(&server)?;
        ensure!(lines(&server, "well again: store") == round, "{}", server.log());
        ensure!(!server.done(&["status"])?.contains("DEGRADED"));
    }
    server.make("POST /v1/lists/redis/add", &bob)?;
    served(server.bob(), redis)
}

fn remount(server: &Server, how: &str) -> Result<()> {
    let place = server.pins();
    let place = place.parent().context("pins")?;
    let mounted =
        Command::new("mount").arg("-o").arg(format!("remount,{how}")).arg(place).status()?;
    ensure!(mounted.success(), "cannot mount {} {how}", place.display());
    Ok(())
}

#[test]
fn a_bpf_file_system_that_is_read_only_refuses_what_needs_a_pin() -> Result<()> {
    let mut server = Server::with_redis()?;
    let [redis, _] = server.network.server.port(REDIS);
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.77.0.2"}]}))?;
    let program = server.interface("eth0")?["program_id"].clone();
    remount(&server, "ro")?;
    until("that it is told", PATIENCE, || {
        degraded(&server).ok()?.contains(&"pins".to_owned()).then_some(())
    })?;
    let metrics = server.metrics()?;
    metrics.is("allowlist_degraded{part=\"pins\"}", 1.0)?;
    metrics.is("allowlist_degraded{part=\"store\"}", 0.0)?;
    let namespace = &server.network.server.namespace;
    namespace.run("ip", &["link", "add", "spare0", "type", "veth", "peer", "spare1"])?;
    let refused = server.ask("PUT /v1/interfaces/spare0", &json!({}))?;
    let refused = refused.refused(500, "failed")?;
    ensure!(
        refused["message"].as_str().is_some_and(|said| said.contains("Read-only")),
        "{refused}"
    );
    // What needs none goes on, and nothing is given up.
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.77.0.3"}]}))?;
    served(server.bob(), redis)?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    let interface = server.interface("eth0")?;
    ensure!(interface["state"] == "attached" && interface["program_id"] == program, "{interface}");
    ensure!(lines(&server, "degraded=\"pins\"") == 1, "{}", server.log());

    // So is taking the filter off, with a daemon and without one.
    let detach = |server: &Server| -> Result<()> {
        let mut detach = server.allowlistd(&["--detach"]);
        let said = super::support::refuses(&mut detach, "Read-only file system")?;
        let pins = server.pins();
        let place = pins.parent().context("pins")?.display().to_string();
        let remedy = format!("`mount -o remount,rw {place}`");
        let named = format!("cannot remove the pins in {place}/allowlist");
        ensure!(said.contains(&remedy) && said.contains(&named), "{said}");
        ensure!(!said.contains('{'), "not a sentence: {said}");
        Ok(())
    };
    detach(&server)?;
    server.becomes("eth0", "attached")?;
    served(server.bob(), redis)?;

    // A start is refused, and what is in force stays so.
    server.daemon()?.kill()?;
    detach(&server)?;
    let mut start = server.allowlistd(&["--interface", "eth0"]);
    super::support::refuses(&mut start, "Read-only file system")?;
    served(server.bob(), redis)?;
    remount(&server, "rw")?;
    server.start()?;
    is_well(&server)?;

    remount(&server, "ro")?;
    until("that it is told", PATIENCE, || (!degraded(&server).ok()?.is_empty()).then_some(()))?;
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
    remount(&server, "rw")?;
    is_well(&server)?;
    ensure!(lines(&server, "well again: pins") == 1, "{}", server.log());
    server.make("PUT /v1/interfaces/spare0", &json!({}))?;
    // The revision that could not be pinned is now.
    server.daemon()?.kill()?;
    fs::rename(server.path("state"), server.path("kept"))?;
    let mut start = server.allowlistd(&["--interface", "eth0"]);
    super::support::refuses(&mut start, "(revision 4)").map(drop)
}

#[test]
fn a_store_that_is_taken_away_refuses_changes_until_it_is_back() -> Result<()> {
    let server = Server::with_redis()?;
    let [redis, _] = server.network.server.port(REDIS);
    let entries = |address| json!({"entries": [{"entry": address}]});
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    server.make("POST /v1/lists/redis/add", &entries("10.77.0.2"))?;
    // Nobody needs to change anything for it to be told, and for it to be over.
    fs::rename(server.path("state"), server.path("away"))?;
    until("that it is told", PATIENCE, || {
        degraded(&server).ok()?.contains(&"store".to_owned()).then_some(())
    })?;
    fs::rename(server.path("away"), server.path("state"))?;
    is_well(&server)?;
    ensure!(lines(&server, "removed or replaced while in use") == 1, "{}", server.log());

    fs::rename(server.path("state"), server.path("away"))?;
    let refused = server.ask("POST /v1/lists/redis/add", &entries("10.77.0.3"))?;
    let refused = refused.refused(500, "failed")?;
    let said = refused["message"].as_str().unwrap_or_default();
    ensure!(said.contains("allowlist.db was removed or replaced while in use"), "{refused}");
    ensure!(degraded(&server)?.contains(&"store".to_owned()), "{:?}", degraded(&server)?);
    shut_out(server.bob(), redis)?;
    served(server.alice(), redis)?;
    fs::rename(server.path("away"), server.path("state"))?;
    is_well(&server)?;
    server.make("POST /v1/lists/redis/add", &entries("10.77.0.3"))?;
    served(server.bob(), redis)
}
