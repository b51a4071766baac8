//! Layouts and capacities that the eBPF program and the daemon share.
//!
//! Every structure is `repr(C)` without implicit padding. Lengths that are used as an index are powers of
//! two, so that masking an index keeps it in bounds for the compiler and the verifier alike.

mod event;
mod identity;
mod observe;

pub use self::{
    event::{Drop, EVENTS_BYTES, EVENTS_PER_SECOND},
    identity::StoreIdentity,
    observe::{Explanation, SIGHTINGS, Sighted, Sighting, Source, tried},
};
use crate::parse::{Aside, Protocol};

/// Version of everything in this module and of the layouts in [`flat`](crate::flat); maps of another version are never
/// reused.
pub const ABI_VERSION: u32 = if cfg!(feature = "next-abi") { 2 } else { 1 };

/// Services, the reserved number 0 ("no service") included.
pub const SERVICES: usize = 1024;
/// Different port assignments of interfaces; row 0 holds the services that are bound to no interface.
pub const PORT_ROWS: usize = 32;
/// Different pages of 256 ports; page 0 holds no service.
pub const PORT_PAGES: usize = 1024;
/// Ports on a page.
pub const PAGE_PORTS: usize = 256;
/// Places for interfaces that have a row of their own.
pub const INTERFACES: usize = 256;
/// Ports that several services share by destination address: different sets of such services.
pub const SELECTORS: usize = 256;
/// Services on an interface whose later fragments are judged by their source.
pub const STRICT_SERVICES: usize = 16;
/// Slots of each family's trie pool.
pub const TRIES: u32 = if cfg!(feature = "next-abi") { 2048 } else { 4096 };
/// Prefixes in one trie, at most.
pub const TRIE_ENTRIES: u32 = 1 << 24;

/// Page numbers in a row: 256 for each of eight protocols, of which [`Protocol`] uses five.
const ROW_PAGES: usize = 8 * 256;
const INTERFACE_SHIFT: u32 = u32::BITS - INTERFACES.trailing_zeros();

/// Names of the maps as the program declares them.
pub mod maps {
    /// One slot: the map that holds the [`PolicyTable`](super::PolicyTable) in force.
    pub const ROOT: &str = "ROOT";
    /// Pool of IPv4 tries.
    pub const TRIES_V4: &str = "TRIES_V4";
    /// Pool of IPv6 tries.
    pub const TRIES_V6: &str = "TRIES_V6";
    /// Root tables of the tries in flat memory: maps of one [`Root`](crate::flat::Root).
    pub const FLAT_ROOTS: &str = "FLAT_ROOTS";
    /// Maps of [`ELEMENTS_CHUNK`](crate::flat::ELEMENTS_CHUNK) [`Element`](crate::flat::Element)s.
    pub const FLAT_ELEMENTS: &str = "FLAT_ELEMENTS";
    /// Maps of [`WORDS_CHUNK`](crate::flat::WORDS_CHUNK) [`Word`](crate::flat::Word)s.
    pub const FLAT_WORDS: &str = "FLAT_WORDS";
    /// Per-CPU [`Counter`](super::Counter) by service and [`Judged`](super::Judged).
    pub const SERVICE_COUNTERS: &str = "SERVICE_COUNTS";
    /// Per-CPU [`Counter`](super::Counter) of packets that belong to no service, by [`Unmatched`](super::Unmatched).
    pub const UNMATCHED_COUNTERS: &str = "OTHER_COUNTS";
    /// Maps of [`HITS_PAGE`](super::HITS_PAGE) entries each: when an entry last matched, in seconds of the
    /// monotonic clock.
    pub const HITS: &str = "HITS";
    /// Ring buffer of [`Drop`](super::Drop).
    pub const EVENTS: &str = "EVENTS";
    /// Per-CPU `u64`, one: how many events a CPU may still report. The daemon fills it up every second, so that neither
    /// a flood nor the daemon's end costs more than a glance.
    pub const EVENT_BUDGET: &str = "EVENT_BUDGET";
    /// Per-CPU `u64`, one: packets that were not reported since the program was loaded.
    pub const EVENTS_LOST: &str = "EVENTS_LOST";
    /// The programs that go on with a packet that was judged, by [`next`](super::next).
    pub const NEXT: &str = "NEXT";
    /// One slot: the map that holds the [`PolicyTable`](super::PolicyTable) on trial.
    pub const TRIAL: &str = "TRIAL";
    /// Per-CPU `u64` of packets that were judged twice, by [`tried`](super::tried).
    pub const TRIED: &str = "TRIED";
    /// [`Sighting`](super::Sighting) by [`Source`](super::Source).
    pub const SIGHTINGS: &str = "SIGHTINGS";
    /// One slot: [`Explanation`](super::Explanation).
    pub const EXPLANATION: &str = "EXPLANATION";
}

