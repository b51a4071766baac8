//! `top`: who is let in and who is not, live on a terminal.
//!
//! [`figures`] makes rates of what the daemon counts, [`state`] has them with all that keys changed, and [`view`] draws
//! that: all three without a terminal or a daemon. [`asking`] waits for whatever comes in, and [`screen`] is the
//! terminal.

mod adding;
mod asking;
mod dialog;
mod explain;
mod field;
mod figures;
mod names;
mod news;
mod screen;
mod signals;
mod state;
#[cfg(test)]
mod testing;
mod view;

use std::{
    path::Path,
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use self::{
    asking::{Input, Threads, sample},
    screen::Screen,
    signals::Signals,
    state::{Action, State},
    view::Theme,
};
use super::{client::Client, console::Console, error::Error};

/// The screen is drawn anew after this time, for the ages on it.
const LONGEST: Duration = Duration::from_secs(1);
/// It is drawn no sooner after it was, but for a key: whatever happens could happen very often.
const SHORTEST: Duration = Duration::from_millis(100);

/// Shows it until somebody ends it.
///
/// # Errors
/// Where the daemon does not answer at first, or the terminal cannot be used. Later a daemon that is gone is told on
/// the screen.
pub(super) fn top(socket: &Path, console: &Console<'_>) -> Result<(), Error> {
    let first = sample(&Client::new(socket)?)?;
    let mut state = State::new(Timestamp::now(), Instant::now());
    state.take(Ok(first));
    let theme = Theme { colours: console.paint.is_on() };
    // Before there is anything to give back, and that before any thread that could panic.
    let signals = Signals::listen().map_err(Error::Start)?;
    let mut screen = Screen::open().map_err(Error::Screen)?;
    let threads = Threads::start(socket, console.session, signals).map_err(Error::Start)?;
    loop {
        (state.now, state.moment) = (Timestamp::now(), Instant::now());
        screen.draw(&mut state, theme).map_err(Error::Screen)?;
        for address in state.nameless() {
            if !threads.look_up(address) {
                break;
            }
            state.names.asked(address, state.moment);
        }
        if !take_inputs(&mut state, &threads)? {
            return Ok(());
        }
    }
}

/// Takes what comes in until the screen is to be drawn again; `false` at the end.
fn take_inputs(state: &mut State, threads: &Threads) -> Result<bool, Error> {
    let mut due = Instant::now() + LONGEST;
    let soonest = Instant::now() + SHORTEST;
    loop {
        let input = match threads.inputs.recv_timeout(due.saturating_duration_since(Instant::now()))
        {
            Ok(input) => input,
            Err(RecvTimeoutError::Timeout) => return Ok(true),
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        };
        match input {
            Input::Key(key) => {
                match state.key(key) {
                    Some(Action::Quit) => return Ok(false),
                    Some(action) => threads.act(action),
                    None => {}
                }
                return Ok(true);
            }
            Input::Resized => return Ok(true),
            Input::End => return Ok(false),
            Input::Broken(error) => return Err(Error::Screen(error)),
            Input::Sampled(sampled) => {
                state.moment = Instant::now();
                state.take(sampled.map(|sample| *sample));
            }
            Input::Happened(news) => state.news = Some(news),
            Input::Named(address, name) => state.names.found(address, name),
            Input::Explained(number, lines) => state.explained(number, lines),
            Input::Tried(number, answer) => state.tried(number, answer),
            Input::Done(number, answer) => state.done(number, answer),
        }
        due = due.min(soonest);
        if Instant::now() >= due {
            return Ok(true);
        }
    }
}
