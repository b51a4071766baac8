//! The variants of the program that this kernel takes.

use std::env;

use allowlist::kernel::Variant;

use crate::bed::in_lab;

/// Names the variant that an older kernel has to take; those before it are not for it.
const EXPECTED: &str = "ALLOWLIST_VARIANT";

/// The variants to be tested: all of them, or the one that an older kernel has to take.
pub(crate) fn variants() -> Vec<Variant> {
    let Ok(expected) = env::var(EXPECTED) else { return Variant::ALL.into() };
    let is_it = |variant: &Variant| format!("{variant:?}") == expected;
    let variant = Variant::ALL.into_iter().find(is_it);
    vec![variant.unwrap_or_else(|| panic!("{EXPECTED}={expected} is no variant"))]
}

#[test]
fn the_first_variant_that_the_kernel_can_take_is_taken() {
    in_lab(|bed| {
        println!("variant taken: {:?}", bed.variant());
        assert_eq!(bed.variant(), variants()[0]);
    });
}
