//! How to take away what the lab has made: the list of all of it, and each thing's end.
//!
//! The guards end their things themselves. The list is for the ways out on which nothing is
//! dropped: a signal, and `demo --keep`, which leaves a later process to end them.

use std::{
    fmt, fs,
    io::{PipeReader, Read as _},
    os::fd::{AsRawFd as _, IntoRawFd as _},
    path::PathBuf,
    process::{self, Command, Stdio},
    str::FromStr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::wait;

/// How one thing is taken away. As text it is one line, which [`FromStr`] reads again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// End a process.
    Process {
        /// Its id.
        pid: u32,
        /// When it started, in clock ticks since boot: a later process of the same id is spared.
        started: u64,
    },
    /// Remove a network namespace.
    Namespace(String),
    /// Unmount.
    Mount(PathBuf),
    /// Remove a directory with all that is in it.
    Directory(PathBuf),
}

impl Undo {
    /// Takes it away. What is gone already is no failure, and there is nobody to tell of others.
    pub fn perform(&self) {
        match self {
            Self::Process { pid, started } => end_process(*pid, *started),
            Self::Namespace(name) => quietly("ip", &["netns", "delete", name]),
            // Lazily: a program may still have a map open.
            Self::Mount(path) => quietly("umount", &["--lazy", &path.to_string_lossy()]),
            Self::Directory(path) => drop(fs::remove_dir_all(path)),
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, started } => write!(f, "process {pid}@{started}"),
            Self::Namespace(name) => write!(f, "namespace {name}"),
            Self::Mount(path) => write!(f, "mount {}", path.display()),
            Self::Directory(path) => write!(f, "directory {}", path.display()),
        }
    }
}

impl FromStr for Undo {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let (kind, what) = line.split_once(' ').context("a line is KIND WHAT")?;
        Ok(match kind {
            "process" => {
                let (pid, started) = what.split_once('@').context("a process is PID@START")?;
                Self::Process { pid: pid.parse()?, started: started.parse()? }
            }
            "namespace" => Self::Namespace(what.to_owned()),
            "mount" => Self::Mount(what.into()),
            "directory" => Self::Directory(what.into()),
            _ => bail!("{kind} is not a kind"),
        })
    }
}

static LIVE: Mutex<Vec<Undo>> = Mutex::new(Vec::new());

fn live() -> MutexGuard<'static, Vec<Undo>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a thing and notes how to undo it. A signal in between waits, so that nothing is forgotten.
pub(super) fn making<T>(make: impl FnOnce() -> Result<(Undo, T)>) -> Result<T> {
    let mut live = live();
    let (undo, thing) = make()?;
    live.push(undo);
    Ok(thing)
}

/// Undoes one thing. Says false when it is undone or [kept](keep) already.
pub(super) fn undo(undo: &Undo) -> bool {
    let listed = {
        let mut live = live();
        live.iter().position(|listed| listed == undo).map(|position| live.remove(position))
    };
    if let Some(undo) = &listed {
        undo.perform();
    }
    listed.is_some()
}

/// Leaves everything as it is when this process ends. Who keeps the list has to perform it, the
/// last made first.
#[must_use]
pub fn keep() -> Vec<Undo> {
    std::mem::take(&mut *live())
}

static SIGNAL_PIPE: AtomicI32 = AtomicI32::new(-1);

/// From now on SIGINT, SIGTERM and SIGHUP take away everything that the lab has made, and then end
/// this process.
///
/// # Errors
///
/// The system has no file descriptors or signal handlers left.
pub fn clean_up_on_signals() -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    let previous = SIGNAL_PIPE.swap(writer.as_raw_fd(), Ordering::SeqCst);
    if previous != -1 {
        SIGNAL_PIPE.store(previous, Ordering::SeqCst);
        return Ok(());
    }
    // The handler needs it as long as the process lives.
    let _: i32 = writer.into_raw_fd();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let handler = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler does nothing but write(2), which is async-signal-safe.
        if unsafe { libc::signal(signal, handler) } == libc::SIG_ERR {
            return Err(std::io::Error::last_os_error()).context("no handler for signals");
        }
    }
    thread::spawn(move || end_on_signal(reader));
    Ok(())
}

extern "C" fn on_signal(signal: libc::c_int) {
    let byte = u8::try_from(signal).unwrap_or(0);
    // SAFETY: one byte of a live variable is written, to a descriptor that is never closed.
    let _: isize =
        unsafe { libc::write(SIGNAL_PIPE.load(Ordering::SeqCst), (&raw const byte).cast(), 1) };
}

fn end_on_signal(mut reader: PipeReader) {
    let mut signal = [0];
    if reader.read_exact(&mut signal).is_err() {
        return;
    }
    // Held to the end, so that nothing more is made.
    let mut live = live();
    for undo in live.drain(..).rev() {
        undo.perform();
    }
    process::exit(128 + i32::from(signal[0]));
}

fn quietly(program: &str, arguments: &[&str]) {
    drop(
        Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status(),
    );
}

/// SIGTERM, then SIGKILL.
fn end_process(pid: u32, started: u64) {
    for (signal, patience) in [(libc::SIGTERM, 5), (libc::SIGKILL, 5)] {
        if start_time(pid) != Some(started) {
            return;
        }
        send_signal(pid, signal);
        let gone = || (start_time(pid) != Some(started)).then_some(());
        if wait::until("its end", Duration::from_secs(patience), gone).is_ok() {
            return;
        }
    }
}

pub(super) fn send_signal(pid: u32, signal: i32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: kill(2) takes plain numbers; the caller knows the process by its start time or
        // has not reaped it yet.
        let _: i32 = unsafe { libc::kill(pid, signal) };
    }
}

/// When the process started, in clock ticks since boot; `None` when it has ended.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_undo_survives_being_written_and_read() -> Result<()> {
        for undo in [
            Undo::Process { pid: 7, started: 1234 },
            Undo::Namespace("aw-7-0-server".into()),
            Undo::Mount("/tmp/with a space/bpf".into()),
            Undo::Directory("/tmp/with a space".into()),
        ] {
            assert_eq!(undo.to_string().parse::<Undo>()?, undo);
        }
        Ok(())
    }

    #[test]
    fn a_process_of_another_start_time_is_spared() {
        let pid = process::id();
        let started = start_time(pid).unwrap();
        Undo::Process { pid, started: started + 1 }.perform();
    }
}
