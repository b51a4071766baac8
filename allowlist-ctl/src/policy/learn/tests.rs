use std::sync::Arc;

use super::*;
use crate::policy::{
    Author,
    change::{self, Change, Settings},
    lines,
};

const NOW: &str = "2026-11-25T09:00:00Z";

fn make(policy: &Policy, change: &Change) -> Policy {
    let author = Arc::new(Author { uid: 0, name: "root".into() });
    change::apply(policy, change, &author, NOW.parse().unwrap()).unwrap().policy
}

/// `redis` in a mode with these entries, which includes `office` with those, and `trusted` with 10.99.0.0/16.
fn policy(mode: Mode, own: &str, office: &str) -> Policy {
    let name = |name: &str| name.parse().unwrap();
    let ports = BTreeSet::from(["tcp/6379".parse().unwrap()]);
    let includes = Some(BTreeSet::from([name("office")]));
    let settings = Settings { ports, includes, mode: Some(mode), ..Settings::default() };
    let replace = |list: &str, text: &str| Change::Replace {
        name: name(list),
        entries: lines::parse(text).unwrap(),
    };
    [
        Change::SetGroup { name: name("office"), follow: None },
        Change::Protect { name: name("redis"), settings },
        replace("redis", own),
        replace("office", office),
        replace("trusted", "10.99.0.0/16"),
    ]
    .iter()
    .fold(Policy::default(), |policy, change| make(&policy, change))
}

/// Addresses and ranges of them, each with a packet and no connection.
fn seen(text: &str) -> BTreeMap<IpAddr, Seen> {
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).ok();
    let one = Seen { packets: 1, first: at(0), last: at(1), connections: 0 };
    let prefixes = text.split_whitespace().flat_map(|text| Prefix::parse_all(text).unwrap());
    prefixes.flat_map(addresses).map(|address| (address, one)).collect()
}

/// Every address of a prefix, the first and the last too.
fn addresses(prefix: Prefix) -> Vec<IpAddr> {
    match (prefix.net().network(), prefix.net().broadcast()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            (first.to_bits()..=last.to_bits()).map(|bits| IpAddr::V4(bits.into())).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            (first.to_bits()..=last.to_bits()).map(|bits| IpAddr::V6(bits.into())).collect()
        }
        _ => Vec::new(),
    }
}

fn proposed(policy: &Policy, sources: &str, denied: &str, tighten: bool) -> Proposal {
    let denied = denied.split_whitespace().map(|text| text.parse().unwrap()).collect();
    let service = &policy.services["redis"];
    propose(policy, service, &seen(sources), &denied, tighten, NOW.parse().unwrap())
}

fn prefixes(proposal: &Proposal) -> String {
    let prefixes: Vec<String> =
        proposal.proposed.iter().map(|one| one.prefix.to_string()).collect();
    prefixes.join(" ")
}

