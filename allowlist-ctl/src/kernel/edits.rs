//! What a change of a list means for its tries.

use std::cmp::Reverse;

use allowlist_common::abi::Node;
use aya::maps::lpm_trie::Key;
use ipnet::IpNet;

use crate::policy::{Entries, Prefix, entry::BootClock};

/// What a prefix said, and what it is to say.
pub(super) struct Edit {
    pub(super) prefix: Prefix,
    pub(super) before: Option<Node>,
    pub(super) after: Option<Node>,
}

/// The edits from one list to the next in the order in which they are to be made; `None` where they are more
/// than `limit`.
///
/// The most specific prefix is set first and the least specific one taken first. So whatever decides about a
/// source at any step is what decided before the change or what decides after it.
pub(super) fn few_edits(
    before: &Entries,
    after: &Entries,
    clock: &BootClock,
    limit: usize,
) -> Option<Vec<Edit>> {
    let mut prefixes: Vec<Prefix> =
        before.difference(after).take(limit + 1).map(|(key, ..)| key.prefix).collect();
    if prefixes.len() > limit {
        return None;
    }
    prefixes.dedup();
    let node = |prefix| (before.node(prefix, clock), after.node(prefix, clock));
    let mut edits: Vec<Edit> = prefixes
        .into_iter()
        .map(|prefix| (prefix, node(prefix)))
        .filter(|(_, (before, after))| before != after)
        .map(|(prefix, (before, after))| Edit { prefix, before, after })
        .collect();
    edits.sort_by_key(|edit| match edit.after {
        Some(_) => (false, Reverse(edit.prefix.bits()), 0),
        None => (true, Reverse(0), edit.prefix.bits()),
    });
    Some(edits)
}

/// Whether the IPv4 and the IPv6 entries of two lists differ.
pub(super) fn changed_families(before: &Entries, after: &Entries) -> (bool, bool) {
    let (mut v4, mut v6) = (false, false);
    for (key, ..) in before.difference(after) {
        match key.prefix.net() {
            IpNet::V4(_) => v4 = true,
            IpNet::V6(_) => v6 = true,
        }
        if v4 && v6 {
            break;
        }
    }
    (v4, v6)
}

/// A prefix as the key of its family's trie.
pub(super) enum FamilyKey {
    V4(Key<[u8; 4]>),
    V6(Key<[u8; 16]>),
}

impl From<Prefix> for FamilyKey {
    fn from(prefix: Prefix) -> Self {
        let bits = u32::from(prefix.bits());
        match prefix.net() {
            IpNet::V4(net) => Self::V4(Key::new(bits, net.addr().octets())),
            IpNet::V6(net) => Self::V6(Key::new(bits, net.addr().octets())),
        }
    }
}

/// The IPv4 nodes of a list.
pub(super) fn nodes_v4<'a>(
    entries: &'a Entries,
    clock: &'a BootClock,
) -> impl Iterator<Item = (Key<[u8; 4]>, Node)> + 'a {
    entries.nodes(clock).filter_map(|(prefix, node)| match prefix.into() {
        FamilyKey::V4(key) => Some((key, node)),
        FamilyKey::V6(_) => None,
    })
}

/// The IPv6 nodes of a list.
pub(super) fn nodes_v6<'a>(
    entries: &'a Entries,
    clock: &'a BootClock,
) -> impl Iterator<Item = (Key<[u8; 16]>, Node)> + 'a {
    entries.nodes(clock).filter_map(|(prefix, node)| match prefix.into() {
        FamilyKey::V6(key) => Some((key, node)),
        FamilyKey::V4(_) => None,
    })
}
