//! What is pinned, and what becomes of it while the daemon runs: nobody is let in for it, and it is told.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::until;

use super::support::{PATIENCE, REDIS, Server, served, shut_out};

/// `redis` admits alice alone.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    Ok(server)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    ensure!(Command::new(program).args(arguments).status()?.success(), "{program} {arguments:?}");
    Ok(())
}

fn bpffs(server: &Server) -> Result<String> {
    Ok(server.pins().parent().context("pins")?.display().to_string())
}

/// Everything below the directory of pins.
fn all(server: &Server) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for directory in ["", "links", "v1"] {
        for entry in fs::read_dir(server.pins().join(directory))? {
            found.push(format!("{directory}/{}", entry?.file_name().to_string_lossy()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn are_back(server: &Server, expected: &[String]) -> Result<()> {
    until("all pins", PATIENCE, || all(server).ok().filter(|found| found == expected).map(drop))
        .with_context(|| format!("{:?}", all(server)))
}

#[test]
fn a_detach_that_fails_is_not_remembered() -> Result<()> {
    let mut server = closed()?;
    let [redis, _] = server.network.server.port(REDIS);
    let bpffs = bpffs(&server)?;
    run("mount", &["-o", "remount,ro", &bpffs])?;
    server.fails(&["detach", "eth0", "--yes"], 1, "Read-only file system")?;
    let rows = server.json(&["audit", "--limit", "1"])?;
    ensure!(rows["rows"][0]["result"] == "failed", "{rows}");
    shut_out(server.bob(), redis)?;
    run("mount", &["-o", "remount,rw", &bpffs])?;
    server.restart()?;
    shut_out(server.bob(), redis)?;
    ensure!(server.interface("eth0")?["state"] == "attached");
    server.done(&["detach", "eth0", "--yes"])?;
    served(server.bob(), redis)
}

#[test]
fn pins_that_somebody_removes_are_put_back_all_of_them() -> Result<()> {
    let mut server = closed()?;
    let [redis, _] = server.network.server.port(REDIS);
    shut_out(server.bob(), redis)?;
    let before = all(&server)?;
    let counted = server.packets("redis", "denied")?;
    ensure!(counted > 0);
    fs::remove_dir_all(server.pins())?;
    shut_out(server.bob(), redis)?;
    are_back(&server, &before)?;
    // They are what they were: counting goes on over a kill, and who is denied then is told of.
    server.daemon()?.kill()?;
    shut_out(server.bob(), redis)?;
    server.start()?;
    ensure!(server.packets("redis", "denied")? > counted);
    Ok(())
}

#[test]
fn a_bpf_file_system_that_is_unmounted_ends_nothing_while_the_daemon_runs() -> Result<()> {
    let mut server = closed()?;
    let [redis, _] = server.network.server.port(REDIS);
    let (bpffs, before) = (bpffs(&server)?, all(&server)?);
    let told = |server: &Server| -> Result<String> { Ok(server.status()?["degraded"].to_string()) };
    run("umount", &["--lazy", &bpffs])?;
    shut_out(server.bob(), redis)?;
    until("that it is told", PATIENCE, || {
        told(&server).ok()?.contains("the filter on eth0 ends with this daemon").then_some(())
    })?;
    shut_out(server.bob(), redis)?;
    run("mount", &["-t", "bpf", "bpf", &bpffs])?;
    are_back(&server, &before)?;
    until("that it is over", PATIENCE, || (told(&server).ok()? == "[]").then_some(()))?;
    server.restart()?;
    ensure!(server.log().contains("stays in force on eth0"), "{}", server.log());
    shut_out(server.bob(), redis)?;

    // What it says at its end is true.
    run("umount", &["--lazy", &bpffs])?;
    let status = server.daemon()?.terminate()?;
    ensure!(status.success(), "{status}");
    let log = server.log();
    let last: Vec<&str> = log.lines().rev().take(2).collect();
    ensure!(last[0].ends_with("stopped") && last[1].contains("is not pinned and ends"), "{last:?}");
    run("mount", &["-t", "bpf", "bpf", &bpffs])
}

#[test]
fn a_filter_that_is_cut_off_is_put_back_though_nothing_can_be_pinned() -> Result<()> {
    let server = closed()?;
    let [redis, _] = server.network.server.port(REDIS);
    let bpffs = bpffs(&server)?;
    let links = server.network.server.namespace.run("bpftool", &["--json", "link", "show"])?;
    let program = server.interface("eth0")?["program_id"].clone();
    let links: serde_json::Value = serde_json::from_str(&links)?;
    let link = links.as_array().context("no links")?.iter().find(|one| one["prog_id"] == program);
    let link = link.context("no link of the program")?["id"].to_string();
    run("mount", &["-o", "remount,ro", &bpffs])?;
    run("bpftool", &["link", "detach", "id", &link])?;
    until("the filter", PATIENCE, || shut_out(server.bob(), redis).ok())?;
    until("that it is told", PATIENCE, || {
        server.status().ok()?["degraded"]
            .to_string()
            .contains("ends with this daemon")
            .then_some(())
    })?;
    run("mount", &["-o", "remount,rw", &bpffs])?;
    until("the pin", PATIENCE, || {
        (server.status().ok()?["degraded"] == serde_json::json!([])).then_some(())
    })?;
    shut_out(server.bob(), redis)
}

#[test]
fn what_else_is_among_the_pins_of_links_is_in_nobodys_way() -> Result<()> {
    let mut server = closed()?;
    let [redis, _] = server.network.server.port(REDIS);
    let links = server.pins().join("links");
    server.daemon()?.kill()?;
    fs::create_dir(links.join("directory"))?;
    for (kind, from, to) in [("prog", "PROGRAM", "program"), ("map", "SERVICE_COUNTS", "map")] {
        let (from, to) = (server.pins().join("v1").join(from), links.join(to));
        run(
            "bpftool",
            &[kind, "pin", "pinned", &from.display().to_string(), &to.display().to_string()],
        )?;
    }
    fs::remove_file(server.pins().join("store"))?;
    fs::create_dir(server.pins().join("store"))?;
    server.start()?;
    shut_out(server.bob(), redis)?;
    ensure!(fs::read_dir(&links)?.count() == 1, "{:?}", all(&server)?);
    ensure!(!server.log().contains("cannot be taken over"), "{}", server.log());
    Ok(())
}
