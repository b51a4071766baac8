//! A server where everything is at its usual place, and clients with the addresses that the guide's examples have.
//!
//! | who | addresses |
//! | --- | --- |
//! | `server.example` | 192.0.2.1, `2001:db8::1` |
//! | alice | 203.0.113.7, `2001:db8:42::7` |
//! | bob | 198.51.100.9, `2001:db8:99::9` |
//!
//! What is typed there sees the host's files below an overlay, and has processes, mounts and BPF pins of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::lab::{Host, INTERFACE, Namespace, Process, until};

use super::blocks::{Block, blocks, comparable, page};
use crate::support::{ALLOWLISTD, CTL, Outcome, PATIENCE, Server};

/// How long a block may take.
const LIMIT: &str = "60";
/// Where a machine has the daemon's configuration.
const CONFIG: &str = "/etc/allowlist/allowlistd.toml";

const SERVER: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const ALICE: [&str; 2] = ["203.0.113.7", "2001:db8:42::7"];
const BOB: [&str; 2] = ["198.51.100.9", "2001:db8:99::9"];

/// The fields are dropped in this order.
pub(crate) struct Machine {
    /// Has the first process there as its child.
    _unshare: Process,
    pid: u32,
    pub(crate) server: Server,
    /// What the last block said.
    said: String,
}

impl Machine {
    /// A machine where nothing is installed but the programs.
    pub(crate) fn new() -> Result<Self> {
        let server = Server::prepare(&[])?;
        addresses(&server.network.server, SERVER, &[ALICE, BOB])?;
        addresses(server.alice(), ALICE, &[SERVER])?;
        addresses(server.bob(), BOB, &[SERVER])?;
        for directory in ["upper", "work", "root"] {
            fs::create_dir(server.path(directory))?;
        }
        let script = format!(
            r"
            set -eu
            cd {scratch}
            mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
            mount -t proc proc root/proc
            mount -t sysfs sysfs root/sys
            mount --bind {bpffs} root/sys/fs/bpf
            mount --rbind /dev root/dev
            mount -t tmpfs tmpfs root/run
            mount -t tmpfs tmpfs root/tmp
            # The project may lie below /tmp, which is another one there.
            touch root/usr/sbin/allowlistd root/usr/bin/allowlist-ctl
            mount --bind {ALLOWLISTD} root/usr/sbin/allowlistd
            mount --bind {CTL} root/usr/bin/allowlist-ctl
            mkdir -p root/etc/allowlist root/var/lib/allowlist
            printf '127.0.0.1 localhost\n192.0.2.1 server.example\n' > root/etc/hosts
            # Ready is who has its root there, by which all files are reached. Bash waits for whatever ends there.
            exec chroot root bash -c 'touch /ready; while :; do sleep 60 & wait; done'
            ",
            scratch = server.directory().display(),
            bpffs = server.bpffs().display(),
        );
        let mut command = server.network.server.namespace.command("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]);
        command.args(["bash", "-c", &script]);
        let unshare = Process::spawn("machine", &mut command, server.directory())?;
        let ready = server.path("upper/ready");
        until("a machine", PATIENCE, || ready.exists().then_some(()))
            .with_context(|| unshare.log())?;
        let pid = child(unshare.pid())?;
        Ok(Self { _unshare: unshare, pid, server, said: String::new() })
    }

    /// A machine whose daemon filters `eth0`, as after "Start in five minutes".
    pub(crate) fn installed() -> Result<Self> {
        let mut machine = Self::new()?;
        machine.write(CONFIG, "[[interface]]\nname = \"eth0\"\n")?;
        machine.start()?;
        Ok(machine)
    }

    /// Starts the daemon, with what its configuration says.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.typed("server", "allowlistd >/var/log/allowlistd.log 2>&1 &")?;
        until("the daemon", 3 * PATIENCE, || self.typed("server", "allowlist-ctl status").ok())
            .with_context(|| {
                self.typed("server", "cat /var/log/allowlistd.log").unwrap_or_default()
            })
            .map(drop)
    }

    /// Writes a file there, and the directories that it is in; a name alone is where operators type.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.inside(name);
        fs::create_dir_all(path.parent().context("a file in no directory")?)?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    /// Does what the page says, block after block.
    pub(crate) fn follow(&mut self, name: &str) -> Result<()> {
        let page = page(name)?;
        for block in blocks(&page) {
            self.block(&block).with_context(|| format!("docs/{name}, in:\n{}", block.text))?;
        }
        Ok(())
    }

    fn block(&mut self, block: &Block<'_>) -> Result<()> {
        match block.language {
            "sh" if block.file().is_some() => self.write_block(block),
            "sh" if block.is("read") || block.is("package") => read(block.text),
            "sh" => {
                let who = ["alice", "bob"].into_iter().find(|who| block.is(who));
                self.said = self.type_block(who.unwrap_or("server"), block.text, block.exit()?)?;
                Ok(())
            }
            "text" if block.is("example") => Ok(()),
            "text" if block.file().is_none() => {
                let said: Vec<_> = self.said.lines().map(comparable).collect();
                for line in block.text.lines().map(comparable) {
                    let is_there = line == "..." || said.contains(&line);
                    ensure!(is_there, "no {line:?} in:\n{}", self.said);
                }
                Ok(())
            }
            "toml" if block.file().is_none() => {
                self.write("/tmp/allowlistd.toml", block.text)?;
                self.typed("server", "allowlistd --check-config --config /tmp/allowlistd.toml")
                    .map(drop)
            }
            _ => self.write_block(block),
        }
    }

