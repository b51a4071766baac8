//! What the verifier makes of the programs, those for older kernels too.

use std::process::Command;

use allowlist::kernel::Variant;

use crate::{bed::in_lab_with, rows::World, variants::variants};

/// Linux gives up at this many (`BPF_COMPLEXITY_LIMIT_INSNS`, Linux 5.2).
const LIMIT: u32 = 1_000_000;

/// Helpers that came after Linux 5.10, and the variants that call them.
const NEW_HELPERS: [(&str, &[Variant]); 2] = [
    ("bpf_ktime_get_coarse_ns", &[Variant::Frags, Variant::Plain]),
    ("bpf_xdp_get_buff_len", &[Variant::Frags]),
];

/// What the verifier has left of a program: calls that are never reached are gone.
fn verified(id: u32) -> String {
    let dump = ["prog", "dump", "xlated", "id", &id.to_string()];
    let output = Command::new("bpftool").args(dump).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_verifier_takes_every_program_of_every_variant_well_within_its_limit() {
    for variant in variants() {
        in_lab_with(&[variant], |bed| {
            World::Monitored.enter(bed);
            let programs = bed.programs();
            assert_eq!(programs.len(), 4, "{variant:?}: {programs:?}");
            for program in programs {
                println!("{variant:?}: {program:?} of {LIMIT}");
                assert!(program.instructions < LIMIT / 2, "{variant:?}: {program:?}");
            }
        });
    }
}

#[test]
fn programs_for_older_kernels_call_no_helper_that_those_do_not_have() {
    for variant in variants() {
        in_lab_with(&[variant], |bed| {
            World::Monitored.enter(bed);
            let code: String =
                bed.programs().into_iter().map(|program| verified(program.id)).collect();
            for (helper, variants) in NEW_HELPERS {
                let is_called = code.contains(&format!("call {helper}#"));
                assert_eq!(is_called, variants.contains(&variant), "{helper} in {variant:?}");
            }
        });
    }
}
