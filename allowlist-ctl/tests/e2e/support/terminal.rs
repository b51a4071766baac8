//! A terminal of 80 columns and 24 lines, as one program has it: what is on its screen, and keys for it.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZeroU16,
    os::{
        fd::AsRawFd as _,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, Command},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};
use xtask::lab::until;

const ROWS: NonZeroU16 = NonZeroU16::new(24).expect("not zero");
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).expect("not zero");

/// A program on a terminal of its own; killed where it still runs at the end.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    /// Held open, so that what the program leaves behind can be looked at.
    far_end: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    /// Starts a program on it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let size =
            Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).context("no pseudo terminal")?;
        let (near, far) = (File::from(pty.master), File::from(pty.slave));
        command.stdin(far.try_clone()?).stdout(far.try_clone()?).stderr(far.try_clone()?);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let number = far.as_raw_fd();
        // SAFETY: between fork and exec only setsid(2) and ioctl(2) are called, which may be; both take plain numbers,
        // and the descriptor is open as long as `far` is.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::setsid()?;
                // SAFETY: as above.
                match libc::ioctl(number, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().context("it can't be started")?;
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut output, drawn) = (near.try_clone()?, Arc::clone(&screen));
        thread::spawn(move || {
            let mut piece = [0; 1 << 14];
            // Ends with an error once nobody has the other end.
            while let Ok(count @ 1..) = output.read(&mut piece) {
                drawn.lock().unwrap_or_else(PoisonError::into_inner).process(&piece[..count]);
            }
        });
        Ok(Self { child, keys: near, far_end: far, screen })
    }

    fn parser(&self) -> MutexGuard<'_, vt100::Parser> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.parser().screen().contents()
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes()).context("nobody takes keys")
    }

    /// Waits until the screen is so.
    pub(crate) fn shows(
        &self,
        what: &str,
        within: Duration,
        is_so: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let so = until(what, within, || Some(self.text()).filter(|text| is_so(text)));
        so.map_err(|error| anyhow!("{error}; the screen:\n{}", self.text()))
    }

    /// The program's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program's end: its exit code, or the signal that ended it, below zero.
    pub(crate) fn ends(&mut self, within: Duration) -> Result<i32> {
        let status = until("the end", within, || self.child.try_wait().transpose());
        let status = status.map_err(|error| anyhow!("{error}; the screen:\n{}", self.text()))??;
        Ok(status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)))
    }

    /// Whether the terminal is as it was: lines are edited and keys shown, the cursor is there, and so is what was on
    /// the screen before.
    pub(crate) fn is_restored(&self) -> Result<bool> {
        let flags = tcgetattr(&self.far_end)?.local_flags;
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        let parser = self.parser();
        let screen = parser.screen();
        Ok(flags.contains(cooked) && !screen.alternate_screen() && !screen.hide_cursor())
    }

    /// Waits for an end with this exit code, after which the terminal is as it was.
    pub(crate) fn ends_well(&mut self, code: i32, within: Duration) -> Result<()> {
        let ended = self.ends(within)?;
        ensure!(ended == code, "it ended with {ended}; the screen:\n{}", self.text());
        // What it wrote last may not have been read yet.
        let restored =
            until("a terminal as it was", within, || self.is_restored().ok()?.then_some(()));
        restored.map_err(|error| anyhow!("{error}; the screen:\n{}", self.text()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
