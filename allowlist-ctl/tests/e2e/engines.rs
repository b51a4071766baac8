//! Which engine looks sources up: both say the same, and lists go from one to the other while they are in force.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::support::{REDIS, Server, served, shut_out};

/// Alice with so many others, one a line.
fn list(server: &Server, others: u32) -> Result<String> {
    let others = (0..others).map(|number| format!("192.0.{}.{}\n", number >> 8, number & 255));
    let lines: String = std::iter::once("10.77.0.2 # alice\n".to_owned()).chain(others).collect();
    server.write("list", &lines)
}

fn replace(server: &Server, others: u32) -> Result<String> {
    server.done(&["replace", "redis", "-f", &list(server, others)?, "--force"])
}

fn engine(server: &Server) -> Result<Value> {
    Ok(server.service("redis")?["engine"].clone())
}

/// Alice is served and bob is not, and the entry that decides is known, and when it last did.
fn is_enforced(server: &Server) -> Result<()> {
    let [redis, _] = server.network.server.port(REDIS);
    served(server.alice(), redis)?;
    shut_out(server.bob(), redis)?;
    let check = server.done(&["check", "10.77.0.2", "redis"])?;
    ensure!(check.contains("10.77.0.2/32") && check.contains("alice"), "{check}");
    let listed = server.json(&["list", "redis"])?;
    let entries = listed["lists"][0]["entries"].as_array().context("no entries")?;
    let hit = entries.iter().find(|entry| !entry["last_hit"].is_null()).context("none was hit")?;
    ensure!(hit["prefix"] == "10.77.0.2/32", "{hit}");
    Ok(())
}

#[test]
fn a_list_goes_to_flat_memory_when_it_is_long_and_back_when_it_is_short() -> Result<()> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let table = [(254, "lpm"), (255, "flat"), (130, "flat"), (126, "lpm"), (5000, "flat")];
    for (others, expected) in table {
        replace(&server, others)?;
        let found = engine(&server)?;
        ensure!(found == json!({"ipv4": expected}), "{others} others: {found}");
        is_enforced(&server)?;
    }
    // One by one over the border, both ways.
    replace(&server, 254)?;
    replace(&server, 100)?;
    ensure!(engine(&server)? == json!({"ipv4": "lpm"}), "{}", engine(&server)?);
    replace(&server, 254)?;
    for (change, expected) in [("add", "flat"), ("remove", "flat"), ("add", "flat")] {
        server.done(&[change, "redis", "198.51.100.1"])?;
        let found = engine(&server)?;
        ensure!(found == json!({"ipv4": expected}), "{change}: {found}");
        is_enforced(&server)?;
    }
    server.done(&["add", "redis", "2001:db8::/32"])?;
    ensure!(engine(&server)? == json!({"ipv4": "flat", "ipv6": "lpm"}), "{}", engine(&server)?);
    let status = server.done(&["status"])?;
    ensure!(status.contains("Engine auto: in flat memory: redis (IPv4). Entries take"), "{status}");
    Ok(())
}

#[test]
fn the_configuration_says_which_engine_from_the_next_start_on() -> Result<()> {
    let mut server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    replace(&server, 300)?;
    for kind in ["lpm", "flat", "auto"] {
        let config = server.write("allowlistd.toml", &format!("engine = \"{kind}\"\n"))?;
        server.set_options(&["--interface", "eth0", "--config", &config]);
        server.restart()?;
        let expected = if kind == "lpm" { "lpm" } else { "flat" };
        ensure!(engine(&server)? == json!({"ipv4": expected}), "{kind}: {}", engine(&server)?);
        let state = server.status()?["engine"].clone();
        ensure!(state["kind"] == kind && state["memory_limit"] == 1 << 30, "{state}");
        ensure!(state["memory_used"].as_u64() > Some(0), "{state}");
        is_enforced(&server)?;
    }
    Ok(())
}

#[test]
fn a_list_that_takes_more_than_it_may_is_refused_with_the_figures() -> Result<()> {
    for kind in ["lpm", "flat"] {
        let mut server = Server::with_redis()?;
        let table = format!("[engine]\nkind = \"{kind}\"\nmemory = \"4 MiB\"\n");
        let config = server.write("allowlistd.toml", &table)?;
        server.set_options(&["--interface", "eth0", "--config", &config]);
        server.restart()?;
        server.done(&["protect", "redis", "tcp/6379"])?;
        replace(&server, 300)?;
        let revision = server.revision()?;
        // Apart from one another, so that each takes its own place.
        let spread = (0..200_000u32).map(|number| Ipv4Addr::from(number * 20_011).to_string());
        let long = server.write("long", &spread.collect::<Vec<String>>().join("\n"))?;
        let said = "of the kernel's memory, and";
        server.fails(&["replace", "redis", "-f", &long, "--force"], 1, said)?;
        server.fails(&["replace", "redis", "-f", &long, "--force"], 1, "of 4 MiB are in use")?;
        ensure!(server.revision()? == revision);
        is_enforced(&server)?;
        // What it took is free again.
        replace(&server, 400)?;
        is_enforced(&server)?;
        // What is in force stays so, also after a start that allows it less.
        server.write("allowlistd.toml", &table.replace("4 MiB", "16 KiB"))?;
        server.restart()?;
        is_enforced(&server)?;
        let warnings = server.status()?["warnings"].to_string();
        ensure!(warnings.contains("of the kernel's memory and may take 1:"), "{warnings}");
    }
    Ok(())
}
