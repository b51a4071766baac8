//! A policy on trial: what it would do otherwise is noted, and nothing is done otherwise.

use std::collections::BTreeMap;

use allowlist::{
    kernel::{Action, Manner, Refusals, Tried, XdpMode, interfaces},
    policy::Service,
};
use allowlist_common::abi::Sighted;

use crate::{
    bed::{Bed, SHORTEST, in_lab_with},
    counted::Tally,
    host::LOOPBACK,
    policies::{lines, policy, service},
    rows::World,
    table::{self, CLOSED, Row},
    variants::variants,
};

/// A policy in force and one on trial. Whether fragments are strict is the interface's, and so that of both.
const PAIRS: [(World, World); 6] = [
    (World::Enforced, World::Enforced),
    (World::Enforced, World::Monitored),
    (World::Monitored, World::Enforced),
    (World::Enforced, World::Off),
    (World::Off, World::Rejecting),
    (World::Strict, World::StrictMonitored),
];

fn tried(bed: &Bed) -> Tried {
    bed.kernel.sightings().tried().unwrap()
}

fn check(bed: &mut Bed, (in_force, on_trial): (World, World), row: &Row) -> Result<(), String> {
    let before = tried(bed);
    let (action, tally) = bed.in_kernel(&row.frame);
    let after = tried(bed);
    let expected = in_force.counter(row.fate);
    let (passes, would_pass) = (expected.passes(), on_trial.counter(row.fate).passes());
    let grown = Tried {
        packets: after.packets - before.packets,
        newly_dropped: after.newly_dropped - before.newly_dropped,
        newly_admitted: after.newly_admitted - before.newly_admitted,
    };
    let wanted = Tried {
        packets: 1,
        newly_dropped: (passes && !would_pass).into(),
        newly_admitted: (!passes && would_pass).into(),
    };
    let is_untouched =
        tally == Tally::from([(expected, 1)]) && (action == Action::Passed) == passes;
    if grown == wanted && is_untouched {
        return Ok(());
    }
    let name = &row.name;
    Err(format!("{in_force:?}, {on_trial:?}, {name}: {wanted:?}, {grown:?}, {action:?} {tally:?}"))
}

#[test]
fn a_trial_notes_what_would_be_judged_otherwise_and_changes_nothing() {
    let rows: Vec<Row> =
        table::rows().into_iter().filter(|row| row.frame.len() >= SHORTEST).collect();
    for variant in variants() {
        in_lab_with(&[variant], |bed| {
            for pair in PAIRS {
                pair.0.enter(bed);
                bed.kernel.try_out(pair.1.policy()).unwrap();
                assert_eq!(tried(bed), Tried::default(), "{pair:?}");
                let failures: Vec<String> =
                    rows.iter().filter_map(|row| check(bed, pair, row).err()).collect();
                assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
                bed.kernel.end_trial().unwrap();
                let ended = tried(bed);
                bed.in_kernel(&rows[0].frame);
                assert_eq!(tried(bed), ended, "{pair:?}: the trial goes on");
            }
        });
    }
}

#[test]
fn the_sources_that_a_trial_would_judge_otherwise_are_told_by_service() {
    in_lab_with(&variants(), |bed| {
        let strangers = table::rows()
            .into_iter()
            .filter(|row| row.frame.len() >= SHORTEST && row.fate == table::Fate::Denied);
        let strangers: Vec<Row> = strangers.collect();
        for (in_force, on_trial, what) in [
            (World::Monitored, World::Enforced, Sighted::NewlyDropped),
            (World::Enforced, World::Monitored, Sighted::NewlyAdmitted),
        ] {
            in_force.enter(bed);
            bed.kernel.try_out(on_trial.policy()).unwrap();
            for row in &strangers {
                bed.in_kernel(&row.frame);
                bed.in_kernel(&row.frame);
            }
            let seen = bed.kernel.sightings().seen(|seen, _| seen != Sighted::Passed).unwrap();
            let by_source: BTreeMap<_, u64> =
                seen.iter().map(|seen| (seen.source, seen.packets)).collect();
            assert_eq!(by_source.len(), seen.len(), "{seen:?}");
            assert!(by_source.len() > 1, "{seen:?}");
            assert_eq!(by_source.values().sum::<u64>(), 2 * strangers.len() as u64, "{seen:?}");
            for seen in &seen {
                assert_eq!((seen.service, seen.what), (CLOSED, what), "{seen:?}");
                assert!(seen.first <= seen.last, "{seen:?}");
            }
        }
    });
}

#[test]
fn a_trial_that_is_not_brought_to_an_interface_is_in_nobodys_way_and_follows_later() {
    let interface = interfaces().unwrap().into_iter().find(|one| one.ifindex == LOOPBACK).unwrap();
    let limited = Service {
        interfaces: [interface.name.clone()].into(),
        ..service(&[format!("tcp/{}", table::PORT)])
    };
    let candidate = policy([(limited, lines(&table::ENTRIES))]);
    let denied =
        table::rows().into_iter().find(|row| row.fate == table::Fate::Denied).unwrap().frame;
    in_lab_with(&variants(), |bed| {
        bed.kernel.try_out(candidate.clone()).unwrap();
        // The policy in force is the same everywhere: the first calls are the trial's.
        let refusals = Refusals { after: 0, count: 1, code: libc::EPERM };
        bed.kernel.calls().refuse(refusals);
        let manner = Manner { mode: XdpMode::Generic, ..Manner::default() };
        bed.kernel.attach(&interface, &[], manner).unwrap();
        bed.in_kernel(&denied);
        assert_eq!((tried(bed).packets, tried(bed).newly_dropped), (1, 0));
        bed.kernel.calls().refuse(refusals);
        assert!(bed.kernel.mend());
        bed.in_kernel(&denied);
        assert_eq!((tried(bed).packets, tried(bed).newly_dropped), (2, 0));
        assert!(bed.kernel.mend());
        bed.in_kernel(&denied);
        assert_eq!((tried(bed).packets, tried(bed).newly_dropped), (3, 1));
    });
}
