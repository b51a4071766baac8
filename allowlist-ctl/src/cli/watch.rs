//! `status` again and again: in place on a terminal, one document after another elsewhere.

mod screen;

use std::{
    io::{self, Write as _},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use self::screen::Screen;
use super::{
    client::Client,
    console::{Console, Style, clean},
    error::Error,
    render,
    request::Request,
};
use crate::api::Status;

/// Shows the state of everything until interrupted. A daemon that goes away is said so, and waited for; one that is not
/// there in the first place is an error.
///
/// # Errors
/// What the first request met, a refusal, or [`Error::Output`].
pub(super) fn watch(
    client: &Client,
    pause: Duration,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let mut latest = document(client, json, console)?;
    if console.is_terminal && !json {
        return on_terminal(client, pause, latest, console);
    }
    let mut is_away = false;
    let mut is_first = true;
    loop {
        if !is_first && !json {
            writeln!(console.stdout)?;
        }
        is_first = false;
        console.stdout.write_all(&latest)?;
        console.stdout.flush()?;
        latest = loop {
            thread::sleep(pause);
            match document(client, json, console) {
                Ok(document) => break document,
                Err(error) if !comes_back(&error) => return Err(error),
                // Once, for it may be away for long.
                Err(error) if !is_away => {
                    is_away = true;
                    error.tell(json, console);
                }
                Err(_) => {}
            }
        };
        is_away = false;
    }
}

/// Redraws the screen, and goes on when the daemon is back.
fn on_terminal(
    client: &Client,
    pause: Duration,
    mut latest: Vec<u8>,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let screen = Screen::open(console.stdout)?;
    let mut away = None;
    loop {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let every = pause.as_secs();
        let mut text = format!("Every {every} s, now {now}; Ctrl-C ends it\n").into_bytes();
        if let Some(told) = &away {
            let line = format!("{told}; what is shown was so before, and it is tried again");
            writeln!(text, "{}", console.paint.paint(Style::Error, &clean(&line)))?;
        }
        text.push(b'\n');
        text.extend_from_slice(&latest);
        screen.draw(&text, console.stdout)?;
        screen.wait(pause);
        match document(client, false, console) {
            Ok(document) => (latest, away) = (document, None),
            Err(error) if comes_back(&error) => away = Some(error.to_string()),
            Err(error) => return Err(error),
        }
    }
}

/// Whether it may be otherwise when it is tried again.
fn comes_back(error: &Error) -> bool {
    matches!(
        error,
        Error::NoDaemon { .. }
            | Error::MayNotOpen { .. }
            | Error::Socket { .. }
            | Error::Broken { .. }
            | Error::Stranger { .. }
    )
}

/// The state of everything as it is to be written.
fn document(client: &Client, json: bool, console: &Console<'_>) -> Result<Vec<u8>, Error> {
    let reply = client.send(&Request::get("/v1/status"))?;
    let mut text = Vec::new();
    if json {
        // On a line of its own, whatever the daemon writes.
        let document: Value = reply.document()?;
        serde_json::to_writer(&mut text, &document).map_err(io::Error::from)?;
        text.push(b'\n');
    } else {
        let status: Status = reply.document()?;
        render::status(&status, &mut text, console.paint)?;
    }
    Ok(text)
}
