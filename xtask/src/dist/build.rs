//! The two programs, linked with an old C library, with their debugging symbols apart.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{links, sysroot::Sysroot};
use crate::{binaries, output};

/// What is given away.
pub(super) const PROGRAMS: [&str; 2] = ["allowlistd", "allowlist-ctl"];

/// The environment variable that has `allowlist-ctl/build.rs` take another version than the crate's.
const VERSION: &str = "ALLOWLIST_VERSION";

/// Builds the programs as of this version, and returns the directory that they are in.
///
/// What they need is checked: nothing but the C library, and nothing of it that Debian 11's has not.
pub(super) fn build(sysroot: &Sysroot, version: &str) -> Result<PathBuf> {
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = host.trim();
    let variable = host.to_uppercase().replace(['-', '.'], "_");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--profile", "dist", "--package", "allowlist-ctl", "--bins"])
        // What runs while building must not be linked with it: cargo knows apart what a target is named for.
        .args(["--target", host])
        .env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), sysroot.rust_flags()?)
        .env(format!("CFLAGS_{}", host.replace('-', "_")), sysroot.compiler_flag())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if version != env!("CARGO_PKG_VERSION") {
        cargo.env(VERSION, version);
    }
    let built = binaries::run(&mut cargo)?;
    for program in PROGRAMS {
        let file = built.join(program);
        links::check(&file)?;
        check_version(sysroot, &file, version)?;
    }
    Ok(built)
}

/// Starts a program with the old C library.
fn check_version(sysroot: &Sysroot, program: &Path, version: &str) -> Result<()> {
    let starter = sysroot.starter()?;
    let (loader, arguments) = starter.split_first().context("no loader")?;
    let said = output(Command::new(loader).args(arguments).arg(program).arg("--version"))
        .context("it does not start with Debian 11's C library")?;
    if !said.split_whitespace().any(|word| word == version) {
        bail!("{} says it is {said:?}, not {version}", program.display());
    }
    println!("{}", said.trim());
    Ok(())
}

/// Puts a program without symbols at `place`, and the symbols below `debug`, where debuggers look for them by its build
/// id.
pub(super) fn strip(program: &Path, place: &Path, debug: &Path) -> Result<()> {
    let notes = output(Command::new("readelf").args(["--notes", "--wide"]).arg(program))?;
    let id = build_id(&notes).with_context(|| format!("{} has no build id", program.display()))?;
    let (first, rest) = id.split_at(2);
    let directory = debug.join("usr/lib/debug/.build-id").join(first);
    fs::create_dir_all(&directory)?;
    let symbols = directory.join(format!("{rest}.debug"));
    fs::create_dir_all(place.parent().context("a program in no directory")?)?;
    let objcopy = |arguments: &[&str], file: &Path| {
        let mut command = Command::new("objcopy");
        output(command.args(arguments).arg(program).arg(file).stdin(Stdio::null())).map(drop)
    };
    objcopy(&["--only-keep-debug", "--compress-debug-sections"], &symbols)?;
    let link = format!("--add-gnu-debuglink={}", symbols.display());
    objcopy(&["--strip-all", &link], place)
}

fn build_id(notes: &str) -> Option<&str> {
    let (_, rest) = notes.split_once("Build ID: ")?;
    let id = rest.split_whitespace().next()?;
    (id.len() > 2).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_read_from_what_readelf_says() {
        let note = "  GNU  0x00000014\tNT_GNU_BUILD_ID (unique build ID bitstring)\t    Build ID: ";
        for (name, notes, expected) in [
            ("one", format!("Displaying notes\n{note}0a1b2c\n"), Some("0a1b2c")),
            ("none", "Displaying notes\n".to_owned(), None),
            ("too short a one", format!("{note}0a\n"), None),
        ] {
            assert_eq!(build_id(&notes), expected, "{name}");
        }
    }
}
