//! What the demo plays on: the network, redis, the daemon, and hands to type commands.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result, bail};
use xtask::lab::{Bpffs, Host, INTERFACE, Network, Process, Scratch, redis_server};

use super::say::Say;

pub(super) const REDIS: u16 = 6379;

/// The fields are dropped in this order: who uses something goes before it.
pub(super) struct Stage {
    pub(super) say: Say,
    daemon: Process,
    _redis: Process,
    pub(super) network: Network,
    bpffs: Bpffs,
    scratch: Scratch,
    binaries: PathBuf,
}

impl Stage {
    pub(super) fn new(binaries: &Path, say: Say) -> Result<Self> {
        let scratch = Scratch::new()?;
        let bpffs = Bpffs::mount(&scratch.path().join("bpf"))?;
        let network = Network::new(&["alice", "bob"])?;
        let redis = redis_server(&network.server, REDIS, scratch.path())?;

        for (name, host) in [
            ("redis-server runs at", &network.server),
            ("alice is", &network.clients[0]),
            ("bob is", &network.clients[1]),
        ] {
            say.note(&format!("{name} {} and {}", host.ipv4, host.ipv6));
        }

        let mut command = network.server.namespace.command(binaries.join("allowlistd"));
        command.args(["--interface", INTERFACE]);
        let shown = daemon_arguments(&mut command, scratch.path(), bpffs.path());
        say.command("server", &format!("allowlistd --interface {INTERFACE} {shown} &"));
        let mut daemon = Process::spawn("allowlistd", &mut command, scratch.path())?;
        let socket = scratch.path().join("socket");
        daemon.ready_at_socket(&socket)?;
        say.command("server", &format!("export ALLOWLIST_SOCKET={}", socket.display()));
        let binaries = binaries.to_owned();
        Ok(Self { say, daemon, _redis: redis, network, bpffs, scratch, binaries })
    }

    pub(super) fn alice(&self) -> &Host {
        &self.network.clients[0]
    }

    pub(super) fn bob(&self) -> &Host {
        &self.network.clients[1]
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.scratch.path().join("socket")
    }

    /// Runs `allowlist-ctl` on the server and shows it with its output.
    pub(super) fn ctl(&self, arguments: &[&str]) -> Result<Output> {
        let quoted: Vec<_> = arguments
            .iter()
            .map(|one| if one.contains(' ') { format!("\"{one}\"") } else { (*one).to_owned() })
            .collect();
        self.say.command("server", &format!("allowlist-ctl {}", quoted.join(" ")));
        let output = self.ctl_unseen(arguments)?;
        self.say.output(&output.stdout);
        self.say.output(&output.stderr);
        Ok(output)
    }

    /// The same without showing it.
    pub(super) fn ctl_unseen(&self, arguments: &[&str]) -> Result<Output> {
        self.network
            .server
            .namespace
            .command(self.binaries.join("allowlist-ctl"))
            .args(arguments)
            .env("ALLOWLIST_SOCKET", self.socket())
            .output()
            .context("allowlist-ctl can't be run")
    }

    /// Runs `allowlist-ctl`, which has to succeed, and returns what it printed.
    pub(super) fn done(&self, arguments: &[&str]) -> Result<String> {
        let output = self.ctl(arguments)?;
        if !output.status.success() {
            bail!(
                "allowlist-ctl {} failed ({}); the daemon's log:\n{}",
                arguments.join(" "),
                output.status,
                self.daemon.log()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Takes it all away.
    pub(super) fn end(self) -> Say {
        self.say
    }

    /// Takes the filter off for good, as an operator would.
    pub(super) fn detach(&self) -> Result<()> {
        let mut command = self.network.server.namespace.command(self.binaries.join("allowlistd"));
        command.arg("--detach");
        let shown = daemon_arguments(&mut command, self.scratch.path(), self.bpffs.path());
        self.say.command("server", &format!("allowlistd --detach {shown}"));
        let output = command.output().context("allowlistd can't be run")?;
        self.say.output(&output.stdout);
        self.say.output(&output.stderr);
        if !output.status.success() {
            bail!("allowlistd --detach failed; the daemon's log:\n{}", self.daemon.log());
        }
        Ok(())
    }
}

/// Adds the arguments that keep this daemon apart from one of the machine's own; returns them as
/// they are shown.
fn daemon_arguments(command: &mut Command, scratch: &Path, bpffs: &Path) -> String {
    let arguments = [
        ("--state-dir", scratch.join("state")),
        ("--socket", scratch.join("socket")),
        ("--bpffs", bpffs.to_owned()),
    ];
    let mut shown = Vec::new();
    for (flag, value) in arguments {
        shown.push(format!("{flag} {}", value.display()));
        command.arg(flag).arg(value);
    }
    shown.join(" ")
}
