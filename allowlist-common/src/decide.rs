//! From a parsed packet to a verdict.

use crate::{
    abi::{
        BootSeconds, Judged, MONITOR, NEVER, OPEN, PolicyTable, PortRow, REJECT, Ruling, SELECT,
        ServiceRow, Unmatched,
    },
    flat::{self, Element, FLAT, Key, Says, Slot, Word},
    parse::{Aside, Family, Flow, v4},
};

/// Prefixes around a source whose entries may have ended: as many as there can be.
pub const MAX_ENDED: usize = 128;

/// The tries that a [`PolicyTable`] refers to, and the clock that their entries end by.
///
/// There are two kinds of tries, told apart by [`FLAT`]: the kernel's own, and those in [`flat`] memory.
///
/// The daemon may change words of the table while a packet is judged by it. Those that are changed so are read by
/// [`Sources::load`]: a service's flags, then the number of one of its tries, and what guards the interface last. Which
/// changes are made in place is decided by that order.
pub trait Sources {
    /// A word of the table, read once, and where it stands in the program.
    #[inline(always)]
    fn load(&self, word: &u32) -> u32 {
        *word
    }
    /// What a trie says about an address: a word that says nothing, allows or denies.
    #[inline(always)]
    fn deciding(&self, trie: u32, family: Family, address: Key) -> Word
    where
        Self: Sized,
    {
        deciding(self, trie, family, address)
    }
    /// The most specific prefix of at most `prefix_len` bits that covers an IPv4 address, in a trie of the kernel.
    fn lookup_v4(&self, trie: u32, prefix_len: u32, address: [u8; 4]) -> Option<Ruling>;
    /// The most specific prefix of at most `prefix_len` bits that covers an IPv6 address, in a trie of the kernel.
    fn lookup_v6(&self, trie: u32, prefix_len: u32, address: [u8; 16]) -> Option<Ruling>;
    /// A slot of a root table in flat memory, by the first bits of an address; `None` where there is no such memory.
    #[inline(always)]
    fn slot(&self, _root: u32, _index: u16) -> Option<Slot> {
        None
    }
    /// An element in flat memory.
    #[inline(always)]
    fn element(&self, _at: u32) -> Option<&Element> {
        None
    }
    /// A word in flat memory.
    #[inline(always)]
    fn word(&self, _at: u32) -> Option<Word> {
        None
    }
    /// Seconds since boot; asked for only where an entry has an end.
    fn now(&self) -> BootSeconds;

    /// Whether an entry with this end still decides; an end of 0 belongs to no entry.
    #[inline(always)]
    fn is_live(&self, until: BootSeconds) -> bool {
        until == NEVER || (until != 0 && self.now() < until)
    }
}

/// A packet's verdict and why.
///
/// Plain fields that always hold something, as in [`Flow`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Number of the service that the packet belongs to; 0 for none.
    pub service: u16,
    /// How the service judged it; without meaning for none.
    pub judged: Judged,
    /// What became of a packet of no service; without meaning for others.
    pub unmatched: Unmatched,
    /// Id of the entry that decided; 0 where none covers the source.
    pub entry: u32,
    /// Whether the packet, which was denied, is to be answered.
    pub reject: bool,
}

impl Verdict {
    const NO_SERVICE: Self = Self {
        service: 0,
        judged: Judged::Denied,
        unmatched: Unmatched::NO_SERVICE,
        entry: 0,
        reject: false,
    };

    /// Whether the packet goes on to the network stack.
    #[must_use]
    #[inline(always)]
    pub const fn passes(&self) -> bool {
        if self.service == 0 { self.unmatched.passes() } else { self.judged.passes() }
    }

    /// Whether the packet passes and nothing is left to be told of it.
    #[must_use]
    #[inline(always)]
    pub const fn is_plain(&self) -> bool {
        if self.service == 0 {
            self.unmatched.passes()
        } else {
            matches!(self.judged, Judged::Admitted | Judged::AdmittedOpen)
        }
    }
}

/// Judges what the parser made of a packet that came in on an interface.
#[inline(always)]
pub fn decide<S: Sources>(
    table: &PolicyTable,
    sources: &S,
    ifindex: u32,
    parsed: Result<(), Aside>,
    flow: &Flow,
) -> Verdict {
    let row = table.row(ifindex);
    if let Err(aside) = parsed {
        return set_aside(table, row, sources, aside, flow);
    }
    let mut verdict = Verdict::NO_SERVICE;
    verdict.service = service_number(table, row, sources, flow);
    if verdict.service != 0 {
        let service = table.service(verdict.service);
        judge(&mut verdict, service, sources, flow);
    }
    verdict
}

