//! Being told when a network interface comes, goes or changes (rtnetlink(7), `RTMGRP_LINK`).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tracing::warn;

/// So long one telling stands for all that happens: an interface that comes up changes a dozen times in a moment.
const BURST: Duration = Duration::from_millis(50);
/// What a message is read into; what is in it does not matter, only that it came.
const BUFFER: usize = 4096;
/// Where the group of links is among those of a socket's address.
const LINKS: u32 = 1;

/// Hears of changes from when it was opened on.
#[derive(Debug)]
pub(crate) struct Changes(Socket);

/// Whether there is somebody who hears of changes.
#[derive(Clone, Debug)]
pub(crate) struct Hearing(Arc<AtomicBool>);

impl Hearing {
    /// Nobody hears of any.
    pub(crate) fn none() -> Self {
        Self(Arc::default())
    }

    /// Whether changes are told.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Changes {
    /// Hears of the interfaces of this network namespace.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, LINKS))?;
        Ok(Self(socket))
    }

    /// Calls `tell` on a thread of its own when something may have changed, once for each burst, until it answers `false`.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub(crate) fn tell(
        self,
        mut tell: impl FnMut() -> bool + Send + 'static,
    ) -> io::Result<Hearing> {
        let hearing = Hearing(Arc::new(AtomicBool::new(true)));
        let heard = hearing.clone();
        thread::Builder::new().name("links".into()).spawn(move || {
            let end = self.hear(&mut tell);
            heard.0.store(false, Ordering::Relaxed);
            if let Err(error) = end {
                warn!("the kernel tells no more of network interfaces, they are looked at by the clock: {error}");
            }
        })?;
        Ok(hearing)
    }

    fn hear(&self, tell: &mut impl FnMut() -> bool) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            self.next(&mut buffer, 0)?;
            if !tell() {
                return Ok(());
            }
            thread::sleep(BURST);
            let mut more = false;
            loop {
                match self.next(&mut buffer, libc::MSG_DONTWAIT) {
                    Ok(()) => more = true,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if more && !tell() {
                return Ok(());
            }
        }
    }

    /// Waits for a sign. That messages were lost is one.
    fn next(&self, buffer: &mut Vec<u8>, flags: i32) -> io::Result<()> {
        loop {
            buffer.clear();
            return match self.0.recv(buffer, flags) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
                heard => heard.map(drop),
            };
        }
    }
}
