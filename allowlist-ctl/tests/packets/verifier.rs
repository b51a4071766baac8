//! What the programs cost the verifier.

use allowlist::kernel::Variant;

use crate::bed::in_lab_with;

/// Linux gives up at this many (`BPF_COMPLEXITY_LIMIT_INSNS`, Linux 5.2).
const LIMIT: u32 = 1_000_000;

#[test]
fn the_verifier_takes_both_programs_of_every_variant_well_within_its_limit() {
    for variant in Variant::ALL {
        in_lab_with(&[variant], |bed| {
            let programs = bed.instructions();
            assert_eq!(programs.len(), 2, "{variant:?}: {programs:?}");
            for (name, instructions) in programs {
                println!("{variant:?}, {name}: {instructions} instructions of {LIMIT}");
                assert!(instructions < LIMIT / 2, "{variant:?}, {name}: {instructions}");
            }
        });
    }
}
