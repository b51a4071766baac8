//! Taking the filter off everything: by the daemon where one runs, else by its pins.

use std::{fs::File, io, time::Instant};

use anyhow::{Context as _, anyhow, bail};
use tokio::time::sleep;

use super::{ask, config::Settings, logging};
use crate::{
    kernel::{Pins, RemoveError},
    patience::{LONGEST, PAUSE},
    store::lock_directory,
};

/// Who may take the filter off.
enum Turn {
    /// The daemon has done it.
    Done,
    /// This process, with the lock of the pins for as long as there are any.
    Ours(Option<File>),
}

/// Takes the filter off.
///
/// # Errors
/// A sentence; what is in force stays so.
pub(super) async fn detach(settings: &Settings) -> anyhow::Result<()> {
    let pins = Pins::at(&settings.bpffs);
    let Turn::Ours(_lock) = turn(settings, &pins).await? else {
        return logging::say("the daemon has taken the filter off and stopped");
    };
    let links = pins.pinned_links().context("cannot read the pins")?.len();
    pins.remove_all().map_err(with_hint)?;
    logging::say(match links {
        0 => "the filter was on no interface",
        _ => "the filter is off",
    })
}

/// Asks the daemon; without one, takes the lock of the pins. One that is starting or ending has that and does not answer,
/// so it is waited for.
async fn turn(settings: &Settings, pins: &Pins) -> anyhow::Result<Turn> {
    let directory = pins.directory();
    let socket = &settings.socket.path;
    let end = Instant::now() + LONGEST;
    loop {
        if ask::to_detach(socket).await? {
            return Ok(Turn::Done);
        }
        match lock_directory(directory) {
            Ok(Some(lock)) => return Ok(Turn::Ours(Some(lock))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Turn::Ours(None)),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot lock the pins in {}", directory.display()));
            }
            Ok(None) if Instant::now() >= end => bail!(
                "a daemon uses the pins in {}, and none answers at {}: nothing was removed; give the --socket or the --config of that daemon, or end it first",
                directory.display(),
                socket.display()
            ),
            Ok(None) => sleep(PAUSE).await,
        }
    }
}

fn with_hint(error: RemoveError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => anyhow!("{error}; {hint}"),
        None => error.into(),
    }
}
