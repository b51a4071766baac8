//! What the program reports of packets that it drops, or would drop in mode enforce.

use crate::decide::Verdict;
#[cfg(doc)]
use crate::{
    abi::{Judged, Unmatched},
    parse::Protocol,
};

/// Events that a CPU may report in a second.
pub const EVENTS_PER_SECOND: u64 = 1000;
/// Bytes of the ring buffer of events.
pub const EVENTS_BYTES: usize = 1 << 19;

/// A packet that was dropped, or would have been in mode enforce.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Drop {
    /// Nanoseconds of the monotonic clock.
    pub time: u64,
    /// Source address; an IPv4 one in the first four bytes.
    pub source: [u8; 16],
    /// Index of the interface.
    pub ifindex: u32,
    /// Length of the frame, in bytes.
    pub length: u32,
    /// Id of the except that decided; 0 where no entry covers the source.
    pub entry: u32,
    /// Number of the service; 0 for an unreadable packet.
    pub service: u16,
    /// Destination port.
    pub port: u16,
    /// VLAN id of the outermost tag; 0 without one.
    pub vlan: u16,
    /// [`Protocol`] by its index.
    pub protocol: u8,
    /// 4 or 6; of an unreadable packet perhaps not its own.
    pub family: u8,
    /// [`Judged`] by its index; for an unreadable packet the counter of [`Unmatched`] plus [`Drop::UNREADABLE`].
    pub reason: u8,
    /// Without meaning.
    pub padding: [u8; 11],
}

impl Drop {
    /// Added to the reason of an unreadable packet.
    pub const UNREADABLE: u8 = 0x80;

    /// Reads an event as the kernel wrote it, in the byte order of the host; `None` where it is too short.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 56] = bytes.first_chunk()?;
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let short = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Some(Self {
            time: u64::from_ne_bytes(*bytes.first_chunk()?),
            source: *bytes.get(8..)?.first_chunk()?,
            ifindex: word(24),
            length: word(28),
            entry: word(32),
            service: short(36),
            port: short(38),
            vlan: short(40),
            protocol: bytes[42],
            family: bytes[43],
            reason: bytes[44],
            padding: [0; 11],
        })
    }

    /// The reason of a verdict.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 128 counters")]
    pub const fn reason(verdict: &Verdict) -> u8 {
        if verdict.service == 0 {
            Self::UNREADABLE | verdict.unmatched.counter() as u8
        } else {
            verdict.judged as u8
        }
    }
}
