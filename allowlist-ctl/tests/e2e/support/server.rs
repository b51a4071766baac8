//! A server with redis, the daemon on its network interface, and two clients.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::lab::{Bpffs, Host, INTERFACE, Network, Process, Scratch, redis_server};

use super::echo::Echo;

pub(crate) const ALLOWLISTD: &str = env!("CARGO_BIN_EXE_allowlistd");
pub(crate) const CTL: &str = env!("CARGO_BIN_EXE_allowlist-ctl");
/// The port of redis.
pub(crate) const REDIS: u16 = 6379;
/// The UDP port of the echo.
pub(crate) const ECHO: u16 = 7000;

/// The fields are dropped in this order: who uses something goes before it.
pub(crate) struct Server {
    daemon: Option<Process>,
    servers: Vec<Process>,
    echo: Option<Echo>,
    pub(crate) network: Network,
    bpffs: Bpffs,
    scratch: Scratch,
    options: Vec<String>,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Server {
    /// The network; the daemon is not started yet.
    pub(crate) fn prepare(options: &[&str]) -> Result<Self> {
        let scratch = Scratch::new()?;
        let bpffs = Bpffs::mount(&scratch.path().join("bpf"))?;
        let network = Network::new(&["alice", "bob"])?;
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Ok(Self { daemon: None, servers: Vec::new(), echo: None, network, bpffs, scratch, options })
    }

    /// The daemon with these options and nothing else.
    pub(crate) fn with_options(options: &[&str]) -> Result<Self> {
        let mut server = Self::prepare(options)?;
        server.start()?;
        Ok(server)
    }

    /// The daemon on the network interface.
    pub(crate) fn new() -> Result<Self> {
        Self::with_options(&["--interface", INTERFACE])
    }

    /// The daemon on the network interface, and redis and the echo behind it.
    pub(crate) fn with_redis() -> Result<Self> {
        let mut server = Self::prepare(&["--interface", INTERFACE])?;
        server.add_redis()?;
        server.start()?;
        Ok(server)
    }

    /// Starts redis and the echo.
    pub(crate) fn add_redis(&mut self) -> Result<()> {
        let host = &self.network.server;
        self.servers.push(redis_server(host, REDIS, self.scratch.path())?);
        self.echo = Some(Echo::start(&host.namespace, ECHO)?);
        Ok(())
    }

    /// The client that tests allow.
    pub(crate) fn alice(&self) -> &Host {
        &self.network.clients[0]
    }

    /// The client that tests do not allow.
    pub(crate) fn bob(&self) -> &Host {
        &self.network.clients[1]
    }

    /// A path in the test's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The test's own directory.
    pub(crate) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes a file into the test's own directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<String> {
        fs::write(self.path(name), text)?;
        Ok(self.path(name).display().to_string())
    }

    /// The daemon's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// The file system of the pins.
    pub(crate) fn bpffs(&self) -> &Path {
        self.bpffs.path()
    }

    /// The directory of the pins.
    pub(crate) fn pins(&self) -> PathBuf {
        self.bpffs.path().join("allowlist")
    }

    /// `allowlistd` in the server's namespace, with places of its own for everything.
    pub(crate) fn allowlistd(&self, options: &[&str]) -> Command {
        let mut command = self.allowlistd_elsewhere(self.scratch.path(), self.bpffs.path());
        command.args(options);
        command
    }

    /// The same with its places in other directories.
    pub(crate) fn allowlistd_elsewhere(&self, directory: &Path, bpffs: &Path) -> Command {
        let mut command = self.network.server.namespace.command(ALLOWLISTD);
        command.args(Self::places(directory, bpffs));
        command
    }

    /// The options that keep a daemon apart from others.
    pub(crate) fn places(directory: &Path, bpffs: &Path) -> [String; 6] {
        [
            "--state-dir".into(),
            directory.join("state").display().to_string(),
            "--socket".into(),
            directory.join("socket").display().to_string(),
            "--bpffs".into(),
            bpffs.display().to_string(),
        ]
    }

