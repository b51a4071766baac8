//! A terminal's second screen, which is left as the first one was, however the program ends.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{SigSet, Signal, kill, raise},
    unistd::Pid,
};
use terminal_size::{Height, terminal_size};

/// The second screen, without a cursor, and with long lines cut off instead of broken.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Lines of a terminal that does not say how many it has.
const LINES: usize = 24;

/// The screen; dropped, it is left.
pub(super) struct Screen(Arc<State>);

#[derive(Default)]
struct State {
    /// Held while something is drawn or the screen is left, so that neither is mixed with the other. Says whether it is to
    /// be drawn anew at once.
    is_stale: Mutex<bool>,
    news: Condvar,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Screen {
    /// Goes to it, and has a thread leave it when a signal ends or stops the program.
    ///
    /// # Errors
    /// What the terminal or the system answers.
    pub(super) fn open(out: &mut dyn Write) -> io::Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGTSTP,
            Signal::SIGWINCH,
        ] {
            signals.add(signal);
        }
        // Before the thread, which has it from this one, and waits for them instead.
        signals.thread_block()?;
        let state = Arc::new(State::default());
        let heard = Arc::clone(&state);
        thread::Builder::new().name("signals".into()).spawn(move || heed(signals, &heard))?;
        out.write_all(ENTER)?;
        out.flush()?;
        Ok(Self(state))
    }

    /// Draws a text from the top, as much of it as there is room for.
    ///
    /// # Errors
    /// What the terminal answers.
    pub(super) fn draw(&self, text: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let lines = terminal_size().map_or(LINES, |(_, Height(lines))| usize::from(lines));
        let mut is_stale = self.0.lock();
        *is_stale = false;
        out.write_all(&picture(text, lines))?;
        out.flush()
    }

    /// Waits so long, or until the screen is to be drawn anew.
    pub(super) fn wait(&self, pause: Duration) {
        let is_stale = self.0.lock();
        drop(self.0.news.wait_timeout_while(is_stale, pause, |is_stale| !*is_stale));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Leaves the screen by a call of its own: whoever writes to it may be in the midst of that.
fn leave() {
    // Nobody is left to tell where it fails.
    let _ = nix::unistd::write(io::stdout(), LEAVE);
}

fn heed(signals: SigSet, state: &State) {
    while let Ok(signal) = signals.wait() {
        let mut is_stale = state.lock();
        match signal {
            Signal::SIGWINCH => {}
            Signal::SIGTSTP => {
                leave();
                // Until somebody continues it.
                let _ = kill(Pid::this(), Signal::SIGSTOP);
                let _ = nix::unistd::write(io::stdout(), ENTER);
            }
            _ => {
                leave();
                // It ends the program as it would have done without all this.
                let mut only = SigSet::empty();
                only.add(signal);
                let _ = only.thread_unblock();
                let _ = raise(signal);
            }
        }
        *is_stale = true;
        state.news.notify_all();
    }
}

/// What draws a text over what was there before.
fn picture(text: &[u8], room: usize) -> Vec<u8> {
    let lines: Vec<&[u8]> =
        text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n').collect();
    let more =
        format!("({} more lines: allowlist-ctl status)", (lines.len() + 1).saturating_sub(room));
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    let mut picture = b"\x1b[H".to_vec();
    for (index, line) in lines.iter().take(shown).enumerate() {
        if index > 0 {
            picture.extend_from_slice(b"\r\n");
        }
        picture.extend_from_slice(line);
        // Of what stood there before, colours included.
        picture.extend_from_slice(b"\x1b[0m\x1b[K");
    }
    if shown < lines.len() {
        picture.extend_from_slice(if shown > 0 { b"\r\n" } else { b"" });
        picture.extend_from_slice(more.as_bytes());
        picture.extend_from_slice(b"\x1b[K");
    }
    picture.extend_from_slice(b"\x1b[J");
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_drawn_as_far_as_there_is_room() {
        const END: &str = "\x1b[0m\x1b[K";
        let table = [
            ("a\nb\n", 3, format!("\x1b[Ha{END}\r\nb{END}\x1b[J")),
            ("a\nb\n", 2, format!("\x1b[Ha{END}\r\nb{END}\x1b[J")),
            (
                "a\nb\nc\n",
                2,
                format!("\x1b[Ha{END}\r\n(2 more lines: allowlist-ctl status)\x1b[K\x1b[J"),
            ),
            ("a\nb\n", 1, "\x1b[H(2 more lines: allowlist-ctl status)\x1b[K\x1b[J".to_owned()),
            ("", 5, format!("\x1b[H{END}\x1b[J")),
        ];
        for (text, room, expected) in table {
            let drawn = String::from_utf8(picture(text.as_bytes(), room)).unwrap();
            assert_eq!(drawn, expected, "{text:?} in {room}");
        }
    }
}
