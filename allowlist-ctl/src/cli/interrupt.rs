//! Waiting that the user can cut short.

use std::{io, time::Duration};

use nix::sys::signal::{self, SigHandler};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{client::Client, error::Error};

/// Ctrl-C and SIGTERM, which end no longer this process but what it waits for, until this is dropped.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Takes them from now on, so that none is lost before somebody waits.
    ///
    /// # Errors
    /// [`Error::Start`]
    pub(super) fn take(client: &Client) -> Result<Self, Error> {
        let take = || -> io::Result<Self> {
            let interrupt = signal(SignalKind::interrupt())?;
            Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
        };
        client.enter(take).map_err(Error::Start)
    }

    /// Waits so long, unless that is cut short. From then on they end this process again, should the daemon not
    /// answer.
    pub(super) fn wait(mut self, client: &Client, time: Duration) {
        let Self { interrupt, terminate } = &mut self;
        client.run(async {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for signal in [signal::Signal::SIGINT, signal::Signal::SIGTERM] {
            // SAFETY: nothing runs in the default handler, and nobody else in this process has set one.
            // Where it is refused, the process goes on as it did while this was there.
            let _ = unsafe { signal::signal(signal, SigHandler::SigDfl) };
        }
    }
}
