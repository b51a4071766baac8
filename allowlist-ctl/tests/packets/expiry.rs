//! Entries that have ended give way to the next less specific one, however many there are.

use std::{collections::BTreeSet, net::IpAddr};

use allowlist::{
    kernel::boot_clock,
    policy::{EntryKey, Kind, Prefix, entry::BootClock},
};
use allowlist_common::abi::Judged;
use ipnet::IpNet;
use jiff::{Timestamp, ToSpan as _};

use crate::{
    bed::{in_lab, in_lab_with},
    counted::{Counted, Tally},
    policies::{Line, policy, service},
    table::build::{V4, V6},
    variants::variants,
};

/// Entries of one kind for an address: one for each length, all ended but the least specific one.
fn nested(address: IpAddr, width: u8, kind: Kind, decides: bool) -> Vec<Line> {
    let ended = Timestamp::now() - 1.hour();
    (0..=width)
        .filter_map(|bits| Prefix::new(IpNet::new(address, bits).unwrap().trunc()))
        .map(|prefix| {
            let lasts = prefix.bits() == 0 && decides;
            (EntryKey::manual(prefix, kind), (!lasts).then_some(ended))
        })
        .collect()
}

#[test]
fn a_source_behind_every_ended_prefix_there_can_be_is_judged_by_the_one_that_lasts() {
    let v4 = V4 { source: [10, 170, 85, 3], ..V4::to(22) };
    let v6 = V6 { source: [0x2a; 16], ..V6::to(22) };
    let table = [
        ("allow lasts, IPv4", IpAddr::from(v4.source), 32, true, v4.frame(), Judged::Admitted),
        ("none lasts, IPv4", IpAddr::from(v4.source), 32, false, v4.frame(), Judged::Denied),
        ("allow lasts, IPv6", IpAddr::from(v6.source), 128, true, v6.frame(), Judged::Admitted),
        ("none lasts, IPv6", IpAddr::from(v6.source), 128, false, v6.frame(), Judged::Denied),
    ];
    in_lab(|bed| {
        for (name, address, width, decides, frame, judged) in table.clone() {
            let entries = nested(address, width, Kind::Allow, decides);
            bed.enforce(&policy([(service(&["tcp/22".into()]), entries)]), false);
            let expected = Counted::Service(1, judged);
            assert_eq!(bed.on_host(&frame), expected, "{name}");
            assert_eq!(bed.in_kernel(&frame).1, Tally::from([(expected, 1)]), "{name}");
        }
    });
}

#[test]
fn every_variant_explains_as_it_judges_however_many_prefixes_have_ended() {
    let v4 = V4 { source: [10, 170, 85, 3], ..V4::to(22) };
    let v6 = V6 { source: [0x2a; 16], ..V6::to(22) };
    let mut judged = BTreeSet::new();
    for variant in variants() {
        in_lab_with(&[variant], |bed| {
            for (address, width, frame) in [
                (IpAddr::from(v4.source), 6, v4.frame()),
                (IpAddr::from(v4.source), 32, v4.frame()),
                (IpAddr::from(v6.source), 128, v6.frame()),
            ] {
                let entries = nested(address, width, Kind::Allow, true);
                bed.enforce(&policy([(service(&["tcp/22".into()]), entries)]), false);
                let (explained, tally) = bed.explained(&frame);
                assert!(tally.is_empty(), "{tally:?}");
                let expected = Tally::from([(explained, 1)]);
                assert_eq!(bed.in_kernel(&frame).1, expected, "{variant:?}, {address}, {width}");
                judged.insert((width, explained.passes()));
            }
        });
    }
    // A variant of one function gives up on the longer ones.
    assert!(judged.contains(&(6, true)), "{judged:?}");
}

#[test]
fn ends_decide_which_entry_does() {
    let (ended, lasting) = (Timestamp::now() - 1.hour(), Timestamp::now() + 24.hours());
    let key = |text: &str, kind| EntryKey::manual(text.parse().unwrap(), kind);
    let (wide, narrow) = ("192.0.2.0/24", "192.0.2.66/32");
    let (allow, except) = (Kind::Allow, Kind::Except);
    let table: [(&str, Vec<Line>, Judged); 7] = [
        ("an allow that has ended", vec![(key(narrow, allow), Some(ended))], Judged::Denied),
        ("an allow that lasts", vec![(key(narrow, allow), Some(lasting))], Judged::Admitted),
        (
            "an ended allow below one that stays",
            vec![(key(narrow, allow), Some(ended)), (key(wide, allow), None)],
            Judged::Admitted,
        ),
        (
            "an ended except below an allow",
            vec![(key(narrow, except), Some(ended)), (key(wide, allow), Some(lasting))],
            Judged::Admitted,
        ),
        (
            "a lasting except below an allow",
            vec![(key(narrow, except), Some(lasting)), (key(wide, allow), None)],
            Judged::Denied,
        ),
        (
            "a tie whose except has ended",
            vec![(key(narrow, except), Some(ended)), (key(narrow, allow), None)],
            Judged::Admitted,
        ),
        (
            "a tie whose allow has ended, below an allow",
            vec![
                (key(narrow, except), Some(ended)),
                (key(narrow, allow), Some(ended)),
                (key(wide, allow), None),
            ],
            Judged::Admitted,
        ),
    ];
    let frame = V4::to(22).frame();
    in_lab(|bed| {
        for (name, entries, judged) in table.clone() {
            bed.enforce(&policy([(service(&["tcp/22".into()]), entries)]), false);
            let expected = Counted::Service(1, judged);
            assert_eq!(bed.on_host(&frame), expected, "{name}");
            assert_eq!(bed.in_kernel(&frame).1, Tally::from([(expected, 1)]), "{name}");
        }
    });
}

#[test]
fn ends_follow_the_wall_clock_when_somebody_sets_it() {
    let (soon, frame) = (Timestamp::now() + 1.hour(), V4::to(22).frame());
    let key = EntryKey::manual("192.0.2.66/32".parse().unwrap(), Kind::Allow);
    let lasting = EntryKey::manual("192.0.2.77/32".parse().unwrap(), Kind::Allow);
    in_lab(|bed| {
        let lines = vec![(key, Some(soon)), (lasting, None)];
        bed.enforce(&policy([(service(&["tcp/22".into()]), lines)]), false);
        for (hours, judged) in [(0, Judged::Admitted), (2, Judged::Denied), (0, Judged::Admitted)] {
            let true_clock = boot_clock();
            // The boot clock goes on as ever; the wall clock says that it began earlier or later.
            let booted_at = true_clock.booted_at + hours.hours();
            assert!(bed.mend_at(&BootClock { booted_at, ..true_clock }));
            let expected = Counted::Service(1, judged);
            assert_eq!(bed.in_kernel(&frame).1, Tally::from([(expected, 1)]), "{hours} hours on");
        }
    });
}
