//! Being asked to end by a signal.

use std::io;

use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// Signals that ask this process to end, and no longer end it by themselves.
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on; to be called before there is anything that has to be given back.
    ///
    /// # Errors
    /// What the kernel answers.
    pub(super) fn listen() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let [terminate, hangup, interrupt] = {
            let _inside = runtime.enter();
            [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal)
        };
        Ok(Self { runtime, terminate: terminate?, hangup: hangup?, interrupt: interrupt? })
    }

    /// Waits for one.
    pub(super) fn wait(self) {
        let Self { runtime, mut terminate, mut hangup, mut interrupt } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
    }
}
