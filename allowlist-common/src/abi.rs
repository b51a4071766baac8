//! Layouts and capacities that the eBPF program and the daemon share.
//!
//! Every structure is `repr(C)` without implicit padding. Lengths that are used as an index are powers of
//! two, so that masking an index keeps it in bounds for the compiler and the verifier alike.

mod counters;
mod event;
mod identity;
pub mod maps;
mod observe;
mod table;

pub use self::{
    counters::{Counter, HITS_PAGE, HITS_PAGES, Judged, Unmatched},
    event::{Drop, EVENTS_BYTES, EVENTS_PER_SECOND},
    identity::StoreIdentity,
    observe::{Explanation, SIGHTINGS, Sighted, Sighting, Source, tried},
    table::{
        InterfaceRow, MONITOR, OPEN, PolicyTable, PortRow, REJECT, SELECT, Selector, ServiceRow,
        WATCHED,
    },
};

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