/// What has no port passes; what hides it is dropped where something is protected that it could reach.
#[inline(always)]
fn set_aside<S: Sources>(
    table: &PolicyTable,
    row: &PortRow,
    sources: &S,
    mut aside: Aside,
    flow: &Flow,
) -> Verdict {
    if matches!(aside, Aside::LaterFragment)
        && row.strict != 0
        && !is_admitted_somewhere(table, row, sources, flow)
    {
        aside = Aside::FragmentRefused;
    }
    let unmatched = if aside.is_unreadable() && sources.load(&row.guarded) != 0 {
        Unmatched::dropped(aside)
    } else {
        Unmatched::passed(aside)
    };
    Verdict { unmatched, ..Verdict::NO_SERVICE }
}

/// Number of the service that a packet belongs to, or 0.
#[inline(always)]
fn service_number<S: Sources>(table: &PolicyTable, row: &PortRow, sources: &S, flow: &Flow) -> u16 {
    let number = table.port(row, flow.protocol, flow.port);
    if number & SELECT == 0 {
        return number;
    }
    let selector = table.selector(number);
    let node = match flow.family {
        Family::V4 => sources.lookup_v4(selector.trie_v4, 32, v4(&flow.destination)),
        Family::V6 => sources.lookup_v6(selector.trie_v6, 128, flow.destination),
    };
    // Numbers of services are shorter than ids of entries.
    node.map_or(0, |node| (node.allow & 0xffff) as u16)
}

#[inline(always)]
fn judge<S: Sources>(verdict: &mut Verdict, service: &ServiceRow, sources: &S, flow: &Flow) {
    let flags = sources.load(&service.flags);
    if flags & OPEN != 0 {
        verdict.judged = Judged::AdmittedOpen;
        return;
    }
    let (allowed, entry) = deciding_rule(service, sources, flow);
    verdict.entry = entry;
    if allowed {
        verdict.judged = Judged::Admitted;
    } else if flags & MONITOR != 0 {
        verdict.judged = Judged::WouldDeny;
    } else {
        verdict.judged = Judged::Denied;
        verdict.reject = flags & REJECT != 0;
    }
}

/// Whether some service of a strict interface admits a source.
#[inline(always)]
fn is_admitted_somewhere<S: Sources>(
    table: &PolicyTable,
    row: &PortRow,
    sources: &S,
    flow: &Flow,
) -> bool {
    for (index, number) in (0..).zip(row.strict_services) {
        if index >= row.strict {
            return false;
        }
        let service = table.service(number);
        if sources.load(&service.flags) & OPEN != 0 || deciding_rule(service, sources, flow).0 {
            return true;
        }
    }
    false
}

/// Whether the entries allow a source, and the id of the one that decides; 0 where none does.
#[inline(always)]
fn deciding_rule<S: Sources>(service: &ServiceRow, sources: &S, flow: &Flow) -> (bool, u32) {
    let trie = match flow.family {
        Family::V4 => &service.trie_v4,
        Family::V6 => &service.trie_v6,
    };
    let trie = sources.load(trie);
    sources.deciding(trie, flow.family, Key::new(&flow.source)).verdict()
}

/// What a trie says about an address.
#[inline(always)]
pub fn deciding<S: Sources>(sources: &S, trie: u32, family: Family, address: Key) -> Word {
    if trie & FLAT != 0 {
        flat::deciding(sources, trie & !FLAT, address)
    } else {
        in_kernel_trie::<S, MAX_ENDED>(sources, trie, family, address)
    }
}

/// What a trie of the kernel says about an address.
///
/// It is what the most specific prefix says that still has an entry. A prefix whose entries have all ended gives way to
/// the next less specific one, so the walk takes as many steps as prefixes around the address have ended, and one in the
/// ordinary case. Behind more than `MAX_ENDED` of them nothing is said.
#[inline(always)]
pub fn in_kernel_trie<S: Sources, const MAX_ENDED: usize>(
    sources: &S,
    trie: u32,
    family: Family,
    address: Key,
) -> Word {
    match family {
        Family::V4 => {
            let address = address.v4();
            first_live::<S, MAX_ENDED>(sources, 32, |bits| sources.lookup_v4(trie, bits, address))
        }
        Family::V6 => {
            let address = address.v6();
            first_live::<S, MAX_ENDED>(sources, 128, |bits| sources.lookup_v6(trie, bits, address))
        }
    }
}

/// What the first prefix says that still has an entry, from the most specific one of at most `bits` on.
#[inline(always)]
fn first_live<S: Sources, const MAX_ENDED: usize>(
    sources: &S,
    mut bits: u32,
    lookup: impl Fn(u32) -> Option<Ruling>,
) -> Word {
    for _ in 0..=MAX_ENDED {
        let Some(node) = lookup(bits) else { break };
        if sources.is_live(node.except_until) {
            return Word::new(Says::Deny(node.except));
        }
        if sources.is_live(node.allow_until) {
            return Word::new(Says::Allow(node.allow));
        }
        if node.prefix_len == 0 || node.prefix_len > bits {
            break;
        }
        bits = node.prefix_len - 1;
    }
    Word::NOTHING
}
