//! A client that asks all the time, and notes when it is first answered.
//!
//! It sends a UDP datagram every 0.2 ms, which the timer slack of sleeping makes about 0.26 ms, and
//! the server sends each back. What is measured is thus late by up to one pause and one round trip,
//! which takes some 0.05 ms. Spinning would be more exact, and would take a processor away from the
//! daemon.

use std::{
    io::ErrorKind,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use xtask::lab::Host;

const PAUSE: Duration = Duration::from_micros(200);
/// Longer than any answer takes.
const SILENCE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that sends back what it gets, on a thread of its own.
pub(super) struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(super) fn start(host: &Host, port: u16) -> Result<Self> {
        let socket = host.namespace.inside(|| UdpSocket::bind((host.ipv4, port)))??;
        socket.set_read_timeout(Some(SILENCE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut datagram = [0; 64];
            while !end.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut datagram) {
                    drop(socket.send_to(&datagram[..length], from));
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The client.
pub(super) struct Probe {
    socket: UdpSocket,
}

impl Probe {
    pub(super) fn new(from: &Host, to: &Host, port: u16) -> Result<Self> {
        let socket = from.namespace.inside(|| UdpSocket::bind((from.ipv4, 0)))??;
        socket.connect((to.ipv4, port))?;
        Ok(Self { socket })
    }

    /// Whether it is answered now.
    pub(super) fn is_answered(&self) -> Result<bool> {
        self.socket.set_read_timeout(Some(SILENCE))?;
        self.socket.send(b"?")?;
        self.answer()
    }

    /// The time from the start of `work` to the first answer, and what `work` returns.
    pub(super) fn first_answer<T>(
        &self,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(Duration, T)> {
        // Late answers of a run before would count for this one.
        self.socket.set_read_timeout(Some(SILENCE))?;
        while self.answer()? {}
        if self.is_answered()? {
            bail!("the client is answered before it is allowed");
        }
        self.socket.set_read_timeout(Some(PATIENCE))?;
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // A full queue loses a datagram; the next one comes soon.
                    drop(self.socket.send(b"?"));
                    thread::sleep(PAUSE);
                }
            });
            let first = scope.spawn(|| {
                let answered = self.answer();
                (Instant::now(), answered)
            });
            let begin = Instant::now();
            let worked = work();
            let (moment, answered) =
                first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.store(true, Ordering::Relaxed);
            let worked = worked?;
            if !answered? {
                bail!("the client was allowed and not answered within {PATIENCE:?}");
            }
            let time = moment.checked_duration_since(begin);
            Ok((time.context("the client was answered before it was allowed")?, worked))
        })
    }

    fn answer(&self) -> Result<bool> {
        match self.socket.recv(&mut [0; 64]) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error).context("the client can't receive"),
        }
    }
}
