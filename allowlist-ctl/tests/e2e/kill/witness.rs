//! Packets all the time, whatever becomes of the daemon: of somebody who is admitted and of somebody who is not.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{Tap, Wire, udp_frame, until};

use super::{
    super::support::{PATIENCE, Server},
    clients::{ADMITTED, FIXED, FORBIDDEN},
};

const PAUSE: Duration = Duration::from_micros(200);
/// At the end of a frame: who has sent it.
const GOOD: u64 = 1;
const BAD: u64 = 2;

/// A thread that sends and watches what comes through.
pub(super) struct Witness {
    end: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Result<(u64, u64)>>,
}

impl Witness {
    pub(super) fn start(server: &Server, wire: Wire, interface: &str) -> Result<Self> {
        let host = &server.network.server;
        let tap = Tap::new(&host.namespace, interface)?;
        let to: [IpAddr; 2] = [host.ipv4.into(), host.ipv6.into()];
        let frame = |(source, to): (&str, IpAddr), number| -> Result<Vec<u8>> {
            Ok(udp_frame(source.parse()?, to, FIXED.1, number))
        };
        let mut frames = Vec::new();
        for family in 0..2 {
            frames.push(frame((ADMITTED[family], to[family]), GOOD)?);
            frames.push(frame((FORBIDDEN[family], to[family]), BAD)?);
        }
        let (end, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, count) = (Arc::clone(&end), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let mut good = 0;
            while !is_over.load(Ordering::Relaxed) {
                for frame in &frames {
                    wire.send(frame)?;
                }
                count.fetch_add(2, Ordering::Relaxed);
                good += watch(&tap)?;
                thread::sleep(PAUSE);
            }
            let sent = count.load(Ordering::Relaxed);
            until("the last admitted packets", PATIENCE, || {
                good += watch(&tap).ok()?;
                (good >= sent).then_some(())
            })
            .with_context(|| {
                format!("{good} of {sent} packets came through, {:?} were lost", wire.dropped())
            })?;
            Ok((good, sent))
        });
        Ok(Self { end, sent, thread })
    }

    /// Waits until more packets were sent.
    pub(super) fn more(&self) -> Result<()> {
        let goal = self.sent.load(Ordering::Relaxed) + 20;
        let sent = || (self.sent.load(Ordering::Relaxed) >= goal).then_some(());
        until("more packets", PATIENCE, sent).context("the witness has ended")
    }

    /// How many packets of each were sent; all of the one and none of the other have come through.
    pub(super) fn end(self) -> Result<(u64, u64)> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// How many packets of who is admitted have come through.
fn watch(tap: &Tap) -> Result<u64> {
    let mut good = 0;
    while let Some(frame) = tap.next()? {
        ensure!(!frame.ends_with(&BAD.to_be_bytes()), "a packet of {FORBIDDEN:?} came through");
        good += u64::from(frame.ends_with(&GOOD.to_be_bytes()));
    }
    Ok(good)
}