    /// What the daemon is to be started with.
    pub(crate) fn set_options(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&option| option.to_owned()).collect();
    }

    /// Starts the daemon, and leaves it to whoever asked.
    pub(crate) fn spawn(&self) -> Result<Process> {
        self.spawn_of(ALLOWLISTD)
    }

    /// The same with the daemon of another release.
    pub(crate) fn spawn_of(&self, program: &str) -> Result<Process> {
        let mut command = self.network.server.namespace.command(program);
        command.args(Self::places(self.scratch.path(), self.bpffs.path())).args(&self.options);
        Process::spawn("allowlistd", &mut command, self.scratch.path())
    }

    /// Starts the daemon and waits until it serves.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.serve(self.spawn()?)
    }

    /// The same, with words before the daemon that change what it may do.
    pub(crate) fn start_under(&mut self, words: &[&str]) -> Result<()> {
        let options: Vec<_> = self.options.iter().map(String::as_str).collect();
        let mut command = under(words, &self.allowlistd(&options))?;
        self.serve(Process::spawn("allowlistd", &mut command, self.scratch.path())?)
    }

    /// Waits until a daemon serves, and keeps it.
    pub(crate) fn serve(&mut self, mut daemon: Process) -> Result<()> {
        daemon.ready_at_socket(&self.socket())?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// The running daemon.
    pub(crate) fn daemon(&mut self) -> Result<&mut Process> {
        self.daemon.as_mut().context("the daemon was not started")
    }

    /// Ends the daemon with SIGTERM, and starts it again.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let status = self.daemon()?.terminate()?;
        ensure!(status.success(), "the daemon ended with {status}");
        self.start()
    }

    /// What the daemon has written so far.
    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Runs `allowlist-ctl`, without a terminal.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Result<Outcome> {
        let output = Command::new(CTL)
            .args(arguments)
            .env("ALLOWLIST_SOCKET", self.socket())
            .output()
            .context("allowlist-ctl can't be run")?;
        Ok(output.into())
    }

    /// Runs `allowlist-ctl`, which has to succeed, and returns what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> Result<String> {
        let outcome = self.ctl(arguments)?;
        ensure!(outcome.code == Some(0), "{}: {outcome:?}", arguments.join(" "));
        Ok(outcome.stdout)
    }

    /// Runs `allowlist-ctl`, which has to end so, saying this on standard error.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, said: &str) -> Result<()> {
        let outcome = self.ctl(arguments)?;
        ensure!(
            outcome.code == Some(code) && outcome.stderr.contains(said),
            "{} should end with {code} and say {said:?}: {outcome:?}",
            arguments.join(" "),
        );
        Ok(())
    }

    /// What a command prints with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.done(&[&["--json"], arguments].concat())?;
        serde_json::from_str(&printed).with_context(|| format!("not JSON: {printed}"))
    }

    /// `status --json`.
    pub(crate) fn status(&self) -> Result<Value> {
        self.json(&["status"])
    }

    /// The revision of the policy.
    pub(crate) fn revision(&self) -> Result<u64> {
        self.status()?["revision"].as_u64().context("status has no revision")
    }

    /// What status says of a service.
    pub(crate) fn service(&self, name: &str) -> Result<Value> {
        named(&self.status()?["services"], name)
    }

    /// What status says of an interface.
    pub(crate) fn interface(&self, name: &str) -> Result<Value> {
        named(&self.status()?["interfaces"], name)
    }

    /// How many packets of a service were counted so.
    pub(crate) fn packets(&self, service: &str, judged: &str) -> Result<u64> {
        let service = self.service(service)?;
        let packets = service[judged]["packets"].as_u64();
        packets.with_context(|| format!("no packets {judged} in {service}"))
    }

    /// Everything that a refused change must leave as it was.
    pub(crate) fn policy(&self) -> Result<[Value; 2]> {
        let mut services = self.status()?["services"].take();
        for service in services.as_array_mut().context("status has no services")? {
            for counter in ["admitted", "admitted_open", "denied", "would_deny", "last_minute"] {
                service[counter].take();
            }
        }
        Ok([services, self.json(&["list"])?])
    }
}

/// A command of a namespace, with words between entering that and the program.
pub(crate) fn under(words: &[&str], command: &Command) -> Result<Command> {
    let mut all: Vec<&OsStr> = command.get_args().collect();
    let program = all.iter().position(|word| *word == "--").context("no nsenter")? + 1;
    all.splice(program..program, words.iter().map(OsStr::new));
    let mut changed = Command::new(command.get_program());
    changed.args(all);
    Ok(changed)
}

fn named(list: &Value, name: &str) -> Result<Value> {
    let list = list.as_array().context("status has no such list")?;
    let found = list.iter().find(|one| one["name"] == name);
    found.cloned().with_context(|| format!("no {name} in {list:?}"))
}

impl Drop for Server {
    fn drop(&mut self) {
        // Shown with a test that fails.
        eprintln!("the log of allowlistd:\n{}", self.log());
    }
}
