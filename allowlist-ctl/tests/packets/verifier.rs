//! What the programs cost the verifier.

use crate::bed::in_lab;

/// Linux gives up at this many (`BPF_COMPLEXITY_LIMIT_INSNS`, Linux 5.2).
const LIMIT: u32 = 1_000_000;

#[test]
fn the_verifier_takes_both_programs_well_within_its_limit() {
    in_lab(|bed| {
        let programs = bed.instructions();
        assert_eq!(programs.len(), 2, "{programs:?}");
        for (name, instructions) in programs {
            println!("{name}: {instructions} instructions of {LIMIT}");
            assert!(instructions < LIMIT, "{name}: {instructions}");
        }
    });
}