/// Programs that go on with a packet that was judged: their places in [`maps::NEXT`].
pub mod next {
    /// What follows a denial: a report, an answer.
    pub const AFTERMATH: u32 = 0;
    /// What notes sources and judges by the policy on trial; it goes on with the aftermath.
    pub const OBSERVE: u32 = 1;
    /// Places.
    pub const SLOTS: u32 = 2;
}

/// A moment on the boot clock, in seconds; [`NEVER`] lies beyond all of them.
pub type BootSeconds = u32;

/// The end of an entry that does not expire.
pub const NEVER: BootSeconds = BootSeconds::MAX;

/// What the entries of one prefix say: the value in a trie.
///
/// An except of the prefix decides until `except_until`, then an allow until `allow_until`; after both, the
/// next less specific prefix decides. A missing entry has id 0 and an end of 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(C)]
pub struct Ruling {
    /// Id of the entry that allows.
    pub allow: u32,
    /// Id of the entry that denies.
    pub except: u32,
    /// When the allow ends.
    pub allow_until: BootSeconds,
    /// When the except ends.
    pub except_until: BootSeconds,
    /// Length of the prefix, in bits.
    pub prefix_len: u32,
}

impl Ruling {
    /// The ruling as the words that the kernel stores.
    #[must_use]
    pub const fn to_words(self) -> [u32; 5] {
        [self.allow, self.except, self.allow_until, self.except_until, self.prefix_len]
    }
}

/// One protected service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct ServiceRow {
    /// Slot of its IPv4 trie, or with [`FLAT`](crate::flat::FLAT) the number of its root table.
    pub trie_v4: u32,
    /// The same for IPv6.
    pub trie_v6: u32,
    /// Of [`OPEN`], [`MONITOR`], [`REJECT`] and [`WATCHED`].
    pub flags: u32,
}

/// Flag of a service that has no entries and therefore admits everyone.
pub const OPEN: u32 = 1;
/// Flag of a service that passes and counts what it would drop.
pub const MONITOR: u32 = 2;
/// Flag of a service that answers what it drops, so that clients know at once.
pub const REJECT: u32 = 4;
/// Flag of a service whose passing packets' sources are noted.
pub const WATCHED: u32 = 8;

/// Flag of a port whose service depends on the destination address: the number is that of a [`Selector`].
pub const SELECT: u16 = 0x8000;

/// Tries of destination prefixes; a node's `allow` is the number of the service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Selector {
    /// Slot of the IPv4 trie.
    pub trie_v4: u32,
    /// Slot of the IPv6 trie.
    pub trie_v6: u32,
}

/// The ports of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct PortRow {
    /// Number of the page of each protocol and high byte of a port.
    pub pages: [u16; ROW_PAGES],
    /// 1 while a closed service in mode enforce is on the interface: what cannot be read is dropped.
    pub guarded: u32,
    /// How many of `strict_services` there are; 0 where later fragments pass from anywhere.
    pub strict: u32,
    /// Services on the interface: later fragments pass only from sources that one of them admits.
    pub strict_services: [u16; STRICT_SERVICES],
}

