//! Two sources that send as fast as one processor can, over cables of their own, so that each frame is accounted for:
//! it was lost by the cable, which counts those, or it was judged.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::Result;
use xtask::lab::{Host, Wire, pace, udp_frame};

/// Sends until it is told to end, and returns how many frames it sent on each cable.
pub(crate) struct Traffic {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<([u64; 2], [Wire; 2])>>,
}

impl Traffic {
    /// On each wire the frames of its row, over and over.
    pub(crate) fn start(wires: [Wire; 2], frames: [Vec<Vec<u8>>; 2]) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&end);
        let thread = thread::spawn(move || {
            let mut sent = [0; 2];
            while !is_over.load(Ordering::Relaxed) {
                for ((wire, frames), sent) in wires.iter().zip(&frames).zip(&mut sent) {
                    for frame in frames {
                        wire.send(frame)?;
                        *sent += 1;
                    }
                }
                thread::sleep(pace());
            }
            Ok((sent, wires))
        });
        Self { end, thread }
    }

    pub(crate) fn stop(self) -> Result<([u64; 2], [Wire; 2])> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// A frame from each source, IPv4 and IPv6, to each of some ports of a host.
pub(crate) fn frames(
    host: &Host,
    sources: [&str; 2],
    ports: impl IntoIterator<Item = u16>,
) -> Result<Vec<Vec<u8>>> {
    let to: [IpAddr; 2] = [host.ipv4.into(), host.ipv6.into()];
    let mut frames = Vec::new();
    for port in ports {
        for (source, to) in sources.into_iter().zip(to) {
            frames.push(udp_frame(source.parse()?, to, port, 0));
        }
    }
    Ok(frames)
}
