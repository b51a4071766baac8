//! Programs that run beside the test, as guards.

use std::{
    fs::{self, OpenOptions},
    net::{SocketAddr, TcpStream},
    os::unix::{
        net::UnixStream,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};

use super::{
    namespace::Namespace,
    undo::{self, Undo},
    wait,
};

/// A running program, ended (SIGTERM, then SIGKILL) and waited for when dropped. What it writes is
/// in a file of its own.
#[derive(Debug)]
pub struct Process {
    label: String,
    child: Child,
    log: PathBuf,
    undo: Undo,
}

impl Process {
    /// Starts it; standard output and error go to `DIRECTORY/LABEL.log`, after what is there.
    ///
    /// # Errors
    ///
    /// It can't be started, or its log can't be written.
    pub fn spawn(label: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{label}.log"));
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("{} can't be written", log.display()))?;
        let errors = output.try_clone()?;
        undo::making(|| {
            let child = command
                .stdin(Stdio::null())
                .stdout(output)
                .stderr(errors)
                // The terminal's Ctrl-C is for whoever holds the guard, who ends all in order.
                .process_group(0)
                .spawn()
                .with_context(|| format!("{label} can't be started"))?;
            let pid = child.id();
            // Zero is nobody's start: one that has ended already is left alone.
            let undo = Undo::Process { pid, started: undo::start_time(pid).unwrap_or(0) };
            Ok((undo.clone(), Self { label: label.to_owned(), child, log, undo }))
        })
    }

    /// Its process id. With [`Namespace::command`] that of the program, not of `nsenter`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // Not reaped yet, or else its number could be somebody else's by now.
        if undo::start_time(self.pid()).is_some() {
            undo::send_signal(self.pid(), signal);
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// It still runs after that time.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        wait::until("the end", within, || self.child.try_wait().transpose())
            .map_err(|_| {
                anyhow!("{} still runs after {within:?}; its log:\n{}", self.label, self.log())
            })?
            .with_context(|| format!("{} can't be waited for", self.label))
    }

    /// Ends it with SIGTERM and waits.
    ///
    /// # Errors
    ///
    /// It still runs after ten seconds.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM);
        self.wait(Duration::from_secs(10))
    }

    /// Ends it with SIGKILL, as a crash would.
    ///
    /// # Errors
    ///
    /// It still runs after ten seconds.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(libc::SIGKILL);
        self.wait(Duration::from_secs(10))
    }

    /// Waits until this program has got so far.
    ///
    /// # Errors
    ///
    /// It ends before, or takes longer. The error has its log.
    pub fn ready<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let label = self.label.clone();
        let answer = wait::until(&format!("{what} of {label}"), within, || {
            // Asked first: one that has done its work may end right after.
            if let Some(answer) = condition() {
                return Some(Ok(answer));
            }
            match self.child.try_wait() {
                Ok(Some(status)) => Some(Err(ended(status))),
                _ => None,
            }
        });
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(how)) => bail!("{label} {how} before {what}; its log:\n{}", self.log()),
            Err(error) => bail!("{error}; the log of {label}:\n{}", self.log()),
        }
    }

    /// Waits until a connection from its own namespace is accepted.
    ///
    /// # Errors
    ///
    /// As of [`Process::ready`].
    pub fn ready_at(&mut self, namespace: &Namespace, address: SocketAddr) -> Result<()> {
        let second = Duration::from_secs(1);
        self.ready(&format!("answer at {address}"), Duration::from_secs(10), || {
            namespace.inside(|| TcpStream::connect_timeout(&address, second)).ok()?.ok().map(drop)
        })
    }

    /// Waits until a Unix socket accepts.
    ///
    /// # Errors
    ///
    /// As of [`Process::ready`].
    pub fn ready_at_socket(&mut self, socket: &Path) -> Result<()> {
        self.ready(&format!("answer at {}", socket.display()), Duration::from_secs(10), || {
            UnixStream::connect(socket).ok().map(drop)
        })
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is kept beyond this process has no end to wait for.
        if undo::undo(&self.undo) {
            drop(self.child.wait());
        }
    }
}
