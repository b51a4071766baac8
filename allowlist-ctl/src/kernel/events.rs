//! Reports of dropped packets, out of the kernel's ring buffer.

use std::{
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd},
};

use allowlist_common::{
    abi::{self, EVENTS_PER_SECOND, Judged},
    parse::{Aside, Protocol},
};
use aya::{
    maps::{Map, MapData, MapError, PerCpuArray, PerCpuValues, RingBuf},
    util::nr_cpus,
};
use jiff::Timestamp;

use super::hits::monotonic_time;

/// A packet that was dropped, or would have been in mode enforce.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drop {
    /// When.
    pub time: Timestamp,
    /// Where from; `None` where the packet does not say.
    pub source: Option<IpAddr>,
    /// Index of the interface it came in on.
    pub ifindex: u32,
    /// Length of the frame, in bytes.
    pub length: u32,
    /// Number of the service; `None` for an unreadable packet.
    pub service: Option<u16>,
    /// Destination protocol and port, where it has them.
    pub port: Option<(Protocol, u16)>,
    /// VLAN id of the outermost tag.
    pub vlan: Option<u16>,
    /// Why.
    pub reason: DropReason,
}

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DropReason {
    /// The service denied it.
    Denied,
    /// The service would have denied it in mode enforce; it passed.
    WouldDeny,
    /// It could not be read.
    Unreadable(Aside),
}

/// The kernel's reports.
pub struct Events {
    ring: RingBuf<MapData>,
    budget: PerCpuArray<MapData, u64>,
    lost: PerCpuArray<MapData, u64>,
}

impl Events {
    pub(super) fn new(ring: Map, budget: Map, lost: Map) -> Result<Self, MapError> {
        Ok(Self { ring: ring.try_into()?, budget: budget.try_into()?, lost: lost.try_into()? })
    }

    /// The next report, where there is one.
    pub fn next_drop(&mut self) -> Option<Drop> {
        loop {
            let item = self.ring.next()?;
            if let Some(drop) = read(&item) {
                return Some(drop);
            }
        }
    }

    /// Allows every CPU its reports for another second, and returns how many packets were not reported so far.
    ///
    /// # Errors
    /// The kernel's refusal to read or write the map.
    pub fn refill(&mut self) -> Result<u64, MapError> {
        let cpus = nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
        let full = PerCpuValues::try_from(vec![EVENTS_PER_SECOND; cpus])?;
        self.budget.set(0, full, 0)?;
        Ok(self.lost.get(&0, 0)?.iter().sum())
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

/// Reads a report by its layout, [`abi::Drop`]; `None` where it is none.
fn read(bytes: &[u8]) -> Option<Drop> {
    let event = abi::Drop::from_bytes(bytes)?;
    let reason = if event.reason & abi::Drop::UNREADABLE == 0 {
        if event.reason == Judged::WouldDeny as u8 {
            DropReason::WouldDeny
        } else {
            DropReason::Denied
        }
    } else {
        let counter = event.reason & !abi::Drop::UNREADABLE;
        let is_it = |aside: &Aside| abi::Unmatched::dropped(*aside).counter() == u32::from(counter);
        DropReason::Unreadable(Aside::ALL.into_iter().find(is_it)?)
    };
    let protocol = Protocol::ALL.get(usize::from(event.protocol)).copied();
    let readable = !matches!(reason, DropReason::Unreadable(_));
    let source = match (event.family, event.source) {
        (_, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => None,
        (4, [a, b, c, d, ..]) => Some(IpAddr::from([a, b, c, d])),
        (_, address) => Some(IpAddr::from(address)),
    };
    Some(Drop {
        time: monotonic_time(event.time)?,
        source,
        ifindex: event.ifindex,
        length: event.length,
        service: (event.service != 0).then_some(event.service),
        port: protocol.filter(|_| readable).map(|protocol| (protocol, event.port)),
        vlan: (event.vlan != 0).then_some(event.vlan),
        reason,
    })
}
