//! What a program needs to start.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use crate::output;

/// The newest version of the C library that may be asked for: Debian 11's.
const NEWEST: [u32; 2] = [2, 31];

/// What the C library is made of, and what loads it.
const C_LIBRARY: [&str; 6] =
    ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux"];

/// Checks that a program asks for the C library alone, and for nothing that Debian 11's has not.
pub(super) fn check(program: &Path) -> Result<()> {
    let said = output(Command::new("objdump").args(["-p", "-T"]).arg(program))?;
    let wrong = wrong(&said);
    if !wrong.is_empty() {
        bail!("{} would not start everywhere: it needs {}", program.display(), wrong.join(", "));
    }
    Ok(())
}

/// What there should not be in what objdump says of a program.
fn wrong(said: &str) -> Vec<&str> {
    let needed = said.lines().filter_map(|line| line.trim().strip_prefix("NEEDED"));
    let libraries = needed
        .map(str::trim)
        .filter(|library| !C_LIBRARY.iter().any(|of_it| library.starts_with(of_it)));
    let versions = said
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'))
        .filter(|word| word.starts_with("GLIBC_") && is_too_new(word));
    let mut wrong: Vec<_> = libraries.chain(versions).collect();
    wrong.sort_unstable();
    wrong.dedup();
    wrong
}

/// Whether a version such as `GLIBC_2.34` is newer than it may be; one that cannot be read is.
fn is_too_new(version: &str) -> bool {
    let numbers = version.trim_start_matches("GLIBC_").split('.').map(str::parse::<u32>);
    numbers.collect::<Result<Vec<_>, _>>().map_or(true, |numbers| numbers.as_slice() > &NEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_on_debian_11_is_found() {
        let libc = "  NEEDED               libc.so.6\n  NEEDED   ld-linux-x86-64.so.2\n";
        let symbol = |version: &str| format!("0000 DF *UND* 0000 ({version}) getrandom\n");
        for (name, said, expected) in [
            ("all well", libc.to_owned() + &symbol("GLIBC_2.2.5") + &symbol("GLIBC_2.31"), vec![]),
            ("a newer symbol", libc.to_owned() + &symbol("GLIBC_2.34"), vec!["GLIBC_2.34"]),
            ("one of a later series", symbol("GLIBC_3.0"), vec!["GLIBC_3.0"]),
            ("one of the library's own", symbol("GLIBC_PRIVATE"), vec!["GLIBC_PRIVATE"]),
            (
                "another library",
                format!("{libc}  NEEDED               libgcc_s.so.1\n"),
                vec!["libgcc_s.so.1"],
            ),
            (
                "versions as they are listed",
                "    0x09 0x00 04 GLIBC_2.38\n".into(),
                vec!["GLIBC_2.38"],
            ),
        ] {
            assert_eq!(wrong(&said), expected, "{name}");
        }
    }
}
