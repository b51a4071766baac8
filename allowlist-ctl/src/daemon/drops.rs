//! Reports of dropped packets: gathered by what they have in common, and told live to whoever follows.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::IpAddr,
    os::fd::AsFd as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use allowlist_common::parse::Aside;
use axum::body::Body;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, poll};
use serde::Serialize;
use tokio::sync::broadcast;
use tokio_stream::{
    StreamExt as _, wrappers::BroadcastStream, wrappers::errors::BroadcastStreamRecvError,
};
use tracing::warn;

use super::shared::Shared;
use crate::{
    api::{DropReason, DroppedPacket, DroppedPackets, Drops, LostEvents},
    kernel::{self, Events},
    policy::{Name, port::Ports},
};

/// Sources, services and ports that are kept; the oldest make room for new ones.
const KEPT: usize = 4096;
/// Events that a follower may be behind.
const BEHIND: usize = 1024;
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

/// What followers are told.
#[derive(Clone)]
enum News {
    Packet(Arc<DroppedPacket>),
    Lost(LostEvents),
}

/// The gathered reports.
pub(super) struct DropLog {
    log: Mutex<Log>,
    /// None once the daemon ends.
    followers: Mutex<Option<broadcast::Sender<News>>>,
}

impl DropLog {
    pub(super) fn new() -> Self {
        let followers = Mutex::new(Some(broadcast::Sender::new(BEHIND)));
        Self { log: Mutex::default(), followers }
    }

    /// Ends the streams of all followers.
    pub(super) fn end(&self) {
        self.followers().take();
    }

    fn followers(&self) -> MutexGuard<'_, Option<broadcast::Sender<News>>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: News) {
        if let Some(followers) = self.followers().as_ref() {
            // An error says that nobody follows.
            let _ = followers.send(news);
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Drops as they happen, as server-sent events.
    pub(super) fn follow(&self) -> Body {
        let receiver = match self.followers().as_ref() {
            Some(followers) => followers.subscribe(),
            None => return Body::empty(),
        };
        let events = BroadcastStream::new(receiver).map(|event| match event {
            Ok(News::Packet(packet)) => sse("drop", packet.as_ref()),
            Ok(News::Lost(lost)) => sse("lost", &lost),
            Err(BroadcastStreamRecvError::Lagged(events)) => sse("lost", &LostEvents { events }),
        });
        // Says at once that it listens, for who follows may have to wait long for the first drop.
        let hello = tokio_stream::once(": following\n\n".to_owned());
        let frames =
            hello.chain(events).map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
        Body::new(StreamBody::new(frames))
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
            packets.last = packet.clone();
        }
        drop(log);
        self.tell(News::Packet(Arc::new(packet)));
    }

    /// Notes how many packets were not reported so far.
    fn note_lost(&self, lost: u64) {
        let before = std::mem::replace(&mut self.log().lost, lost);
        if lost > before {
            self.tell(News::Lost(LostEvents { events: lost - before }));
        }
    }
}

/// Forgets a quarter of the packets: those that were last seen longest ago.
fn forget_oldest(drops: &mut HashMap<Key, DroppedPackets>) {
    let mut times: Vec<Timestamp> = drops.values().map(|packets| packets.last.time).collect();
    let (_, cut, _) = times.select_nth_unstable(KEPT / 4);
    let cut = *cut;
    drops.retain(|_, packets| packets.last.time > cut);
}

fn sse(event: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {event}\ndata: {data}\n\n")
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
                    Ok(lost) => shared.drops.note_lost(lost),
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
                shared.drops.note(names.packet(&drop));
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
