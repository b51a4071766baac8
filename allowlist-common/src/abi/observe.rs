//! What the kernel tells of packets to whoever wants to understand a policy, or to try another one.

use crate::parse::{Aside, Family};
#[cfg(doc)]
use crate::{abi::Judged, abi::Unmatched, parse::Protocol};

/// Sources that are noted, at most; those not seen for longest make room for others.
pub const SIGHTINGS: usize = 1 << 15;

/// A question to the program that explains, and its answer: how a frame would be judged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Explanation {
    /// Asked: index of the interface that the frame is to come in on.
    pub ifindex: u32,
    /// When it was judged.
    pub now: super::BootSeconds,
    /// Id of the entry that decided; 0 where none covers the source.
    pub entry: u32,
    /// Number of the service; 0 for none.
    pub service: u16,
    /// [`Judged`] by its index; without meaning for no service.
    pub judged: u8,
    /// The counter of [`Unmatched`]; without meaning where there is a service.
    pub unmatched: u8,
    /// 1 where the frame goes on to the network stack.
    pub passes: u8,
    /// 1 where the policy wants the packet answered; whether it can be, and is not one too many, is seen on the way out.
    pub rejects: u8,
    /// 1 once the program has answered.
    pub is_answered: u8,
    /// [`Aside`] by its index plus 1; 0 where the frame has a port.
    pub aside: u8,
}

impl Explanation {
    /// Words of the structure.
    pub const WORDS: usize = 5;

    /// A question about a frame that comes in on an interface, as the words that the kernel stores.
    #[must_use]
    pub const fn ask(ifindex: u32) -> [u32; Self::WORDS] {
        [ifindex, 0, 0, 0, 0]
    }

    /// Reads an answer from the words that the kernel stores.
    #[must_use]
    pub const fn from_words(words: [u32; Self::WORDS]) -> Self {
        let [ifindex, now, entry, by, passes] = words;
        let ([low, high, judged, unmatched], [passes, rejects, is_answered, aside]) =
            (by.to_ne_bytes(), passes.to_ne_bytes());
        Self {
            ifindex,
            now,
            entry,
            service: u16::from_ne_bytes([low, high]),
            judged,
            unmatched,
            passes,
            rejects,
            is_answered,
            aside,
        }
    }

    /// Why the frame has no port; `None` where it has one.
    #[must_use]
    pub fn aside(&self) -> Option<Aside> {
        Aside::ALL.into_iter().find(|aside| *aside as u8 + 1 == self.aside)
    }
}

/// What about a source is noted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Sighted {
    /// A packet of a service that is watched passed.
    Passed = 0,
    /// A packet passed that the policy on trial would drop.
    NewlyDropped = 1,
    /// A packet was dropped that the policy on trial would admit.
    NewlyAdmitted = 2,
}

impl Sighted {
    /// All of them, in the order of their index.
    pub const ALL: [Self; 3] = [Self::Passed, Self::NewlyDropped, Self::NewlyAdmitted];
}

/// A source of a service's packets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(C)]
pub struct Source {
    /// Its address; an IPv4 one in the first four bytes.
    pub address: [u8; 16],
    /// Number of the service: of the policy that drops the packet where one does; 0 for an unreadable packet.
    pub service: u16,
    /// [`Sighted`] by its index.
    pub what: u8,
    /// 4 or 6.
    pub family: u8,
}

impl Source {
    /// A source of packets.
    #[must_use]
    #[inline(always)]
    pub const fn new(address: [u8; 16], family: Family, service: u16, what: Sighted) -> Self {
        Self { address, service, what: what as u8, family: family as u8 }
    }
}

/// What was seen of a source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Sighting {
    /// Packets.
    pub packets: u64,
    /// When the first one was, in seconds of the monotonic clock.
    pub first: u32,
    /// When the last one was.
    pub last: u32,
}

/// Packets that were judged twice, by the policy in force and by the one on trial: their counters by index.
pub mod tried {
    /// Every packet.
    pub const ALL: u32 = 0;
    /// Those that the policy in force passes and the other would drop.
    pub const NEWLY_DROPPED: u32 = 1;
    /// Those that the policy in force drops and the other would admit.
    pub const NEWLY_ADMITTED: u32 = 2;
    /// Counters.
    pub const SLOTS: u32 = 4;
}
