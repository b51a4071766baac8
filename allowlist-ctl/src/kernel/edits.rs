//! What a change of entries means for their trie.

use std::cmp::Reverse;

use allowlist_common::abi::Ruling;

use crate::policy::{Prefix, Sources, entry::BootClock};

/// What a prefix said, and what it is to say.
pub(super) struct Edit {
    pub(super) prefix: Prefix,
    pub(super) before: Option<Ruling>,
    pub(super) after: Option<Ruling>,
}

/// The edits from some sources to the next in the order in which they are to be made; `None` where they are more
/// than `limit`.
///
/// The most specific prefix is set first and the least specific one taken first. So whatever decides about a
/// source at any step is what decided before the change or what decides after it.
pub(super) fn few_edits(
    before: &Sources,
    after: &Sources,
    clock: &BootClock,
    limit: usize,
) -> Option<Vec<Edit>> {
    let mut prefixes: Vec<Prefix> = before.difference(after).take(limit + 1).collect();
    if prefixes.len() > limit {
        return None;
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    let node = |prefix| (before.node(prefix, clock), after.node(prefix, clock));
    let mut edits: Vec<Edit> = prefixes
        .into_iter()
        .map(|prefix| (prefix, node(prefix)))
        .filter(|(_, (before, after))| before != after)
        .map(|(prefix, (before, after))| Edit { prefix, before, after })
        .collect();
    edits.sort_by_key(|edit| {
        // A node whose entries have all ended decides no more than one that is gone.
        let is_set = edit.after.is_some_and(|node| clock.decides(&node));
        let bits = edit.prefix.bits();
        if is_set { (false, Reverse(bits), 0) } else { (true, Reverse(0), bits) }
    });
    Some(edits)
}

/// Whether the IPv4 and the IPv6 entries of two sources differ.
pub(super) fn changed_families(before: &Sources, after: &Sources) -> (bool, bool) {
    let (mut v4, mut v6) = (false, false);
    for prefix in before.difference(after) {
        v4 |= prefix.is_v4();
        v6 |= !prefix.is_v4();
        if v4 && v6 {
            break;
        }
    }
    (v4, v6)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

    use allowlist_common::{
        abi::{BootSeconds, Judged, PolicyTable, PortRow, ServiceRow},
        decide::{self, decide},
        parse::{Flow, Protocol},
    };
    use ipnet::IpNet;
    use jiff::Timestamp;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::policy::{Author, Entries, Entry, EntryKey, Kind};

    const NOW: BootSeconds = 1000;
    const PORT: u16 = 6379;

    /// A trie that is searched from end to end.
    #[derive(Clone, Default)]
    struct Scanned(BTreeMap<Prefix, Ruling>);

    impl decide::Sources for Scanned {
        fn lookup_v4(&self, _: u32, prefix_len: u32, address: [u8; 4]) -> Option<Ruling> {
            let covers = |prefix: &Prefix| match prefix.net() {
                IpNet::V4(net) => net.contains(&Ipv4Addr::from(address)),
                IpNet::V6(_) => false,
            };
            let candidates = self
                .0
                .iter()
                .filter(|(prefix, node)| covers(prefix) && node.prefix_len <= prefix_len);
            candidates.max_by_key(|(_, node)| node.prefix_len).map(|(_, node)| *node)
        }

        fn lookup_v6(&self, _: u32, _: u32, _: [u8; 16]) -> Option<Ruling> {
            None
        }

        fn now(&self) -> BootSeconds {
            NOW
        }
    }

    fn admits(trie: &Scanned, table: &PolicyTable, source: [u8; 4]) -> bool {
        let mut flow = Flow { port: PORT, ..Flow::EMPTY };
        flow.source[..4].copy_from_slice(&source);
        decide(table, trie, 1, Ok(()), &flow).judged == Judged::Admitted
    }

    fn table() -> Box<PolicyTable> {
        let mut table = Box::new(PolicyTable::EMPTY);
        table.services[1] = ServiceRow::default();
        table.rows[0].pages[PortRow::page_index(Protocol::Tcp, PORT)] = 1;
        table.pages[1][usize::from(PORT & 0xff)] = 1;
        table
    }

    /// Prefixes of a few bits of the last byte, so that they nest, each perhaps ended.
    fn sources() -> impl Strategy<Value = Sources> {
        let entry = (24u8..=32, any::<u8>(), any::<bool>(), any::<bool>());
        vec(entry, 0..12).prop_map(|specs| {
            let mut entries = Entries::default();
            for (id, (bits, byte, except, ended)) in (1..).zip(specs) {
                let net = ipnet::Ipv4Net::new(Ipv4Addr::new(10, 0, 0, byte), bits).unwrap();
                let kind = if except { Kind::Except } else { Kind::Allow };
                let seconds = if ended { 1 } else { i64::from(NOW) + 1 };
                let entry = Entry {
                    id,
                    comment: None,
                    added_by: Arc::new(Author { uid: 0, name: "root".into() }),
                    added_at: Timestamp::UNIX_EPOCH,
                    expires_at: Some(Timestamp::from_second(seconds).unwrap()),
                };
                entries.insert(EntryKey::manual(net.into(), kind), entry);
            }
            Sources::of(std::iter::once((1, entries)))
        })
    }

    fn by_the_rule(sources: &Sources, source: [u8; 4]) -> bool {
        sources.admits(source.into(), Timestamp::from_second(i64::from(NOW)).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn at_every_step_a_source_is_judged_as_before_or_as_after(
            before in sources(),
            after in sources(),
        ) {
            let clock = BootClock { booted_at: Timestamp::UNIX_EPOCH, now: NOW };
            let table = table();
            let mut trie = Scanned(before.nodes(&clock).collect());
            let sources: Vec<[u8; 4]> = (0..=255).map(|byte| [10, 0, 0, byte]).collect();
            for edit in few_edits(&before, &after, &clock, usize::MAX - 1).unwrap() {
                prop_assert_eq!(trie.0.get(&edit.prefix).copied(), edit.before);
                match edit.after {
                    Some(node) => trie.0.insert(edit.prefix, node),
                    None => trie.0.remove(&edit.prefix),
                };
                for source in &sources {
                    let admitted = admits(&trie, &table, *source);
                    let (old, new) = (by_the_rule(&before, *source), by_the_rule(&after, *source));
                    prop_assert!(admitted == old || admitted == new, "{:?}", source);
                }
            }
            for source in &sources {
                prop_assert_eq!(admits(&trie, &table, *source), by_the_rule(&after, *source));
            }
        }
    }
}
