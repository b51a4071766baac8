//! Another release takes over what this one left in force, and the other way round; what is pinned is never trusted.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::support::{ALLOWLISTD, REDIS, Server, next_release, served, shut_out};

/// `redis` admits alice alone.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "fd77::2"])?;
    Ok(server)
}

fn judges(server: &Server) -> Result<()> {
    for address in server.network.server.port(REDIS) {
        served(server.alice(), address)?;
        shut_out(server.bob(), address)?;
    }
    Ok(())
}

/// What is in the directory of pins.
fn pinned(server: &Server, directory: &str) -> Result<Vec<String>> {
    let found = fs::read_dir(server.pins().join(directory))?;
    let mut names: Vec<String> = found
        .map(|one| Ok(one?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

/// The id of what is pinned there, as bpftool says it.
fn program(server: &Server, version: &str) -> Result<Value> {
    let path = server.pins().join(version).join("PROGRAM").display().to_string();
    let namespace = &server.network.server.namespace;
    let shown = namespace.run("bpftool", &["--json", "prog", "show", "pinned", &path])?;
    Ok(serde_json::from_str::<Value>(&shown)?["id"].take())
}

#[test]
fn another_release_takes_over_and_the_other_way_round() -> Result<()> {
    let next = next_release()?;
    let mut server = closed()?;
    judges(&server)?;
    ensure!(program(&server, "v1")? == server.interface("eth0")?["program_id"]);
    let counted = server.packets("redis", "denied")?;
    for (release, version) in [(next.as_str(), "v2"), (ALLOWLISTD, "v1"), (&next, "v2")] {
        server.daemon()?.kill()?;
        judges(&server)?;
        let daemon = server.spawn_of(release)?;
        server.serve(daemon)?;
        judges(&server)?;
        ensure!(
            server.log().contains("took over the filter that was in force"),
            "{}",
            server.log()
        );
        ensure!(pinned(&server, "")? == ["links", "store", version], "{:?}", pinned(&server, "")?);
        ensure!(program(&server, version)? == server.interface("eth0")?["program_id"]);
        // Layouts differ: what was counted before is not read.
        ensure!(server.packets("redis", "denied")? < counted + 100);
        server.done(&["add", "redis", "192.0.2.1"])?;
        server.done(&["remove", "redis", "192.0.2.1"])?;
    }
    Ok(())
}

#[test]
fn pins_that_are_damaged_are_replaced_while_the_filter_stays() -> Result<()> {
    let mut server = closed()?;
    judges(&server)?;
    let own = pinned(&server, "v1")?;
    for wanted in ["HITS_0", "NEXT", "PROGRAM", "SERVICE_COUNTS", "OTHER_COUNTS"] {
        ensure!(own.iter().any(|name| name == wanted), "no {wanted} in {own:?}");
    }
    for name in &own {
        server.daemon()?.kill()?;
        let path = server.pins().join("v1").join(name);
        fs::remove_file(&path)?;
        if name != "PROGRAM" {
            // Something else in its place.
            let (pins, shown) = (server.pins(), path.display().to_string());
            let link = fs::read_dir(pins.join("links"))?.next().context("no link")??.path();
            let namespace = &server.network.server.namespace;
            let id = namespace.run(
                "bpftool",
                &["--json", "link", "show", "pinned", &link.display().to_string()],
            )?;
            let id = serde_json::from_str::<Value>(&id)?["prog_id"].to_string();
            namespace.run("bpftool", &["prog", "pin", "id", &id, &shown])?;
        }
        judges(&server)?;
        server.start()?;
        judges(&server)?;
        ensure!(pinned(&server, "v1")? == own, "{name}: {:?}", pinned(&server, "v1")?);
    }
    Ok(())
}
