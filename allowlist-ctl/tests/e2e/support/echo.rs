//! A UDP service and its clients: a packet that is lost is not sent again, so each loss shows.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, ensure};
use xtask::lab::{Host, Namespace, pace, until};

use super::PATIENCE;

/// How often threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(20);

/// A thread that ends when this is dropped.
struct Worker {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(mut work: impl FnMut() + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&end);
        let thread = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                work();
            }
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Sends each packet back to where it came from.
pub(crate) struct Echo {
    _worker: Worker,
}

impl Echo {
    /// Serves a port of a namespace over both families.
    pub(crate) fn start(namespace: &Namespace, port: u16) -> Result<Self> {
        let socket = namespace.inside(|| UdpSocket::bind(("::", port)))??;
        socket.set_read_timeout(Some(LOOK))?;
        let worker = Worker::start(move || {
            let mut packet = [0; 64];
            if let Ok((length, from)) = socket.recv_from(&mut packet) {
                drop(socket.send_to(&packet[..length], from));
            }
        });
        Ok(Self { _worker: worker })
    }
}

/// A client of an echo that sends packet after packet, each once, and counts those that come back.
pub(crate) struct UdpLoop {
    sent: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    worker: Option<Worker>,
}

impl UdpLoop {
    /// Starts; each packet is given this long to come back.
    pub(crate) fn start(client: &Host, to: SocketAddr, patience: Duration) -> Result<Self> {
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = client.namespace.inside(|| UdpSocket::bind(any))??;
        socket.connect(to)?;
        socket.set_read_timeout(Some(patience))?;
        let (sent, answered) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (sends, answers) = (Arc::clone(&sent), Arc::clone(&answered));
        let worker = Worker::start(move || {
            thread::sleep(pace());
            let number = sends.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let mut answer = [0; 64];
            if socket.send(&number).is_ok()
                && socket.recv(&mut answer).is_ok_and(|length| answer[..length] == number)
            {
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self { sent, answered, worker: Some(worker) })
    }

    /// The same over some packets only.
    pub(crate) fn try_some(client: &Host, to: SocketAddr, patience: Duration) -> Result<Self> {
        const SOME: u64 = 3;
        let mut pings = Self::start(client, to, patience)?;
        pings.more(SOME)?;
        pings.stop();
        Ok(pings)
    }

    /// Waits until so many more were sent.
    pub(crate) fn more(&self, packets: u64) -> Result<()> {
        let goal = self.sent.load(Ordering::Relaxed) + packets;
        let sent = || (self.sent.load(Ordering::Relaxed) >= goal).then_some(());
        until("sending of more packets", PATIENCE, sent)
    }

    fn stop(&mut self) {
        self.worker.take();
    }

    /// Ends, after every packet but those lost came back.
    pub(crate) fn all_answered(mut self) -> Result<()> {
        self.stop();
        let (sent, answered) = self.counts();
        ensure!(sent > 0 && sent == answered, "{answered} of {sent} packets were answered");
        Ok(())
    }

    /// Ends, after no packet came back.
    pub(crate) fn none_answered(mut self) -> Result<()> {
        self.stop();
        let (sent, answered) = self.counts();
        ensure!(sent > 0 && answered == 0, "{answered} of {sent} packets were answered");
        Ok(())
    }

    fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed))
    }
}
