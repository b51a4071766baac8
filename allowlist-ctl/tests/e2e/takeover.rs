//! A store that is not the one in force never takes over by itself: the start is refused, and what is in force stays so.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::until;

use super::support::{PATIENCE, REDIS, Server, refuses, served, shut_out};

const START: [&str; 2] = ["--interface", "eth0"];

/// A server whose redis admits alice only, at revision 2.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.77.0.2"}]}))?;
    Ok(server)
}

/// Alice is admitted, and bob is not.
fn is_in_force(server: &Server) -> Result<()> {
    let [redis, _] = server.network.server.port(REDIS);
    served(server.alice(), redis)?;
    shut_out(server.bob(), redis)
}

/// Everything in a server's state directory, by name; nothing without one.
fn state(server: &Server) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    if let Ok(directory) = fs::read_dir(server.path("state")) {
        for entry in directory {
            let path = entry?.path();
            files.push((path.clone(), fs::read(path)?));
        }
    }
    files.sort();
    Ok(files)
}

fn move_state(server: &Server, from: &str, to: &str) -> Result<()> {
    Ok(fs::rename(server.path(from), server.path(to))?)
}

type Step = fn(&Server) -> Result<()>;

fn copy_state(from: &Server, to: &Server) -> Result<()> {
    fs::create_dir_all(to.path("state"))?;
    for (path, bytes) in state(from)? {
        let name = path.file_name().context("name")?.to_string_lossy().into_owned();
        fs::write(to.path("state").join(name), bytes)?;
    }
    Ok(())
}

#[test]
fn a_store_that_is_not_the_one_in_force_is_refused_until_it_is_adopted() -> Result<()> {
    // What becomes of the store; what is said; who reaches redis after it was adopted: alice, bob.
    let table: [(&str, Step, &str, [bool; 2]); 5] = [
        (
            "missing directory",
            |server| move_state(server, "state", "kept"),
            "(revision 2), which stays so",
            [true, true],
        ),
        (
            "missing file",
            |server| {
                move_state(server, "state", "kept")?;
                Ok(fs::create_dir(server.path("state"))?)
            },
            "has no policy, and one is in force (revision 2)",
            [true, true],
        ),
        (
            "empty file",
            |server| {
                move_state(server, "state", "kept")?;
                fs::create_dir(server.path("state"))?;
                Ok(fs::write(server.path("state/allowlist.db"), "")?)
            },
            "has no policy",
            [true, true],
        ),
        (
            "another store",
            |server| {
                move_state(server, "state", "kept")?;
                let mut other = Server::with_options(&[])?;
                other.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
                let bob = json!({"entries": [{"entry": "10.77.0.3"}]});
                for _ in 0..3 {
                    other.make("POST /v1/lists/redis/add", &bob)?;
                }
                other.daemon()?.terminate()?;
                copy_state(&other, server)
            },
            "is another store than the one whose policy is in force",
            [false, true],
        ),
        (
            "of the past",
            |server| {
                let older = Server::prepare(&[])?;
                copy_state(server, &older)?;
                let sql = "DELETE FROM entry; DELETE FROM revision WHERE number = 2;
                           UPDATE meta SET value = 1 WHERE key = 'revision'";
                let database = rusqlite::Connection::open(older.path("state/allowlist.db"))?;
                database.execute_batch(sql)?;
                database.close().map_err(|(_, error)| error)?;
                move_state(server, "state", "kept")?;
                copy_state(&older, server)
            },
            "is at revision 1, and revision 2 of it is in force",
            [true, true],
        ),
    ];
    for (description, step, said, reached) in table {
        let mut server = closed()?;
        let judged = [server.packets("redis", "admitted")?, server.packets("redis", "denied")?];
        server.daemon()?.kill()?;
        step(&server)?;
        let before = state(&server)?;
        for _ in 0..2 {
            let told = refuses(&mut server.allowlistd(&START), said)
                .with_context(|| description.to_owned())?;
            ensure!(told.contains("--adopt-store") && told.contains("--detach"), "{told}");
            ensure!(state(&server)? == before, "{description}: the store has changed");
            is_in_force(&server).with_context(|| description.to_owned())?;
        }

        server.set_options(&["--interface", "eth0", "--adopt-store"]);
        server.start().with_context(|| description.to_owned())?;
        ensure!(server.log().contains("adopted "), "{description}: {}", server.log());
        let row = server.trail()?.pop().context("no trail")?;
        ensure!(row["action"] == "adopt" && row["result"] == "done", "{description}: {row}");
        let message = row["message"].as_str().unwrap_or_default();
        ensure!(message.contains("in the place of revision 2 of store"), "{description}: {row}");
        let [redis, _] = server.network.server.port(REDIS);
        for (client, reaches) in [server.alice(), server.bob()].into_iter().zip(reached) {
            let knock = if reaches { served } else { shut_out };
            knock(client, redis).with_context(|| description.to_owned())?;
        }
        if description == "another store" {
            let service = server.service("redis")?;
            let counted = service["admitted"]["packets"].as_u64().context("count")?;
            ensure!(counted < 10 + judged[0], "the counters of the other store go on: {service}");
        }
        // From now on it is the one in force.
        server.set_options(&START);
        server.restart().with_context(|| format!("{description}, adopted"))?;
    }
    Ok(())
}

