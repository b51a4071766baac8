//! From a parsed packet to a verdict.

use crate::{
    abi::{BootSeconds, Judged, MONITOR, NEVER, Node, OPEN, PolicyTable, ServiceRow, Unmatched},
    parse::{Address, Flow, Parsed, Unreadable},
};

/// The tries that a [`PolicyTable`] refers to, and the clock that their entries end by.
pub trait Sources {
    /// The most specific prefix of at most `prefix_len` bits that covers an IPv4 address.
    fn lookup_v4(&self, trie: u32, prefix_len: u32, address: [u8; 4]) -> Option<Node>;
    /// The most specific prefix of at most `prefix_len` bits that covers an IPv6 address.
    fn lookup_v6(&self, trie: u32, prefix_len: u32, address: [u8; 16]) -> Option<Node>;
    /// Seconds since boot; asked for only where an entry has an end.
    fn now(&self) -> BootSeconds;
}

/// A packet's verdict and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The packet belongs to a service.
    Service {
        /// The service's number.
        number: u16,
        /// How it was judged.
        judged: Judged,
        /// Id of the entry that decided; 0 where none covers the source.
        entry: u32,
    },
    /// The packet belongs to no service.
    Unmatched(Unmatched),
}

impl Verdict {
    /// Whether the packet goes on to the network stack.
    #[must_use]
    #[inline(always)]
    pub const fn passes(&self) -> bool {
        match self {
            Self::Service { judged, .. } => judged.passes(),
            Self::Unmatched(unmatched) => unmatched.passes(),
        }
    }
}

/// Judges what the parser made of a packet that came in on an interface.
#[inline(always)]
pub fn decide<S: Sources>(
    table: &PolicyTable,
    sources: &S,
    ifindex: u32,
    parsed: Result<Parsed, Unreadable>,
) -> Verdict {
    let row = table.row(ifindex);
    let flow = match parsed {
        Ok(Parsed::Flow(flow)) => flow,
        Ok(Parsed::Unjudged(kind)) => return Verdict::Unmatched(Unmatched::Unjudged(kind)),
        Err(kind) if row.guarded != 0 => {
            return Verdict::Unmatched(Unmatched::UnreadableDropped(kind));
        }
        Err(kind) => return Verdict::Unmatched(Unmatched::UnreadablePassed(kind)),
    };
    let number = table.service_number(row, flow.protocol, flow.port);
    if number == 0 {
        return Verdict::Unmatched(Unmatched::NoService);
    }
    let (judged, entry) = judge(table.service(number), sources, &flow);
    Verdict::Service { number, judged, entry }
}

#[inline(always)]
fn judge<S: Sources>(service: &ServiceRow, sources: &S, flow: &Flow) -> (Judged, u32) {
    if service.flags & OPEN != 0 {
        return (Judged::AdmittedOpen, 0);
    }
    match deciding_entry(service, sources, flow.source) {
        Some(Rule::Allow(entry)) => (Judged::Admitted, entry),
        rule => {
            let entry = if let Some(Rule::Except(entry)) = rule { entry } else { 0 };
            let monitor = service.flags & MONITOR != 0;
            (if monitor { Judged::WouldDeny } else { Judged::Denied }, entry)
        }
    }
}

/// What an entry says, with its id.
enum Rule {
    Allow(u32),
    Except(u32),
}

/// The rule of the most specific prefix that still has one.
///
/// A prefix whose entries have all ended gives way to the next less specific one, so the walk takes as many
/// steps as prefixes around the source have ended, and one in the ordinary case.
#[inline(always)]
fn deciding_entry<S: Sources>(service: &ServiceRow, sources: &S, source: Address) -> Option<Rule> {
    let mut prefix_len = match source {
        Address::V4(_) => 32,
        Address::V6(_) => 128,
    };
    for _ in 0..=128 {
        let node = match source {
            Address::V4(address) => sources.lookup_v4(service.trie_v4, prefix_len, address)?,
            Address::V6(address) => sources.lookup_v6(service.trie_v6, prefix_len, address)?,
        };
        if is_live(sources, node.except_until) {
            return Some(Rule::Except(node.except));
        }
        if is_live(sources, node.allow_until) {
            return Some(Rule::Allow(node.allow));
        }
        if node.prefix_len == 0 || node.prefix_len > prefix_len {
            return None;
        }
        prefix_len = node.prefix_len - 1;
    }
    None
}

/// Whether an entry with this end still decides; an end of 0 belongs to no entry.
#[inline(always)]
fn is_live<S: Sources>(sources: &S, until: BootSeconds) -> bool {
    until == NEVER || (until != 0 && sources.now() < until)
}
