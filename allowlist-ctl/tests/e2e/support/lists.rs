//! Lists that differ in all but how two sources are judged.

use std::fmt::Write as _;

/// In every list, one way or another.
pub(crate) const ALLOWED: [&str; 2] = ["10.9.0.2", "fd09::2"];
/// In none; often with an allowed range around it and an except for it.
pub(crate) const DENIED: [&str; 2] = ["10.9.0.3", "fd09::3"];

/// A list with so many other entries: of five in a row, no two have one of those in common.
pub(crate) fn lines(variant: u32, others: u32) -> String {
    let mut text = match variant % 2 {
        0 => "10.9.0.2\nfd09::2\n".to_owned(),
        _ => "10.9.0.0/24\n!10.9.0.3\nfd09::/64\n!fd09::3\n".to_owned(),
    };
    for number in 0..others {
        let [_, high, middle, low] = number.to_be_bytes();
        let _ = writeln!(text, "10.{}.{middle}.{low}", 16 + 32 * (variant % 5) + u32::from(high));
    }
    text
}
