//! What a verdict costs with each engine, by how much there is to look up: random prefixes and
//! real lists, sources that are denied and such that are admitted.
//!
//! A lookup of one address over and over finds all of its way in the caches and says nothing. So
//! each packet of a test run has another source, which the [harness](super::harness) draws inside
//! the kernel: any address, or one below some prefix of the list, where prefixes are drawn alike
//! and not by their size. That is what a flood looks like to one CPU, without the device and the
//! memory of its packets; `--peers` has those. What drawing costs is measured in the same turn and
//! taken off.
//!
//! Figures are of whole verdicts: parsing, the port and counting are in them, with both engines.
//! What of a ratio is due to the lookup alone is told beside it: there, what a packet to a port of
//! no service costs is taken off, too.

mod case;
mod stage;

use std::path::Path;

use anyhow::Result;

use self::{
    case::{Case, Key, Set},
    stage::Stage,
};
use super::{
    bed::Engine,
    harness::Family,
    report::{Report, Unit, median},
};

const ROUNDS: usize = 9;
const REPEAT: u32 = 200_000;

const SIZES: [u32; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const LARGEST: Set = Set::Random(SIZES[SIZES.len() - 1]);
/// The real lists, and what part of lpm's cost flat may have on them.
const REAL: [(&str, f64); 3] = [("ch", 1.0 / 3.0), ("de", 1.0 / 5.0), ("eu", 1.0 / 8.0)];

/// Up to so many prefixes, flat may cost little more than lpm.
const FEW: u32 = 100;
const HARDLY_MORE: f64 = 1.1;
/// At a million prefixes, in times of what one costs.
const GROWTH: [f64; 2] = [2.0, 2.5];
/// At a million prefixes, in times of what lpm costs: denied and admitted, IPv4 and IPv6.
const LARGE: [[f64; 2]; 2] = [[1.0 / 8.0, 1.0 / 5.0], [1.0 / 6.0, 1.0 / 3.0]];
/// The last real list, in times of ten random prefixes.
const REAL_GROWTH: f64 = 2.0;

/// Measures all of it, in turns.
pub(super) fn measure(binaries: &Path, data: Option<&Path>, report: &mut Report) -> Result<()> {
    if data.is_none() {
        println!("lookups: without --data no real lists");
    }
    let mut stages = Vec::new();
    for engine in Engine::BOTH {
        println!("lookups: filling lists for the engine {}", engine.name());
        stages.push(Stage::new(binaries, engine, data, report)?);
    }
    let lists = stage::Sources::new(data)?;
    let mut cases: Vec<Case> = Vec::new();
    for key in keys(data.is_some()) {
        let stage = stages.iter().find(|stage| stage.engine == key.engine);
        if let Some(stage) = stage {
            cases.push(stage.case(key, &lists)?);
        }
    }
    println!("lookups: {ROUNDS} rounds of {} cases", cases.len());
    for _ in 0..ROUNDS {
        for case in &mut cases {
            let (_, nanoseconds) = case.harness.measure(&case.frame, REPEAT)?;
            case.samples.push(nanoseconds);
        }
    }
    for case in &cases {
        report.add(case.key.to_string(), Unit::Nanoseconds, case.samples.clone(), None);
    }
    compare(&cases, report);
    Ok(())
}

/// All that is measured; what is compared comes one after the other.
fn keys(real: bool) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut push = |family, set, admitted| {
        keys.extend(Engine::BOTH.map(|engine| Key { engine, family, set, admitted }));
    };
    for family in Family::BOTH {
        push(family, Set::NoService, true);
        for admitted in [false, true] {
            for size in SIZES {
                push(family, Set::Random(size), admitted);
            }
        }
        for (name, _) in REAL.iter().filter(|_| real) {
            push(family, Set::Real(name), true);
        }
    }
    keys
}

/// What the ratios are made of: medians of what was measured.
struct Medians<'a>(&'a [Case]);

impl Medians<'_> {
    fn of(&self, key: Key) -> Option<f64> {
        let case = self.0.iter().find(|case| case.key == key)?;
        Some(median(&case.samples))
    }

    /// One beside the other, and the same for lookups alone.
    fn compare(&self, report: &mut Report, what: &str, one: Key, other: Key, target: Option<f64>) {
        let (Some(cost), Some(base)) = (self.of(one), self.of(other)) else { return };
        report.add(what, Unit::Times, vec![cost / base], target);
        let port_alone = |key| self.of(Key { set: Set::NoService, admitted: true, ..key });
        if let (Some(of_one), Some(of_other)) = (port_alone(one), port_alone(other)) {
            let times = (cost - of_one) / (base - of_other);
            report.add(format!("{what}, lookup alone"), Unit::Times, vec![times], None);
        }
    }
}

fn compare(cases: &[Case], report: &mut Report) {
    let medians = Medians(cases);
    for case in cases.iter().filter(|case| case.key.engine == Engine::Flat) {
        let key = case.key;
        let target = match key.set {
            Set::NoService => continue,
            Set::Random(size) if size <= FEW => Some(HARDLY_MORE),
            set if set == LARGEST => Some(LARGE[key.family as usize][usize::from(key.admitted)]),
            Set::Random(_) => None,
            Set::Real(name) => REAL.iter().find(|(of, _)| *of == name).map(|(_, times)| *times),
        };
        let what = format!("{key} beside lpm");
        medians.compare(report, &what, key, Key { engine: Engine::Lpm, ..key }, target);
    }
    for family in Family::BOTH {
        for engine in Engine::BOTH {
            let flat = |target| (engine == Engine::Flat).then_some(target);
            for admitted in [false, true] {
                let key = Key { engine, family, set: LARGEST, admitted };
                let one = Key { set: Set::Random(1), ..key };
                let target = flat(GROWTH[family as usize]).filter(|_| !admitted);
                medians.compare(report, &format!("{key} beside 1"), key, one, target);
            }
            let real = REAL[REAL.len() - 1].0;
            let key = Key { engine, family, set: Set::Real(real), admitted: true };
            let ten = Key { set: Set::Random(10), ..key };
            let what = format!("{key} beside 10 prefixes");
            medians.compare(report, &what, key, ten, flat(REAL_GROWTH));
        }
    }
}