    /// Writes the file that a block is.
    fn write_block(&self, block: &Block<'_>) -> Result<()> {
        let file = block.file().context("a block that is nothing to do with")?;
        self.write(file, block.text)?;
        if file == CONFIG {
            self.typed("server", "allowlistd --check-config")?;
        }
        Ok(())
    }

    /// Types this on the server or a client, where it has to succeed; returns what it said.
    pub(crate) fn typed(&self, who: &str, text: &str) -> Result<String> {
        self.type_block(who, text, None)
    }

    fn type_block(&self, who: &str, text: &str, exit: Option<i32>) -> Result<String> {
        let failed = self.inside("/tmp/failed");
        drop(fs::remove_file(&failed));
        self.write(
            "/tmp/typed",
            &format!("trap 'echo \"$? $BASH_COMMAND\" >>/tmp/failed' ERR\n{text}"),
        )?;
        let said = self.server.path("said");
        // Not through pipes: what goes on in the background holds them open, and writes behind what is there.
        fs::write(&said, "")?;
        let output = File::options().append(true).open(&said)?;
        let status = self
            .command(who)
            .args(["timeout", LIMIT, "bash", "/tmp/typed"])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()?;
        let said = fs::read_to_string(said)?;
        let mut failures = fs::read_to_string(failed).unwrap_or_default();
        if failures.is_empty() && !status.success() {
            failures = format!("{} all", status.code().context("no exit code")?);
        }
        let is_check = |line: &&str| line.starts_with("10 allowlist-ctl check ");
        let failures: Vec<_> = failures.lines().filter(|line| !is_check(line)).collect();
        match (failures.as_slice(), exit) {
            ([], None) => Ok(said),
            ([failure], Some(code)) if failure.starts_with(&format!("{code} ")) => Ok(said),
            (failures, _) => bail!("it should end with {exit:?}: {failures:?}\n{said}"),
        }
    }

    /// A program on the server or a client.
    fn command(&self, who: &str) -> Command {
        let namespace = self.namespace(who);
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.pid)).args(["--mount", "--pid", "--root"]);
        command.arg(format!("--net={}", namespace.path().display()));
        command.args(["--wdns=/root", "--", "env", "--unset=ALLOWLIST_SOCKET", "HOME=/root"]);
        command.args([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
        ]);
        command
    }

    fn namespace(&self, who: &str) -> &Namespace {
        let host = match who {
            "alice" => self.server.alice(),
            "bob" => self.server.bob(),
            _ => &self.server.network.server,
        };
        &host.namespace
    }

    /// A file there, seen from outside; a name alone is in root's home.
    fn inside(&self, name: &str) -> PathBuf {
        let path = Path::new("/root").join(name);
        let root = Path::new("/proc").join(self.pid.to_string()).join("root");
        root.join(path.strip_prefix("/").unwrap_or(&path))
    }
}

/// Gives a host addresses, IPv4 and IPv6, and ways from them to those of others.
fn addresses(host: &Host, own: [&str; 2], others: &[[&str; 2]]) -> Result<()> {
    let [ipv4, ipv6] = own;
    let mut commands = vec![
        format!("address add {ipv4} dev {INTERFACE}"),
        // Usable at once.
        format!("address add {ipv6} dev {INTERFACE} nodad"),
    ];
    for other in others {
        let ways = other.iter().zip(own);
        commands.extend(ways.map(|(to, own)| format!("route add {to} dev {INTERFACE} src {own}")));
    }
    host.namespace.ip(&commands)
}

/// The process that this one waits for.
fn child(pid: u32) -> Result<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    children.trim().parse().with_context(|| format!("the children of {pid}: {children:?}"))
}

/// What is for another machine has to be shell, and its commands have to be ones.
fn read(text: &str) -> Result<()> {
    let parsed: Outcome = Command::new("bash").args(["-n", "-c", text]).output()?.into();
    ensure!(parsed.code == Some(0), "{}", parsed.stderr);
    for line in text.lines().filter(|line| line.starts_with("allowlist-ctl ")) {
        let words = words(line)?;
        allowlist::cli::command().try_get_matches_from(&words)?;
    }
    Ok(())
}

/// The words of a command before what the shell does with what it prints.
fn words(line: &str) -> Result<Vec<String>> {
    let ends = [" | ", " > ", " >> ", " && ", " || ", " # ", " < "];
    let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    let script = format!(r"printf '%s\0' {}", &line[..end]);
    let output = Command::new("bash").args(["-c", &script]).output()?;
    let words = String::from_utf8(output.stdout)?;
    Ok(words.split_terminator('\0').map(ToOwned::to_owned).collect())
}
