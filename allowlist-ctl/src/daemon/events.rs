//! What happens, told live to whoever follows, as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! Each kind has a channel of its own that keeps the last events, so that a flood of drops neither wakes those who
//! follow changes nor makes them miss one. Whoever tells never waits: a reader that has fallen further behind than a
//! channel keeps goes on with what is there, and is told how many events it missed. An event is written once for all
//! who follow its kind, and not at all where nobody does.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Bytes, Frame};
use serde::Serialize;
use tokio::{
    sync::broadcast,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_stream::{
    Stream,
    wrappers::{BroadcastStream, errors::BroadcastStreamRecvError},
};

use crate::api::{
    ChangeEvent, DroppedPacket, EventKind, EventKinds, InterfaceState, InterfaceStatus, LostEvents,
};

/// Events of a kind that a reader may be behind.
const BEHIND: usize = 1024;
/// A stream on which nothing was told for so long carries a comment, or nobody would notice that its reader is gone.
const BEAT: Duration = Duration::from_secs(15);
/// Says at once that the daemon tells, for who follows may have to wait long for the first event.
const HELLO: &[u8] = b": following\n\n";
const STILL_HERE: &[u8] = b": still here\n\n";

/// Where what happens is told.
pub(super) struct Broadcast {
    /// None once the daemon ends.
    channels: Mutex<Option<BTreeMap<EventKind, broadcast::Sender<Bytes>>>>,
}

impl Broadcast {
    pub(super) fn new() -> Self {
        let channel = |kind| (kind, broadcast::Sender::new(BEHIND));
        Self { channels: Mutex::new(Some(EventKind::ALL.map(channel).into())) }
    }

    /// Ends the streams of all who follow.
    pub(super) fn end(&self) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The channel of a kind, where somebody follows it.
    fn followed(&self, kind: EventKind) -> Option<broadcast::Sender<Bytes>> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.as_ref()?.get(&kind).filter(|channel| channel.receiver_count() > 0).cloned()
    }

    fn tell(&self, kind: EventKind, name: &str, data: &impl Serialize) {
        if let Some(channel) = self.followed(kind) {
            // An error says that the last one who followed has just gone.
            let _ = channel.send(written(name, data));
        }
    }

    /// Tells of a dropped packet.
    pub(super) fn dropped(&self, packet: &DroppedPacket) {
        self.tell(EventKind::Drop, EventKind::Drop.word(), packet);
    }

    /// Tells those who follow dropped packets how many more there were that nobody was told of.
    pub(super) fn lost_drops(&self, events: u64) {
        if events > 0 {
            self.tell(EventKind::Drop, LOST, &LostEvents { events });
        }
    }

    /// Tells of a change.
    pub(super) fn changed(&self, change: &ChangeEvent) {
        self.tell(EventKind::Change, EventKind::Change.word(), change);
    }

    /// Tells of the interfaces that fare otherwise than they did.
    pub(super) fn interfaces(&self, before: &[InterfaceStatus], now: &[InterfaceStatus]) {
        for status in differing(before, now) {
            self.tell(EventKind::Interface, EventKind::Interface.word(), &status);
        }
    }

    /// Events of these kinds from now on.
    pub(super) fn follow(&self, kinds: &EventKinds) -> Following {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channels = channels.iter().flatten().filter(|(kind, _)| kinds.0.contains(kind));
        let mut followed: Vec<_> =
            channels.map(|(_, channel)| BroadcastStream::new(channel.subscribe())).collect();
        // What is rare comes before drops, of which there may be one at any time.
        followed.reverse();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one comes at once.
        beat.reset();
        Following { channels: followed, beat, is_quiet: true, hello: Some(HELLO) }
    }
}

/// The event that tells of others that were missed.
const LOST: &str = "lost";

fn written(name: &str, data: &impl Serialize) -> Bytes {
    // They are structures of plain values, which are always JSON.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Interfaces that fare otherwise than they did, as they fare now; those that nothing names any more are detached.
fn differing(before: &[InterfaceStatus], now: &[InterfaceStatus]) -> Vec<InterfaceStatus> {
    let known = |name: &str| before.iter().find(|one| one.name == name);
    let gone = before.iter().filter(|was| now.iter().all(|is| is.name != was.name));
    let changed = now.iter().filter(|is| known(&is.name) != Some(is));
    let detached = |was: &InterfaceStatus| InterfaceStatus {
        name: was.name.clone(),
        state: InterfaceState::Detached,
        ifindex: None,
        mode: None,
        program_id: None,
        reason: Some("nothing names it any more".into()),
        put_back: was.put_back,
        warnings: Vec::new(),
    };
    gone.map(detached).chain(changed.cloned()).collect()
}

/// Events as they happen: the body of an answer, which ends when the daemon does.
pub(super) struct Following {
    channels: Vec<BroadcastStream<Bytes>>,
    beat: Interval,
    /// Whether nothing was told since the last beat.
    is_quiet: bool,
    hello: Option<&'static [u8]>,
}

impl Stream for Following {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let told = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        if let Some(hello) = self.hello.take() {
            return told(Bytes::from_static(hello));
        }
        let mut index = 0;
        while let Some(channel) = self.channels.get_mut(index) {
            match Pin::new(channel).poll_next(context) {
                Poll::Ready(Some(event)) => {
                    self.is_quiet = false;
                    return told(event.unwrap_or_else(
                        |BroadcastStreamRecvError::Lagged(events)| {
                            written(LOST, &LostEvents { events })
                        },
                    ));
                }
                Poll::Ready(None) => drop(self.channels.remove(index)),
                Poll::Pending => index += 1,
            }
        }
        if self.channels.is_empty() {
            return Poll::Ready(None);
        }
        while self.beat.poll_tick(context).is_ready() {
            if std::mem::replace(&mut self.is_quiet, true) {
                return told(Bytes::from_static(STILL_HERE));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
