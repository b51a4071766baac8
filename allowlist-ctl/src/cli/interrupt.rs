//! Waiting that the user can cut short.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{client::Client, error::Error};

/// Ctrl-C and SIGTERM, which end no longer this process but what it waits for.
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

    /// Waits so long; `false` where that is cut short.
    pub(super) fn wait(&mut self, client: &Client, time: Duration) -> bool {
        let Self { interrupt, terminate } = self;
        client.run(async {
            tokio::select! {
                () = tokio::time::sleep(time) => true,
                _ = interrupt.recv() => false,
                _ = terminate.recv() => false,
            }
        })
    }
}
