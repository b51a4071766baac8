//! A disk that is full leaves nothing in force that nobody confirmed.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::until;

use super::support::{PATIENCE, REDIS, Server, served, shut_out};

/// A small disk of its own for the state of a daemon, unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(place: PathBuf) -> Result<Self> {
        fs::create_dir(&place)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "allowlist-test"])
            .arg(&place)
            .status()?;
        ensure!(mounted.success(), "no tmpfs on {}", place.display());
        Ok(Self(place))
    }

    pub(crate) fn fill(&self) -> Result<()> {
        let written = fs::write(self.0.join("filler"), vec![1; 8 << 20]);
        ensure!(written.is_err(), "there was room for more than there is");
        Ok(())
    }

    pub(crate) fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the daemon may hold it for a moment longer.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn what_nobody_confirmed_is_taken_back_though_the_disk_is_full() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    let disk = SmallDisk::mount(server.path("state"))?;
    server.add_redis()?;
    server.start()?;
    let [redis, _] = server.network.server.port(REDIS);
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.77.0.2"}]}))?;
    let bob = json!({"entries": [{"entry": "10.77.0.3"}]});
    let is_pending =
        |server: &Server| -> Result<bool> { Ok(!server.get("/v1/status")?["pending"].is_null()) };
    for restart in [false, true] {
        server.make("POST /v1/lists/redis/add?confirm=2", &bob)?;
        served(server.bob(), redis)?;
        disk.fill()?;
        if restart {
            server.daemon()?.kill()?;
            std::thread::sleep(std::time::Duration::from_secs(3));
            server.start()?;
        }
        let out = || shut_out(server.bob(), redis).ok();
        until("the change to be taken back", PATIENCE, out)?;
        served(server.alice(), redis)?;
        ensure!(is_pending(&server)?, "it was written to a disk that is full");
        let refused = server.ask("POST /v1/lists/redis/add", &bob)?.refused(409, "pending")?;
        let hint = refused["hint"].as_str().context("no hint")?;
        ensure!(!hint.contains("confirm"), "{refused}");
        let told = until("what is in its way to be told", PATIENCE, || {
            server.done(&["status"]).ok().filter(|told| told.contains("DEGRADED: REVERT"))
        })?;
        let said = "taken back in the kernel already, but not on disk";
        ensure!(told.contains(said) && told.contains("is full"), "{told}");
        ensure!(told.contains("NOT CONFIRMED: "), "{told}");
        for wrong in ["nothing was changed", "allowlist-ctl confirm", "cannot take back"] {
            ensure!(!told.contains(wrong), "{told}");
        }
        server.ask("POST /v1/confirm", &Value::Null)?.refused(409, "pending")?;

        disk.empty()?;
        let settled = || is_pending(&server).ok().filter(|pending| !pending).map(drop);
        until("the way back to be written", PATIENCE, settled)?;
        shut_out(server.bob(), redis)?;
        let row = server.trail()?.pop().context("no trail")?;
        ensure!(row["action"] == "revert" && row["result"] == json!("done"), "{row}");
        ensure!(server.get("/v1/audit/verify")?["broken"] == Value::Null);
    }
    Ok(())
}

/// So many entries are brought to the kernel while they are written, and no small disk holds them.
const TOO_MANY: usize = 120_000;

#[test]
fn a_list_that_the_disk_has_no_room_for_leaves_everything_as_it_was() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    let _disk = SmallDisk::mount(server.path("state"))?;
    server.add_redis()?;
    server.start()?;
    let [redis, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    let line = |n: usize| format!("10.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255);
    let bob_and_many = (0..TOO_MANY).map(line).chain(["10.77.0.3\n".to_owned()]);
    let list = server.write("many", &bob_and_many.collect::<String>())?;
    for restart in [false, true] {
        let revision = server.revision()?;
        server.fails(&["replace", "redis", "-f", &list, "--force"], 1, "is full")?;
        ensure!(server.revision()? == revision);
        if restart {
            server.restart()?;
        }
        ensure!(server.service("redis")?["entries"] == 1);
        served(server.alice(), redis)?;
        shut_out(server.bob(), redis)?;
        let row = server.trail()?.pop().context("no trail")?;
        ensure!(row["action"] == "replace" && row["result"] == json!("failed"), "{row}");
        server.done(&["add", "redis", "192.0.2.1"])?;
        server.done(&["remove", "redis", "192.0.2.1"])?;
    }
    Ok(())
}