#[test]
fn sources_are_merged_no_further_than_what_was_seen_warrants() {
    let policy = policy(Mode::Enforce, "", "");
    let table = [
        ("nobody", "", "", ""),
        ("one of each family", "10.0.0.7 2001:db8:1:2::7", "", "10.0.0.7/32 2001:db8:1:2::/64"),
        ("two side by side", "10.0.0.6-10.0.0.7", "", "10.0.0.6/31"),
        ("two in two halves", "10.0.0.7-10.0.0.8", "", "10.0.0.7/32 10.0.0.8/32"),
        ("all of a prefix, however large", "10.4.0.0-10.4.3.255", "", "10.4.0.0/22"),
        ("three of four are too few", "10.0.0.1-10.0.0.3", "", "10.0.0.1/32 10.0.0.2/31"),
        ("a quarter", "10.0.0.1 10.0.0.5 10.0.0.9 10.0.0.13", "", "10.0.0.0/28"),
        (
            "a quarter, one of them denied",
            "10.0.0.1 10.0.0.5 10.0.0.9 10.0.0.13",
            "10.0.0.4",
            "10.0.0.1/32 10.0.0.5/32 10.0.0.9/32 10.0.0.13/32",
        ),
        (
            "a denied neighbour outside",
            "10.0.0.1 10.0.0.5 10.0.0.9 10.0.0.13",
            "10.0.0.16",
            "10.0.0.0/28",
        ),
        (
            "less than a quarter",
            "10.0.0.1 10.0.0.9 10.0.0.17 10.0.0.25",
            "",
            "10.0.0.1/32 10.0.0.9/32 10.0.0.17/32 10.0.0.25/32",
        ),
        ("many in one half", "10.0.0.0-10.0.0.63", "", "10.0.0.0/26"),
        ("many and one far away", "10.0.0.0-10.0.0.63 10.0.0.200", "", "10.0.0.0/26 10.0.0.200/32"),
        (
            "no shorter than /24",
            "10.0.0.0-10.0.0.254 10.0.1.0-10.0.1.254",
            "",
            "10.0.0.0/24 10.0.1.0/24",
        ),
        (
            "a host with many addresses",
            "2001:db8:1:2::1 2001:db8:1:2:a:b:c:d",
            "",
            "2001:db8:1:2::/64",
        ),
        (
            "a subnet with a denied host",
            "2001:db8:1:2::8-2001:db8:1:2::9",
            "2001:db8:1:2::7",
            "2001:db8:1:2::8/127",
        ),
        (
            "a quarter of a site",
            "2001:db8:1::1 2001:db8:1:1::1 2001:db8:1:4::1 2001:db8:1:6::1",
            "",
            "2001:db8:1::/61",
        ),
        (
            "the same with a denied subnet",
            "2001:db8:1::1 2001:db8:1:1::1 2001:db8:1:4::1 2001:db8:1:6::1",
            "2001:db8:1:5::1",
            "2001:db8:1::/63 2001:db8:1:4::/64 2001:db8:1:6::/64",
        ),
        (
            "subnets that hosts share",
            "fe80::1 64:ff9b::203.0.113.7 2001::7",
            "",
            "64:ff9b::cb00:7107/128 2001::7/128 fe80::1/128",
        ),
        ("what no host has", "0.0.0.0 224.0.0.1 255.255.255.255 ff02::1 ::", "", ""),
    ];
    let wrong: Vec<String> = table
        .into_iter()
        .filter_map(|(description, sources, denied, expected)| {
            let found = prefixes(&proposed(&policy, sources, denied, false));
            (found != expected).then(|| format!("{description}: {found}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_ipv6_source_that_stands_for_an_ipv4_address_is_not_proposed() {
    let policy = policy(Mode::Enforce, "", "");
    let source: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    let seen = BTreeMap::from([(source, Seen { packets: 1, ..Seen::default() })]);
    let now = NOW.parse().unwrap();
    let service = &policy.services["redis"];
    let proposal = propose(&policy, service, &seen, &BTreeSet::new(), false, now);
    assert_eq!((proposal.proposed.len(), proposal.addresses), (0, 0));
}

#[test]
fn nobody_is_proposed_who_is_denied_or_admitted_all_the_same() {
    const OWN: &str = "10.0.0.0/24 # web\n!10.0.0.64/26\n10.0.0.70 # but him\n\
                       10.5.0.1 until=2026-11-01T00:00Z # a visitor";
    const SOURCES: &str = "10.0.0.1 10.0.0.66 10.0.0.70 10.5.0.1 10.6.0.1 10.7.0.1 10.99.0.1";
    // Mode, tighten: what is proposed, and how many are admitted, excepted, denied and ended.
    let table = [
        (Mode::Enforce, false, "", [4, 1, 2, 0]),
        (Mode::Enforce, true, "10.0.0.1/32 10.0.0.70/32", [2, 1, 2, 0]),
        (Mode::Monitor, false, "10.7.0.1/32", [4, 1, 0, 1]),
        (Mode::Monitor, true, "10.0.0.1/32 10.0.0.70/32 10.5.0.1/32 10.7.0.1/32", [2, 1, 0, 0]),
    ];
    for (mode, tighten, expected, left_out) in table {
        let policy = policy(mode, OWN, "10.6.0.0/16");
        let proposal = proposed(&policy, SOURCES, "", tighten);
        let Proposal { admitted, excepted, denied, ended, .. } = proposal;
        let found = (prefixes(&proposal), [admitted, excepted, denied, ended]);
        assert_eq!(found, (expected.to_owned(), left_out), "{mode:?}, {tighten}");
        let kept: Vec<String> = proposal.kept.iter().map(|(key, _)| key.to_string()).collect();
        let all = ["10.0.0.0/24", "!10.0.0.64/26", "10.0.0.70/32", "10.5.0.1/32"];
        assert_eq!(kept, if tighten { vec![all[1]] } else { all.to_vec() }, "{mode:?}, {tighten}");
    }
}

#[test]
fn what_is_admitted_inside_an_except_stays_by_itself() {
    // All of a range, of which a half is admitted one by one inside an except.
    let own = "!10.0.0.4/30\n!2001:db8:1::/48\n10.0.0.0-10.0.0.3\n10.0.0.4/32\n10.0.0.5/32\n\
               10.0.0.6/32\n10.0.0.7/32\n2001:db8:1:2::7";
    let policy = policy(Mode::Enforce, own, "");
    let proposal = proposed(&policy, "10.0.0.0-10.0.0.7 2001:db8:1:2::7", "", true);
    let expected =
        "10.0.0.0/30 10.0.0.4/32 10.0.0.5/32 10.0.0.6/32 10.0.0.7/32 2001:db8:1:2::7/128";
    assert_eq!(prefixes(&proposal), expected);
}

#[test]
fn each_line_tells_who_was_seen() {
    let policy = policy(Mode::Enforce, "", "");
    let mut seen = seen("10.0.0.0-10.0.0.3");
    let later = Timestamp::from_second(1_800_000_009).ok();
    let busy = Seen { packets: 7, last: later, connections: 2, ..seen[&[10, 0, 0, 1].into()] };
    seen.insert([10, 0, 0, 1].into(), busy);
    // Known by its connection alone.
    seen.insert([10, 0, 0, 9].into(), Seen { connections: 1, ..Seen::default() });
    let now = NOW.parse().unwrap();
    let service = &policy.services["redis"];
    let proposal = propose(&policy, service, &seen, &BTreeSet::new(), false, now);
    let [many, one] = &proposal.proposed[..] else { panic!("{proposal:?}") };
    let all = Seen { packets: 10, ..busy };
    assert_eq!(
        (many.prefix.to_string(), many.addresses, many.seen),
        ("10.0.0.0/30".into(), 4, all)
    );
    assert_eq!((one.prefix.to_string(), one.addresses), ("10.0.0.9/32".into(), 1));
    assert_eq!((proposal.unproven, proposal.addresses), (3, 5));
    assert_eq!(proposal.seen, Seen { connections: 3, ..all });
}

proptest::proptest! {
    #[test]
    fn whoever_was_seen_is_admitted_and_nobody_denied_is(
        sources in proptest::collection::btree_set(0_u32..2048, 0..300),
        denied in proptest::collection::btree_set(0_u32..2048, 0..20),
        excepts in proptest::collection::vec((0_u32..256, 26_u8..=32), 0..4),
    ) {
        let address = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        let excepts: Vec<Prefix> = excepts
            .into_iter()
            .filter_map(|(number, bits)| Prefix::around(address(number * 8), bits))
            .collect();
        let own: Vec<String> = excepts.iter().map(|prefix| format!("!{prefix}")).collect();
        let own = own.join("\n");
        let before = policy(Mode::Monitor, &own, "");
        let one = Seen { packets: 1, ..Seen::default() };
        let sources: BTreeMap<IpAddr, Seen> =
            sources.into_iter().map(|number| (address(number), one)).collect();
        let denied: BTreeSet<IpAddr> = denied.into_iter().map(address).collect();
        let now = NOW.parse().unwrap();
        let proposal =
            propose(&before, &before.services["redis"], &sources, &denied, false, now);
        let proposed = prefixes(&proposal).replace(' ', "\n");
        let name = "redis".parse().unwrap();
        let entries = lines::parse(&format!("{own}\n{proposed}")).unwrap();
        let after = make(&before, &Change::Replace { name, entries });
        let after = after.sources(&after.services["redis"]);
        for source in sources.keys() {
            let is_excepted = excepts.iter().any(|prefix| prefix.covers(*source));
            assert_eq!(after.admits(*source, now), !is_excepted, "{source}");
        }
        for source in denied.iter().filter(|source| !sources.contains_key(source)) {
            assert!(!after.admits(*source, now), "{source}");
        }
        let addresses: usize = proposal.proposed.iter().map(|one| one.addresses).sum();
        assert_eq!(addresses + proposal.excepted, sources.len());
    }
}
