//! Network namespaces as guards.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::undo::{self, Undo};

pub(super) const DIRECTORY: &str = "/run/netns";
/// Before the process id of whoever made the namespace.
pub(super) const PREFIX: &str = "aw-";

static MADE: AtomicU32 = AtomicU32::new(0);

/// A network namespace with its loopback up, removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    undo: Undo,
}

impl Namespace {
    /// Makes one. The label is for people; the name is unique without it.
    ///
    /// # Errors
    ///
    /// Not root, or the kernel has no network namespaces.
    pub fn new(label: &str) -> Result<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", process::id());
        let namespace = undo::making(|| {
            let output = Command::new("ip")
                .args(["netns", "add", &name])
                .output()
                .context("ip (of iproute2) can't be run")?;
            if !output.status.success() {
                let reason = String::from_utf8_lossy(&output.stderr);
                bail!("no network namespace {name}: {}", reason.trim());
            }
            let undo = Undo::Namespace(name.clone());
            Ok((undo.clone(), Self { name, undo }))
        })?;
        // An address is usable at once, without a second of duplicate address detection.
        namespace.sysctl("net/ipv6/conf/all/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        namespace.ip(&["link set lo up"])?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it, as `nsenter --net=` wants it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// A program that runs in this namespace. Not by `ip netns exec`, which gives it mounts of its
    /// own, where a bpffs mounted later is not to be seen.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs `ip` commands (without the word `ip`) in this namespace, all in one process.
    ///
    /// # Errors
    ///
    /// One of them fails; those after it were not tried.
    pub fn ip(&self, commands: &[impl AsRef<str>]) -> Result<()> {
        let mut ip = self
            .command("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("ip (of iproute2) can't be run")?;
        let mut stdin = ip.stdin.take().context("ip has no standard input")?;
        for command in commands {
            // One that has ended early says why on its standard error.
            drop(writeln!(stdin, "{}", command.as_ref()));
        }
        drop(stdin);
        let output = ip.wait_with_output()?;
        if !output.status.success() {
            let commands: Vec<_> = commands.iter().map(AsRef::as_ref).collect();
            bail!(
                "ip in {}: {}: {}",
                self.name,
                commands.join("; "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    /// Runs a program in this namespace to its end.
    ///
    /// # Errors
    ///
    /// It can't be run or fails; the error has what it wrote to standard error.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program).args(arguments).output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!("{program} {} in {}: {}", arguments.join(" "), self.name, reason.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes a setting of `/proc/sys`.
    ///
    /// # Errors
    ///
    /// There is no such setting, or the value is not to its liking.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        self.inside(|| fs::write(Path::new("/proc/sys").join(name), value))?
            .with_context(|| format!("{name} of {} can't be {value}", self.name))
    }

    /// Runs the closure on a thread of its own in this namespace. Sockets that it opens stay in
    /// the namespace, wherever they are used.
    ///
    /// # Errors
    ///
    /// The namespace can't be entered.
    ///
    /// # Panics
    ///
    /// With the closure's panic.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = File::open(self.path()).with_context(|| format!("{} is gone", self.name))?;
        let enter = || {
            // SAFETY: setns(2) takes an open descriptor, and changes this new thread only.
            if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                let error = std::io::Error::last_os_error();
                return Err(error).with_context(|| format!("{} can't be entered", self.name));
            }
            Ok(work())
        };
        thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Connects from this namespace.
    ///
    /// # Errors
    ///
    /// As of [`TcpStream::connect_timeout`].
    pub fn connect(&self, to: SocketAddr, within: Duration) -> Result<TcpStream> {
        Ok(self.inside(|| TcpStream::connect_timeout(&to, within))??)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        undo::undo(&self.undo);
    }
}
