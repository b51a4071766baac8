//! What is measured on: a server with the real daemon, a client, and the daemon's directories.

use std::{
    fmt, fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use xtask::lab::{Bpffs, Client, Host, INTERFACE, Network, Process, Scratch};

use super::bpf;

/// Where the daemon keeps its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the temporary directory, where a change waits for the disk.
    Disk,
    /// On a tmpfs, where there is nothing to wait for.
    Memory,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Memory => "tmpfs",
        })
    }
}

/// What a daemon looks sources up in, as its configuration has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// The kernel's tries.
    Lpm,
    /// The project's own ones in arrays.
    Flat,
}

impl Engine {
    pub(super) const BOTH: [Self; 2] = [Self::Lpm, Self::Flat];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lpm => "lpm",
            Self::Flat => "flat",
        }
    }

    /// The configuration of a daemon that uses this one, whatever it holds.
    fn configuration(self) -> String {
        format!("engine = \"{}\"\n", self.name())
    }
}

/// A server with its daemon, and a client. The fields are dropped in this order.
pub(super) struct Bed {
    pub(super) daemon: Process,
    network: Network,
    _memory: Option<Tmpfs>,
    _bpffs: Bpffs,
    scratch: Scratch,
    binaries: PathBuf,
}

impl Bed {
    /// Starts a daemon without services, which chooses its engine by itself.
    pub(super) fn new(binaries: &Path, place: Place) -> Result<Self> {
        Self::start(binaries, place, "")
    }

    /// Starts one that uses this engine.
    pub(super) fn with(binaries: &Path, place: Place, engine: Engine) -> Result<Self> {
        Self::start(binaries, place, &engine.configuration())
            .with_context(|| format!("no daemon with the engine {}", engine.name()))
    }

    fn start(binaries: &Path, place: Place, configuration: &str) -> Result<Self> {
        let scratch = Scratch::new()?;
        let bpffs = Bpffs::mount(&scratch.path().join("bpf"))?;
        let memory = match place {
            Place::Memory => Some(Tmpfs::mount(&scratch.path().join("memory"))?),
            Place::Disk => None,
        };
        let state = memory.as_ref().map_or(scratch.path(), |memory| &memory.path).join("state");
        let network = Network::new(&["client"])?;
        let mut command = network.server.namespace.command(binaries.join("allowlistd"));
        let file = scratch.path().join("allowlistd.toml");
        fs::write(&file, configuration)
            .with_context(|| format!("{} can't be written", file.display()))?;
        command.arg("--config").arg(file);
        command.args(["--interface", INTERFACE]).arg("--state-dir").arg(state);
        command.arg("--bpffs").arg(bpffs.path());
        command.arg("--socket").arg(scratch.path().join("socket"));
        let mut daemon = Process::spawn("allowlistd", &mut command, scratch.path())?;
        daemon.ready_at_socket(&scratch.path().join("socket"))?;
        let binaries = binaries.to_owned();
        Ok(Self { daemon, network, _memory: memory, _bpffs: bpffs, scratch, binaries })
    }

    /// The host that the daemon guards.
    pub(super) fn server(&self) -> &Host {
        &self.network.server
    }

    /// A host beside it.
    pub(super) fn client(&self) -> &Host {
        &self.network.clients[0]
    }

    /// A directory for files of the measurement.
    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// A new connection to the daemon.
    pub(super) fn connect(&self) -> Result<Client> {
        Client::connect(&self.scratch.path().join("socket"))
    }

    /// The command line, started as an operator does.
    pub(super) fn ctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join("allowlist-ctl"));
        command.args(arguments).env("ALLOWLIST_SOCKET", self.scratch.path().join("socket"));
        command
    }

    /// What `GET /v1/status` answers.
    pub(super) fn status(&self) -> Result<Value> {
        Ok(self.connect()?.request("GET", "/v1/status", "application/json", b"")?.body)
    }

    /// The program that the daemon has on the server's interface.
    pub(super) fn program(&self) -> Result<OwnedFd> {
        let status = self.status()?;
        let id = status["interfaces"][0]["program_id"].as_u64().context("no program")?;
        bpf::program_by_id(u32::try_from(id)?)
    }

    /// Protects a UDP port.
    pub(super) fn protect(&self, service: &str, port: u16) -> Result<()> {
        let settings = json!({ "ports": [format!("udp/{port}")] });
        self.connect()?.json("PUT", &format!("/v1/services/{service}"), &settings)?;
        Ok(())
    }

    /// Makes the entries of a service exactly these lines.
    pub(super) fn replace(&self, service: &str, lines: &[u8]) -> Result<()> {
        let path = format!("/v1/lists/{service}?yes=true");
        self.connect()?.request("PUT", &path, "text/plain", lines)?;
        Ok(())
    }
}

/// A file system in memory, unmounted when dropped.
///
/// Where the process is interrupted, the next run's sweep unmounts it: it lies in a [`Scratch`].
struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    fn mount(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "allowlist-bench"])
            .arg(directory)
            .output()
            .context("mount can't be run")?;
        if !output.status.success() {
            bail!("no tmpfs: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self { path: directory.to_owned() })
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: the daemon has ended, but somebody may look around in it.
        drop(Command::new("umount").arg("--lazy").arg(&self.path).status());
    }
}
