//! Reports of dropped packets, gathered by what they have in common.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    os::fd::AsFd as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use allowlist_common::parse::Aside;
use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, poll};
use tracing::warn;

use super::shared::Shared;
use crate::{
    api::{DropReason, DroppedPacket, DroppedPackets, Drops},
    kernel::{self, Events},
    policy::{Name, port::Ports},
};

/// Sources, services and ports that are kept; the oldest make room for new ones.
const KEPT: usize = 4096;
const SECOND: Duration = Duration::from_secs(1);

/// What gathered packets have in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    source: Option<IpAddr>,
    service: Option<Name>,
    port: Option<Ports>,
    reason: DropReason,
}

#[derive(Default)]
struct Log {
    lost: u64,
    drops: HashMap<Key, DroppedPackets>,
}

/// The gathered reports.
#[derive(Default)]
pub(super) struct DropLog(Mutex<Log>);

impl DropLog {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many packets were not reported so far.
    pub(super) fn lost(&self) -> u64 {
        self.log().lost
    }

    /// The latest drops, at most `limit` of them.
    pub(super) fn recent(&self, limit: usize) -> Drops {
        let log = self.log();
        let mut drops: Vec<DroppedPackets> = log.drops.values().cloned().collect();
        let lost = log.lost;
        drop(log);
        drops.sort_by_key(|packets| std::cmp::Reverse(packets.last.time));
        drops.truncate(limit);
        Drops { lost, drops }
    }

    fn note(&self, packet: DroppedPacket) {
        let key = Key {
            source: packet.source,
            service: packet.service.clone(),
            port: packet.port,
            reason: packet.reason,
        };
        let mut log = self.log();
        if log.drops.len() >= KEPT && !log.drops.contains_key(&key) {
            forget_oldest(&mut log.drops);
        }
        let first = packet.time;
        let packets = log.drops.entry(key).or_insert_with(|| DroppedPackets {
            count: 0,
            first,
            last: packet.clone(),
        });
        packets.count += 1;
        // Those of different CPUs come in no particular order.
        packets.first = packets.first.min(packet.time);
        if packet.time >= packets.last.time {
            packets.last = packet;
        }
    }

    /// Notes how many packets were not reported so far, and returns how many of them are new.
    fn note_lost(&self, lost: u64) -> u64 {
        let before = std::mem::replace(&mut self.log().lost, lost);
        lost.saturating_sub(before)
    }
}

/// Forgets a quarter of the packets: those that were last seen longest ago.
fn forget_oldest(drops: &mut HashMap<Key, DroppedPackets>) {
    let mut times: Vec<Timestamp> = drops.values().map(|packets| packets.last.time).collect();
    let (_, cut, _) = times.select_nth_unstable(KEPT / 4);
    let cut = *cut;
    drops.retain(|_, packets| packets.last.time > cut);
}

/// Gathers the kernel's reports on a thread of its own, for as long as the daemon runs.
///
/// # Errors
/// Where no thread can be had.
pub(super) fn gather(mut events: Events, shared: Arc<Shared>) -> io::Result<()> {
    let gather = move || {
        let mut next_refill = Instant::now();
        loop {
            if Instant::now() >= next_refill {
                next_refill = Instant::now() + SECOND;
                match events.refill() {
                    Ok(lost) => shared.broadcast.lost_drops(shared.drops.note_lost(lost)),
                    Err(error) => warn!("dropped packets are not reported: {error}"),
                }
            }
            let rest = next_refill.saturating_duration_since(Instant::now());
            // In whole milliseconds, and not short of the rest. An error of poll is no worse than a second without a
            // report.
            let rest = u16::try_from(rest.as_millis() + 1).unwrap_or(u16::MAX);
            let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], rest);
            let mut names = None;
            while let Some(drop) = events.next_drop() {
                let names = names.get_or_insert_with(|| Names::of(&shared));
                let packet = names.packet(&drop);
                shared.broadcast.dropped(&packet);
                shared.drops.note(packet);
            }
        }
    };
    thread::Builder::new().name("drops".into()).spawn(gather).map(|_| ())
}

/// Names for the numbers in reports.
struct Names {
    services: HashMap<u16, Name>,
    interfaces: HashMap<u32, String>,
}

impl Names {
    fn of(shared: &Shared) -> Self {
        let services = shared.policy().services;
        Self {
            services: services.into_iter().map(|(name, service)| (service.number, name)).collect(),
            interfaces: shared.interface_names(),
        }
    }

    fn packet(&self, drop: &kernel::Drop) -> DroppedPacket {
        let interface = self.interfaces.get(&drop.ifindex).cloned();
        DroppedPacket {
            time: drop.time,
            source: drop.source,
            service: drop.service.and_then(|number| self.services.get(&number).cloned()),
            port: drop.port.map(|(protocol, port)| Ports { protocol, first: port, last: port }),
            interface: interface.unwrap_or_else(|| drop.ifindex.to_string()),
            vlan: drop.vlan,
            length: drop.length,
            reason: reason(drop.reason),
        }
    }
}

const fn reason(reason: kernel::DropReason) -> DropReason {
    match reason {
        kernel::DropReason::WouldDeny => DropReason::WouldDeny,
        kernel::DropReason::Unreadable(aside) => match aside {
            Aside::FrameCutOff => DropReason::FrameCutOff,
            Aside::TooManyTags => DropReason::TooManyTags,
            Aside::BadIpHeader => DropReason::BadIpHeader,
            Aside::ExtensionCutOff => DropReason::ExtensionCutOff,
            Aside::TooManyExtensions => DropReason::TooManyExtensions,
            Aside::PortsCutOff => DropReason::PortsCutOff,
            Aside::FragmentRefused => DropReason::FragmentRefused,
            Aside::NotIp | Aside::OtherProtocol | Aside::LaterFragment => DropReason::Denied,
        },
        kernel::DropReason::Denied => DropReason::Denied,
    }
}
