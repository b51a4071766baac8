//! Every packet of the table, cut off at every length.

use crate::{
    bed::{SHORTEST, in_lab},
    counted::Tally,
    rows::World,
    table::{self, Fate},
};

/// A frame that is denied, or hides what it is judged by, does not get through by losing its tail.
#[test]
fn what_is_cut_off_is_judged_alike_and_never_let_through() {
    in_lab(|bed| {
        let rows = table::rows();
        let (mut failures, mut frames) = (Vec::new(), 0);
        for world in World::ALL {
            world.enter(bed);
            for row in &rows {
                let dropped = matches!(row.fate, Fate::Denied | Fate::Unreadable(_));
                let must_drop = dropped && world == World::Enforced;
                let (before, mut tally) = (bed.tally(), Tally::new());
                for length in 0..row.frame.len() {
                    let cut = &row.frame[..length];
                    let host = bed.on_host(cut);
                    if must_drop && host.passes() {
                        failures.push(format!("{} cut to {length} passes: {host:?}", row.name));
                    }
                    if length < SHORTEST {
                        continue;
                    }
                    frames += 1;
                    *tally.entry(host).or_default() += 1;
                    if bed.passes_in_kernel(cut) != host.passes() {
                        let name = &row.name;
                        failures.push(format!("{world:?}, {name} cut to {length}: host {host:?}"));
                    }
                }
                let grown = bed.tally_since(&before);
                if grown != tally {
                    let name = &row.name;
                    failures
                        .push(format!("{world:?}, {name} cut: host {tally:?}, kernel {grown:?}"));
                }
            }
        }
        println!("{frames} frames");
        assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    });
}
