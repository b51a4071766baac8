//! The guide's page "Tighten an open service in three steps", followed literally.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{Connection, Process, until};

use super::{
    learning::interrupted,
    support::{CTL, PATIENCE, REDIS, Server, served, shut_out},
};

/// The commands of the page, in their order.
fn commands(page: &str) -> Vec<&str> {
    let blocks =
        page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    blocks.flat_map(str::lines).collect()
}

/// Starts a line of the page by a shell, as an operator would.
fn start(server: &Server, line: &str) -> Result<Process> {
    let directory = Path::new(CTL).parent().context("no directory")?;
    let path = format!("{}:{}", directory.display(), std::env::var("PATH")?);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {line}")]).current_dir(server.directory());
    command.env("PATH", path).env("ALLOWLIST_SOCKET", server.socket());
    Process::spawn("typed", &mut command, server.directory())
}

#[test]
fn the_page_closes_an_open_service_without_cutting_anybody() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tighten.md");
    let page = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let server = Server::with_redis()?;
    let [v4, v6] = server.network.server.port(REDIS);
    let mut held = None;
    let commands = commands(&page);
    ensure!(commands.len() == 7, "{commands:?}");
    for line in commands {
        let mut typed = start(&server, line)?;
        if !line.contains(" --for ") {
            let status = typed.wait(PATIENCE)?;
            ensure!(status.success(), "{line}: {}", typed.log());
            continue;
        }
        // Nobody waits for ten minutes here: the page says how that is cut short.
        until("what is watched", PATIENCE, || {
            let status = server.status().ok()?;
            (status["watches"].is_array() || status["trial"].is_object()).then_some(())
        })?;
        let connection =
            held.take().map_or_else(|| Connection::open(server.alice(), v4, PATIENCE), Ok);
        let mut connection = connection.with_context(|| line.to_owned())?;
        connection.ping(PATIENCE).with_context(|| line.to_owned())?;
        held = Some(connection);
        served(server.alice(), v6)?;
        let said = interrupted(typed)?;
        if line.contains(" try ") {
            ensure!(said.contains("Nothing would change for anybody seen in "), "{said}");
            ensure!(
                said.contains("To enforce it: allowlist-ctl replace redis -f redis.txt"),
                "{said}"
            );
        } else {
            let file = fs::read_to_string(server.path("redis.txt"))?;
            ensure!(
                file.contains("\n10.77.0.2/32 # ") && file.contains("\nfd77::/64 # "),
                "{file}"
            );
        }
    }
    served(server.alice(), v4)?;
    shut_out(server.bob(), v4)
}
