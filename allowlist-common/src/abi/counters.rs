//! What packets are counted by, and when entries last decided.

use crate::parse::Aside;

/// How a packet of a service was judged: its counter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Judged {
    /// An entry allows the source.
    Admitted = 0,
    /// The service has no entries.
    AdmittedOpen = 1,
    /// Dropped: no entry allows the source, or an except covers it.
    Denied = 2,
    /// The same in mode monitor: passed.
    WouldDeny = 3,
    /// Denied and answered; counted beside [`Judged::Denied`].
    RejectSent = 4,
    /// Denied, and the answer left out, for there were too many.
    RejectLimited = 5,
}

impl Judged {
    /// Every judgement, in the order of its index.
    pub const ALL: [Self; 6] = [
        Self::Admitted,
        Self::AdmittedOpen,
        Self::Denied,
        Self::WouldDeny,
        Self::RejectSent,
        Self::RejectLimited,
    ];
    /// Counters of one service.
    pub const SLOTS: u32 = 8;

    /// Whether the packet goes on to the network stack.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::Admitted | Self::AdmittedOpen | Self::WouldDeny)
    }

    /// Index of the counter of a service.
    #[must_use]
    #[inline(always)]
    pub const fn counter(self, service: u16) -> u32 {
        service as u32 * Self::SLOTS + self as u32
    }
}

/// What became of a packet that belongs to no service: its counter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(transparent)]
pub struct Unmatched(u8);

impl Unmatched {
    /// The port belongs to no service.
    pub const NO_SERVICE: Self = Self(0);
    /// Counters of packets of no service.
    pub const SLOTS: u32 = 32;

    const PASSED: u8 = 1;
    const DROPPED: u8 = 16;

    /// Without a port to judge it by, and passed.
    #[must_use]
    #[inline(always)]
    pub const fn passed(aside: Aside) -> Self {
        Self(Self::PASSED + aside as u8)
    }

    /// Unreadable, and dropped.
    #[must_use]
    #[inline(always)]
    pub const fn dropped(aside: Aside) -> Self {
        Self(Self::DROPPED + aside as u8)
    }

    /// Whether the packet goes on to the network stack.
    #[must_use]
    #[inline(always)]
    pub const fn passes(self) -> bool {
        self.0 < Self::DROPPED
    }

    /// Index of its counter.
    #[must_use]
    #[inline(always)]
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }
}

/// Packets and bytes, the Ethernet header included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Counter {
    /// Number of packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Entries in one map of last hits, a power of two.
pub const HITS_PAGE: u32 = 1 << 18;
/// Maps of last hits, at most; entries with greater ids have no last hit.
pub const HITS_PAGES: u32 = 64;
