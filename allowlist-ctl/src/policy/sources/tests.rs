use std::{net::Ipv4Addr, sync::Arc};

use allowlist_common::abi::NEVER;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::policy::Author;

const NOW: i64 = 1000;

/// An entry of a few bits of the last byte, so that prefixes nest and meet, with its end.
type Spec = (u8, u8, bool, bool, Option<i64>);

fn lists() -> impl Strategy<Value = Vec<Vec<Spec>>> {
    let end = prop_oneof![
        Just(None),
        Just(Some(1)),
        Just(Some(NOW)),
        Just(Some(NOW + 1)),
        Just(Some(NOW + 9))
    ];
    let spec = (24u8..=32, any::<u8>(), any::<bool>(), any::<bool>(), end);
    vec(vec(spec, 0..8), 1..4)
}

fn entries(specs: &[Spec], first_id: u32) -> Entries {
    let mut entries = Entries::default();
    for (id, (bits, byte, except, file, end)) in (first_id..).zip(specs) {
        let net = ipnet::Ipv4Net::new(Ipv4Addr::new(10, 0, 0, *byte), *bits).unwrap();
        let key = EntryKey {
            prefix: net.into(),
            kind: if *except { Kind::Except } else { Kind::Allow },
            origin: if *file { Origin::File } else { Origin::Manual },
        };
        let entry = Entry {
            id,
            comment: None,
            added_by: Arc::new(Author { uid: 0, name: "root".into() }),
            added_at: Timestamp::UNIX_EPOCH,
            expires_at: end.map(|end| Timestamp::from_second(end).unwrap()),
        };
        entries.insert(key, entry);
    }
    entries
}

fn sources(lists: &[Vec<Spec>]) -> Sources {
    let numbered = (1..).zip(lists);
    Sources::of(numbered.map(|(number, specs)| (number, entries(specs, u32::from(number) * 100))))
}

fn clock() -> BootClock {
    BootClock { booted_at: Timestamp::UNIX_EPOCH, now: u32::try_from(NOW).unwrap() }
}

/// The rule of docs/verdicts.md, entry by entry.
fn by_the_rule(sources: &Sources, address: IpAddr, now: i64) -> Option<Kind> {
    sources
        .0
        .values()
        .flat_map(Entries::iter)
        .filter(|(key, _)| key.prefix.covers(address))
        .filter(|(_, entry)| entry.expires_at.is_none_or(|end| end.as_second() > now))
        .max_by_key(|(key, _)| (key.prefix.bits(), key.kind))
        .map(|(key, _)| key.kind)
}

/// The nodes searched from end to end, as the kernel does it.
fn by_the_nodes(nodes: &[(Prefix, Ruling)], address: IpAddr, now: i64) -> Option<(Kind, u32)> {
    let mut covering: Vec<_> = nodes.iter().filter(|(prefix, _)| prefix.covers(address)).collect();
    covering.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.bits()));
    covering.into_iter().find_map(|(_, node)| {
        let live = |until: u32| until == NEVER || i64::from(until) > now;
        if live(node.except_until) {
            Some((Kind::Except, node.except))
        } else if live(node.allow_until) {
            Some((Kind::Allow, node.allow))
        } else {
            None
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nodes_and_search_agree_with_the_rule_at_every_time(lists in lists(), now in 0..NOW + 20) {
        let sources = sources(&lists);
        let clock = clock();
        let nodes: Vec<_> = sources.nodes(&clock).collect();
        prop_assert!(nodes.is_sorted_by_key(|(prefix, _)| *prefix));
        for (prefix, node) in &nodes {
            prop_assert_eq!(sources.node(*prefix, &clock), Some(*node));
        }
        for byte in 0..=255 {
            let address = IpAddr::from([10, 0, 0, byte]);
            let rule = by_the_rule(&sources, address, now);
            let found = sources.deciding(address, Timestamp::from_second(now).unwrap());
            prop_assert_eq!(found.map(|deciding| deciding.key.kind), rule);
            let named = found.map(|deciding| (deciding.key.kind, deciding.entry.id));
            prop_assert_eq!(by_the_nodes(&nodes, address, now), named);
        }
    }

    #[test]
    fn the_difference_has_every_prefix_whose_node_changes(before in lists(), after in lists()) {
        let (before, after, clock) = (sources(&before), sources(&after), clock());
        let differing: std::collections::BTreeSet<Prefix> = before.difference(&after).collect();
        let nodes = before.nodes(&clock).chain(after.nodes(&clock));
        for (prefix, _) in nodes {
            if before.node(prefix, &clock) != after.node(prefix, &clock) {
                prop_assert!(differing.contains(&prefix), "{}", prefix);
            }
        }
    }
}

#[test]
fn excepts_of_any_list_inside_a_prefix_are_found() {
    let list = |texts: &[&str]| {
        let mut list = Entries::default();
        for text in texts {
            for key in crate::policy::entry::parse_keys(text).unwrap() {
                let entry =
                    entries(&[(32, 1, false, false, None)], 1).iter().next().unwrap().1.clone();
                // One has ended.
                let end = (*text == "!10.6.7.0/24").then(|| Timestamp::from_second(8).unwrap());
                list.insert(key, Entry { expires_at: end, ..entry });
            }
        }
        list
    };
    let sources = Sources::of(
        [
            (1, list(&["10.0.0.0/8", "!10.6.6.0/24", "!10.6.7.0/24", "!11.0.0.0/8"])),
            (1024, list(&["!10.7.0.0/16", "10.8.0.0/16", "!0.0.0.0/0"])),
        ]
        .into_iter(),
    );
    let within = |text: &str| -> Vec<String> {
        let found =
            sources.excepts_within(text.parse().unwrap(), Timestamp::from_second(9).unwrap());
        found.map(|(list, key)| format!("{list} {key}")).collect()
    };
    assert_eq!(within("10.0.0.0/8"), ["1 !10.6.6.0/24", "1024 !10.7.0.0/16"]);
    assert_eq!(within("10.7.0.0/16"), ["1024 !10.7.0.0/16"]);
    assert_eq!(within("10.8.0.0/16"), [""; 0]);
}
