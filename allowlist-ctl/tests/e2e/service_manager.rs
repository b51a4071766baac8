//! What a service manager is told, as `sd_notify(3)` says.

use std::{
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::support::{PATIENCE, Server};

/// The next message about one of these variables.
fn told(manager: &UnixDatagram, variable: &str) -> Result<String> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let mut message = [0; 1024];
        // A socket with a timeout answers so when the process was stopped for a moment (signal(7)).
        let length = match manager.recv(&mut message) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            length => length?,
        };
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        if let Some(line) = message.lines().find(|line| line.starts_with(variable)) {
            return Ok(line.to_owned());
        }
    }
    bail!("nothing about {variable}")
}

#[test]
fn a_manager_is_told_when_it_is_ready_that_it_lives_and_when_it_ends() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    let path = server.path("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let socket = format!("NOTIFY_SOCKET={}", path.display());
    let words = ["env", &socket, "WATCHDOG_USEC=30000000"];
    server.start_under(&words)?;
    told(&manager, "READY=1")?;
    // Ready means that the filter is in force.
    ensure!(server.interface("eth0")?["state"] == "attached");
    for _ in 0..3 {
        told(&manager, "WATCHDOG=1")?;
    }
    server.daemon()?.terminate()?;
    told(&manager, "STOPPING=1")?;

    // Unwatched, nothing is sent but what was asked for.
    server.start_under(&words[..2])?;
    told(&manager, "READY=1")?;
    manager.set_read_timeout(Some(Duration::from_secs(3)))?;
    ensure!(told(&manager, "WATCHDOG=1").is_err(), "a watchdog that nobody has");
    Ok(())
}
