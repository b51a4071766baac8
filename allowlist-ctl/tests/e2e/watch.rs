//! `status --watch`: on a terminal, piped, and while the daemon goes away and comes back.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use nix::pty::{Winsize, openpty};
use serde_json::Value;
use xtask::lab::until;

use super::support::{CTL, PATIENCE, Server};

/// A watching command; it ends with this.
struct Watching {
    child: Child,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Watches without a terminal.
fn piped(server: &Server, options: &[&str]) -> Result<(Watching, BufReader<ChildStdout>)> {
    let mut child = Command::new(CTL)
        .args(["status", "--watch", "1"])
        .args(options)
        .env("ALLOWLIST_SOCKET", server.socket())
        .stdout(Stdio::piped())
        .stderr(File::create(server.path("stderr"))?)
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    Ok((Watching { child }, BufReader::new(output)))
}

/// Watches on a terminal of its own.
struct OnTerminal {
    watching: Watching,
    terminal: File,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    fn new(server: &Server, rows: u16, environment: &[(&str, &str)]) -> Result<Self> {
        let size = Winsize { ws_row: rows, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None)?;
        // A session of its own, so that Ctrl-C on that terminal is for it, and is heeded though the test's own is ignored.
        let child = Command::new("env")
            .args(["--default-signal=INT", "setsid", "--ctty", CTL, "status", "--watch", "1"])
            .env("ALLOWLIST_SOCKET", server.socket())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .stdin(pty.slave.try_clone()?)
            .stdout(pty.slave.try_clone()?)
            .stderr(pty.slave)
            .spawn()
            .context("env (coreutils)")?;
        let terminal = File::from(pty.master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, heard) = (terminal.try_clone()?, Arc::clone(&seen));
        thread::spawn(move || {
            let mut buffer = [0; 1 << 12];
            // It ends with an error when nobody has the other end any more.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if let Ok(mut seen) = heard.lock() {
                    seen.extend_from_slice(&buffer[..count]);
                }
            }
        });
        Ok(Self { watching: Watching { child }, terminal, seen })
    }

    fn seen(&self) -> String {
        let seen = self.seen.lock().map(|seen| seen.clone()).unwrap_or_default();
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Waits until this is drawn after what was drawn before; nothing of it is seen again.
    fn until_drawn(&self, what: &str) -> Result<String> {
        let drawn = || {
            let seen = self.seen();
            let end = seen.find(what)? + what.len();
            if let Ok(mut all) = self.seen.lock() {
                all.drain(..end);
            }
            Some(seen)
        };
        until(what, PATIENCE, drawn).with_context(|| format!("{what:?} in {:?}", self.seen()))
    }
}

#[test]
fn a_terminal_is_redrawn_in_place_and_left_as_it_was() -> Result<()> {
    let mut server = Server::new()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let mut terminal = OnTerminal::new(&server, 40, &[])?;
    let drawn =
        terminal.until_drawn("\x1b[1;33mNo entries: redis is accessible to everyone.\x1b[0m")?;
    ensure!(drawn.contains("\x1b[?1049h") && drawn.contains("\x1b[H"), "{drawn:?}");
    ensure!(!drawn.contains("\x1b[?1049l"), "{drawn:?}");
    terminal.until_drawn("\x1b[HEvery 1 s")?;
    server.done(&["protect", "web", "tcp/80"])?;
    terminal.until_drawn("No entries: web is accessible to everyone.")?;

    // The daemon goes away, and comes back.
    ensure!(server.daemon()?.terminate()?.success(), "the daemon failed");
    terminal.until_drawn("no daemon answers at ")?;
    terminal.until_drawn("No entries: web is accessible")?;
    server.start()?;
    server.done(&["protect", "mail", "tcp/25"])?;
    terminal.until_drawn("No entries: mail is accessible to everyone.")?;

    terminal.terminal.write_all(b"\x03")?;
    let ended = || terminal.watching.child.try_wait().ok().flatten();
    let status = until("the end of a watch by Ctrl-C", PATIENCE, ended)?;
    ensure!(status.signal() == Some(nix::libc::SIGINT), "Ctrl-C ended it with {status}");
    terminal.until_drawn("\x1b[?25h\x1b[?1049l").context("the terminal is not as it was")?;
    Ok(())
}

#[test]
fn a_small_terminal_without_colours_shows_what_there_is_room_for() -> Result<()> {
    let server = Server::new()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let terminal = OnTerminal::new(&server, 6, &[("NO_COLOR", "1")])?;
    let drawn = terminal.until_drawn(" more lines: allowlist-ctl status)")?;
    ensure!(drawn.contains("No entries: redis is accessible to everyone."), "{drawn:?}");
    ensure!(!drawn.contains("\x1b[1;33m") && !drawn.contains("PORTS"), "{drawn:?}");
    Ok(())
}

#[test]
fn piped_it_is_one_document_after_another_over_a_restart() -> Result<()> {
    let mut server = Server::new()?;
    let (_watching, mut lines) = piped(&server, &["--json"])?;
    let next = |lines: &mut BufReader<ChildStdout>| -> Result<Value> {
        let mut line = String::new();
        ensure!(lines.read_line(&mut line)? > 0, "it ended");
        serde_json::from_str(&line).with_context(|| format!("no document: {line}"))
    };
    ensure!(next(&mut lines)?["revision"] == 0);
    ensure!(server.daemon()?.terminate()?.success(), "the daemon failed");
    let told = || std::fs::read_to_string(server.path("stderr")).ok();
    until("the daemon's end", PATIENCE, || told()?.contains("no_daemon").then_some(()))?;
    server.start()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let mut documents = 0;
    while next(&mut lines)?["revision"] != 1 {
        documents += 1;
        ensure!(documents < 60, "the change is not shown");
    }
    let told = std::fs::read_to_string(server.path("stderr"))?;
    ensure!(told.lines().count() == 1, "once is enough: {told}");

    let (mut text, mut lines) = piped(&server, &[])?;
    for _ in 0..2 {
        let mut document = String::new();
        while !document.contains("SERVICE ") {
            ensure!(lines.read_line(&mut document)? > 0, "it ended: {document}");
        }
        ensure!(document.matches("allowlistd ").count() == 1, "{document}");
        ensure!(!document.contains('\x1b'), "{document:?}");
    }
    // Whoever read it has seen enough.
    drop(lines);
    let ended = || text.child.try_wait().ok().flatten();
    let status = until("the end of a watch that nobody reads", PATIENCE, ended)?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn a_daemon_that_is_not_there_at_first_is_an_error() -> Result<()> {
    let server = Server::prepare(&[])?;
    server.fails(&["status", "--watch"], 3, "no daemon answers at")?;
    server.fails(&["status", "--watch", "0"], 2, "0")?;
    Ok(())
}