impl PortRow {
    /// A row without a service.
    pub const EMPTY: Self = Self {
        pages: [0; ROW_PAGES],
        guarded: 0,
        strict: 0,
        strict_services: [0; STRICT_SERVICES],
    };

    /// Where the page of a protocol and the high byte of a port stands.
    #[must_use]
    #[inline(always)]
    pub const fn page_index(protocol: Protocol, port: u16) -> usize {
        ((protocol as usize) << 8 | (port >> 8) as usize) & (ROW_PAGES - 1)
    }
}

/// The row of one interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct InterfaceRow {
    /// The interface's index; 0 for an unused place.
    pub ifindex: u32,
    /// Its row in [`PolicyTable::rows`].
    pub row: u32,
}

/// The policy as the program reads it: swapped as a whole, or changed word by word where one service's row and what
/// guards it are all that differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct PolicyTable {
    /// [`ABI_VERSION`], for whoever looks at a dump of the map.
    pub version: u32,
    /// Multiplier that gives every interface with a row of its own a place of its own; 0 when none has one.
    pub multiplier: u32,
    /// 1 while packets are judged by another policy, too: the one on trial.
    pub is_tried: u32,
    /// Interfaces by [`PolicyTable::place`].
    pub interfaces: [InterfaceRow; INTERFACES],
    /// Services by number.
    pub services: [ServiceRow; SERVICES],
    /// Selectors by number.
    pub selectors: [Selector; SELECTORS],
    /// Rows of ports.
    pub rows: [PortRow; PORT_ROWS],
    /// Pages of service numbers by the low byte of a port; 0 is "no service".
    pub pages: [[u16; PAGE_PORTS]; PORT_PAGES],
}

impl PolicyTable {
    /// A table without services: everything passes.
    #[expect(clippy::large_stack_arrays, reason = "a constant, never on the stack of the kernel")]
    pub const EMPTY: Self = Self {
        version: ABI_VERSION,
        multiplier: 0,
        is_tried: 0,
        interfaces: [InterfaceRow { ifindex: 0, row: 0 }; INTERFACES],
        services: [ServiceRow { trie_v4: 0, trie_v6: 0, flags: 0 }; SERVICES],
        selectors: [Selector { trie_v4: 0, trie_v6: 0 }; SELECTORS],
        rows: [PortRow::EMPTY; PORT_ROWS],
        pages: [[0; PAGE_PORTS]; PORT_PAGES],
    };

    /// The place of an interface under a multiplier.
    #[must_use]
    #[inline(always)]
    pub const fn place(ifindex: u32, multiplier: u32) -> usize {
        (ifindex.wrapping_mul(multiplier) >> INTERFACE_SHIFT) as usize & (INTERFACES - 1)
    }

    /// The ports of an interface: its own row, or the one of services bound to no interface.
    #[must_use]
    #[inline(always)]
    pub fn row(&self, ifindex: u32) -> &PortRow {
        let mut row = 0;
        if self.multiplier != 0 {
            let place = &self.interfaces[Self::place(ifindex, self.multiplier)];
            if place.ifindex == ifindex {
                row = place.row as usize;
            }
        }
        &self.rows[row & (PORT_ROWS - 1)]
    }

    /// What a port belongs to: the number of a service, 0 for none, or with [`SELECT`] that of a selector.
    #[must_use]
    #[inline(always)]
    pub fn port(&self, row: &PortRow, protocol: Protocol, port: u16) -> u16 {
        let page = row.pages[PortRow::page_index(protocol, port)] as usize & (PORT_PAGES - 1);
        self.pages[page][port as usize & (PAGE_PORTS - 1)]
    }

    /// The selector with a number, [`SELECT`] included.
    #[must_use]
    #[inline(always)]
    pub fn selector(&self, number: u16) -> &Selector {
        &self.selectors[number as usize & (SELECTORS - 1)]
    }

    /// The service with a number.
    #[must_use]
    #[inline(always)]
    pub fn service(&self, number: u16) -> &ServiceRow {
        &self.services[number as usize & (SERVICES - 1)]
    }
}

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
