//! The terminal, taken over and given back on every way out.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::AsFd as _,
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::crossterm::{
    cursor::{Hide, Show},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, backend::CrosstermBackend};

use super::{
    state::State,
    view::{Theme, draw},
};

static IS_OPEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, as long as it is taken over.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<File>>>,
    _guard: Guard,
}

/// Gives it back.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

impl Screen {
    /// Takes it over. What panics, on whichever thread, gives it back before anything is told of that.
    ///
    /// # Errors
    /// What the terminal answers; it is given back.
    pub(super) fn open() -> io::Result<Self> {
        HOOK.call_once(|| {
            let tell = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                restore();
                tell(panic);
            }));
        });
        let mut output = output()?;
        IS_OPEN.store(true, Ordering::SeqCst);
        let guard = Guard;
        enable_raw_mode()?;
        execute!(output, EnterAlternateScreen, Hide)?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, output));
        Ok(Self { terminal: Terminal::new(backend)?, _guard: guard })
    }

    /// Draws everything.
    ///
    /// # Errors
    /// What the terminal answers.
    pub(super) fn draw(&mut self, state: &mut State, theme: Theme) -> io::Result<()> {
        self.terminal.draw(|frame| draw(state, theme, frame)).map(drop)
    }
}

/// Standard output, and not through the lock that this process has on it: a thread that panics could wait for that.
fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

fn restore() {
    if !IS_OPEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Nothing can be done about a terminal that is gone.
    let _ = disable_raw_mode();
    let left = output().and_then(|mut output| {
        execute!(output, LeaveAlternateScreen, Show)?;
        output.flush()
    });
    drop(left);
}

#[cfg(test)]
mod tests;
