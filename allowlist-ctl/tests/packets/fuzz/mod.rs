//! Random policies and packets through an oracle of the rules in docs/verdicts.md, the host's code and the loaded program.
//!
//! `ALLOWLIST_FUZZ_PACKETS` says how many packets, `ALLOWLIST_FUZZ_SEED` where they start.

mod draw;
mod frames;
mod oracle;

use std::{collections::BTreeMap, env, fmt::Write as _, str::FromStr, time::Instant};

use allowlist::kernel::boot_clock;
use allowlist_common::parse::Aside;
use xtask::random::Random;

use crate::{
    bed::{Bed, SHORTEST, in_lab},
    counted::{Counted, Tally},
};

use self::draw::Drawn;

/// What CI runs.
const PACKETS: u64 = 200_000;
/// Packets under one policy: bringing the kernel to the next one takes as long as thousands of them.
const PACKETS_OF_A_POLICY: u64 = 2000;

fn setting<T: FromStr>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text.parse().ok().unwrap_or_else(|| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

#[test]
fn oracle_host_and_kernel_agree_about_random_policies_and_packets() {
    let packets = setting("ALLOWLIST_FUZZ_PACKETS", PACKETS);
    let seed = setting("ALLOWLIST_FUZZ_SEED", 1);
    let begin = Instant::now();
    let mut verdicts = Tally::new();
    in_lab(|bed| {
        for round in 0..packets.div_ceil(PACKETS_OF_A_POLICY) {
            // Every round has a seed of its own, so that one that fails can be run alone.
            let count = PACKETS_OF_A_POLICY.min(packets - round * PACKETS_OF_A_POLICY);
            run(bed, seed + round, count, &mut verdicts);
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    println!("{packets} packets in {seconds:.1} s");
    for (kind, packets) in by_kind(&verdicts) {
        println!("{packets:9} {kind}");
    }
}

/// One policy and its packets.
fn run(bed: &mut Bed, seed: u64, count: u64, verdicts: &mut Tally) {
    let mut random = Random::from(seed);
    let drawn = draw::draw(&mut random);
    bed.enforce(&drawn.policy, drawn.strict);
    let (before, mut tally) = (bed.tally(), Tally::new());
    for _ in 0..count {
        let frame = match random.below(10) {
            0 => frames::noise(&mut random),
            1..=3 => frames::mutated(&mut random, &drawn),
            _ => {
                let made = frames::make(&mut random, &drawn);
                let oracle = oracle::judge(&drawn, &made);
                let host = bed.on_host(&made.frame);
                assert_eq!(host, oracle, "seed {seed}, {made:?}{}", about(&drawn));
                made.frame
            }
        };
        let host = bed.on_host(&frame);
        if frame.len() < SHORTEST {
            continue;
        }
        *tally.entry(host).or_default() += 1;
        let passes = bed.passes_in_kernel(&frame);
        assert_eq!(passes, host.passes(), "seed {seed}, {host:?}: {frame:02x?}{}", about(&drawn));
    }
    assert_eq!(bed.tally_since(&before), tally, "seed {seed}{}", about(&drawn));
    for (counted, packets) in tally {
        *verdicts.entry(counted).or_default() += packets;
    }
}

fn about(drawn: &Drawn) -> String {
    let now = boot_clock().now;
    let mut text = format!("\nstrict {}, boot clock {now}", drawn.strict);
    for service in drawn.policy.services.values() {
        let _ = write!(text, "\n{service:?}");
    }
    text
}

/// The tally by kind of verdict, whatever the service.
fn by_kind(verdicts: &Tally) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for (counted, packets) in verdicts {
        let kind = match counted {
            Counted::Service(_, judged) => format!("{judged:?}"),
            Counted::Unmatched(_) => named(*counted),
        };
        *kinds.entry(kind).or_insert(0) += packets;
    }
    kinds
}

fn named(counted: Counted) -> String {
    let named = |guarded: bool, word: &str| {
        let is_it = |aside: &Aside| Counted::unreadable(*aside, guarded) == counted;
        Some(format!("{:?}, {word}", Aside::ALL.into_iter().find(is_it)?))
    };
    named(false, "passed").or_else(|| named(true, "dropped")).unwrap_or_else(|| "NoService".into())
}
