//! The sources of services that are watched.

use std::collections::{BTreeMap, BTreeSet};

use allowlist_common::abi::Sighted;

use crate::{
    bed::{Bed, SHORTEST, in_lab_with},
    rows::World,
    table::{self, CLOSED, OPEN},
    variants::variants,
};

/// Runs the whole table, and returns how many packets of each service were noted, and how many passed.
fn noted_and_passed(bed: &mut Bed) -> [BTreeMap<u16, u64>; 2] {
    bed.kernel.sightings().forget(|_, _| true).unwrap();
    let mut passed: BTreeMap<u16, u64> = BTreeMap::new();
    for row in table::rows().iter().filter(|row| row.frame.len() >= SHORTEST) {
        let (_, tally) = bed.in_kernel(&row.frame);
        for counted in tally.into_keys().filter(|counted| counted.passes()) {
            if let crate::counted::Counted::Service(number, _) = counted {
                *passed.entry(number).or_default() += 1;
            }
        }
    }
    let mut noted: BTreeMap<u16, u64> = BTreeMap::new();
    for seen in bed.kernel.sightings().seen(|what, _| what == Sighted::Passed).unwrap() {
        *noted.entry(seen.service).or_default() += seen.packets;
    }
    [noted, passed]
}

#[test]
fn passing_sources_of_a_watched_service_are_noted_and_no_others() {
    for variant in variants() {
        in_lab_with(&[variant], |bed| {
            World::Enforced.enter(bed);
            for watched in [BTreeSet::new(), BTreeSet::from([CLOSED]), BTreeSet::from([OPEN])] {
                bed.kernel.watch(watched.clone()).unwrap();
                let [noted, mut passed] = noted_and_passed(bed);
                assert!(passed.len() > 2, "{passed:?}");
                // One that is in mode monitor is watched in any case.
                passed.retain(|number, _| watched.contains(number) || *number == table::MONITOR);
                assert_eq!(noted, passed, "{watched:?}");
            }
        });
    }
}

#[test]
fn sources_that_are_not_seen_again_make_room_for_others() {
    in_lab_with(&variants(), |bed| {
        World::Enforced.enter(bed);
        bed.kernel.watch(BTreeSet::from([OPEN])).unwrap();
        let most = allowlist_common::abi::SIGHTINGS;
        for number in 0..u32::try_from(2 * most).unwrap() {
            let source = (0x0b00_0000 + number).to_be_bytes();
            let frame = table::build::V4 { source, ..table::build::V4::to(table::OPEN_PORT) };
            assert!(bed.passes_in_kernel(&frame.frame()));
        }
        let seen = bed.kernel.sightings().seen(|_, number| number == OPEN).unwrap();
        assert!((most / 4..=most).contains(&seen.len()), "{}", seen.len());
    });
}