#[test]
fn a_daemon_that_was_killed_between_store_and_pin_starts_again() -> Result<()> {
    let mut server = closed()?;
    // The pin of an earlier revision is what such a kill leaves: that of a map with other content is put in its place.
    let pinned = || -> Result<Vec<u8>> {
        let pin = server.pins().join("store");
        let output = Command::new("bpftool")
            .args(["-j", "map", "dump", "pinned"])
            .arg(pin)
            .output()
            .context("bpftool")?;
        let dumped: Value = serde_json::from_slice(&output.stdout)?;
        let bytes = dumped[0]["value"].as_array().context("no value")?.iter();
        bytes
            .map(|byte| {
                let hex = byte.as_str().unwrap_or_default().trim_start_matches("0x");
                Ok(u8::from_str_radix(hex, 16)?)
            })
            .collect()
    };
    let before = pinned()?;
    ensure!(before.len() == 24 && before[16..] == 2_u64.to_ne_bytes(), "{before:?}");
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
    let after = pinned()?;
    ensure!(after[..16] == before[..16] && after[16..] == 3_u64.to_ne_bytes(), "{after:?}");
    let words: Vec<String> = before.iter().map(u8::to_string).collect();
    let pin = server.pins().join("store").display().to_string();
    let mut update = Command::new("bpftool");
    update.args(["map", "update", "pinned", &pin, "key", "0", "0", "0", "0", "value"]).args(words);
    ensure!(update.status()?.success());
    ensure!(pinned()? == before);
    server.daemon()?.kill()?;
    server.start()?;
    is_in_force(&server)
}

#[test]
fn a_filter_that_does_not_say_where_it_is_from_is_taken_over_by_a_store_in_use() -> Result<()> {
    for (pin, make) in [("gone", false), ("of another layout", true)] {
        let mut server = closed()?;
        server.daemon()?.kill()?;
        let path = server.pins().join("store");
        fs::remove_file(&path)?;
        if make {
            let mut create = Command::new("bpftool");
            create.args(["map", "create"]).arg(&path);
            create.args(["type", "array", "key", "4", "value", "8", "entries", "1", "name", "x"]);
            ensure!(create.status()?.success());
        }
        move_state(&server, "state", "kept")?;
        refuses(&mut server.allowlistd(&START), "has no policy, and one is in force, which")?;
        is_in_force(&server).with_context(|| pin.to_owned())?;
        move_state(&server, "kept", "state")?;
        server.start()?;
        ensure!(server.log().contains("does not say which store"), "{pin}: {}", server.log());
        is_in_force(&server).with_context(|| pin.to_owned())?;
        // It says so now.
        server.daemon()?.kill()?;
        move_state(&server, "state", "kept")?;
        refuses(&mut server.allowlistd(&START), "(revision 2)")?;
    }
    Ok(())
}

#[test]
fn where_nothing_is_in_force_any_store_will_do() -> Result<()> {
    let mut server = closed()?;
    server.daemon()?.kill()?;
    ensure!(server.allowlistd(&["--detach"]).status()?.success());
    move_state(&server, "state", "kept")?;
    server.start()?;
    ensure!(server.revision()? == 0);
    Ok(())
}

#[test]
fn a_pin_of_the_store_that_somebody_removes_is_put_back() -> Result<()> {
    let server = closed()?;
    let pin = server.pins().join("store");
    fs::remove_file(&pin)?;
    until("the pin", PATIENCE, || pin.exists().then_some(()))?;
    Ok(())
}

#[test]
fn a_branch_that_was_left_by_an_adoption_is_another_store() -> Result<()> {
    let mut server = closed()?;
    until("a copy", PATIENCE, || server.path("state/allowlist.db.good").exists().then_some(()))?;
    server.daemon()?.terminate()?;
    let kept = state(&server)?;
    let sql = "DELETE FROM entry; DELETE FROM revision WHERE number = 2;
               UPDATE meta SET value = 1 WHERE key = 'revision'";
    let database = rusqlite::Connection::open(server.path("state/allowlist.db"))?;
    database.execute_batch(sql)?;
    database.close().map_err(|(_, error)| error)?;
    server.set_options(&["--interface", "eth0", "--adopt-store"]);
    server.start()?;
    // It is to be adopted once.
    server.restart()?;
    let rows = server.trail()?;
    ensure!(rows.iter().filter(|row| row["action"] == "adopt").count() == 1, "{rows:?}");
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.77.0.2"}]}))?;
    ensure!(server.revision()? == 2);
    server.daemon()?.terminate()?;

    // The old disk returns, with a store of the revision that is in force.
    move_state(&server, "state", "adopted")?;
    fs::create_dir(server.path("state"))?;
    for (path, bytes) in kept {
        fs::write(path, bytes)?;
    }
    let told = refuses(&mut server.allowlistd(&START), "is another store than the one")?;
    ensure!(!told.contains("last good copy"), "one that would be refused as well: {told}");
    is_in_force(&server)?;
    fs::remove_dir_all(server.path("state"))?;
    move_state(&server, "adopted", "state")?;
    server.set_options(&START);
    server.start()?;
    ensure!(server.get("/v1/audit/verify")?["broken"].is_null());
    is_in_force(&server)
}

#[test]
fn a_daemon_that_was_killed_while_it_adopted_a_store_adopts_it_again() -> Result<()> {
    let mut server = closed()?;
    server.daemon()?.terminate()?;
    // What such a kill leaves: the store has its new identity, and the old one is pinned.
    let database = rusqlite::Connection::open(server.path("state/allowlist.db"))?;
    database.execute("UPDATE meta SET value = randomblob(16) WHERE key = 'store_id'", [])?;
    database.close().map_err(|(_, error)| error)?;
    let told = refuses(&mut server.allowlistd(&START), "is another store than the one")?;
    ensure!(told.contains("--adopt-store"), "{told}");
    is_in_force(&server)?;
    server.set_options(&["--interface", "eth0", "--adopt-store"]);
    server.start()?;
    is_in_force(&server)?;
    server.set_options(&START);
    server.restart()?;
    is_in_force(&server)
}
