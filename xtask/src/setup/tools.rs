//! Programs that come from crates.io and are built here: which, of which version, and for what.

use std::{
    ffi::OsString,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{binaries, privilege};

/// A program that cargo builds.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Of the crate and of the program.
    name: &'static str,
    /// What is installed. An older one is replaced, a newer one is taken as it is.
    version: &'static str,
    /// How long that takes on two cores.
    minutes: u32,
}

/// Packs what `cargo xtask dist` gives away.
pub(super) const DEB: Tool = Tool { name: "cargo-deb", version: "3.8.0", minutes: 2 };
/// Lists what the programs are made of.
pub(super) const CYCLONEDX: Tool = Tool { name: "cargo-cyclonedx", version: "0.5.9", minutes: 2 };
/// Checks licences, bans and sources of dependencies.
pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", minutes: 4 };
/// Finds input that breaks the parser.
pub(crate) const FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2", minutes: 1 };
/// Counts the lines that tests come by.
pub(crate) const LLVM_COV: Tool = Tool { name: "cargo-llvm-cov", version: "0.9.1", minutes: 2 };
/// Links the eBPF program.
pub(super) const LINKER: Tool = Tool { name: "bpf-linker", version: "0.13.0", minutes: 2 };
/// Makes a book of the guide.
pub(crate) const MDBOOK: Tool = Tool { name: "mdbook", version: "0.5.4", minutes: 4 };

/// Builds it where it is missing or too old.
pub(crate) fn ensure(tool: &Tool) -> Result<()> {
    let mut command = match tool.name.strip_prefix("cargo-") {
        Some(of_cargo) => {
            let mut cargo = Command::new("cargo");
            cargo.arg(of_cargo);
            cargo
        }
        None => Command::new(tool.name),
    };
    let said =
        command.arg("--version").current_dir(binaries::root()).stderr(Stdio::null()).output();
    let is_there = said.is_ok_and(|said| {
        said.status.success() && is_recent(&String::from_utf8_lossy(&said.stdout), tool.version)
    });
    if is_there { Ok(()) } else { install(tool, None) }
}

/// Builds it, with this LLVM where it needs one.
pub(super) fn install(tool: &Tool, llvm: Option<u32>) -> Result<()> {
    println!("building {}, about {} min", tool.name, tool.minutes);
    let mut cargo = privilege::as_rust_owner("env");
    // The settings of a caller's build are not for this one.
    let settings = ["RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN"];
    cargo.args(settings.iter().flat_map(|setting| ["-u", setting]));
    let mut features: Vec<OsString> = Vec::new();
    if let Some(llvm) = llvm {
        cargo.arg(format!("LLVM_PREFIX=/usr/lib/llvm-{llvm}"));
        features = vec!["--no-default-features".into(), "--features".into()];
        features.push(format!("llvm-{llvm}").into());
    }
    let output = cargo
        .args(["cargo", "install", tool.name, "--locked", "--force", "--quiet"])
        .args(["--version", tool.version])
        .args(features)
        .output()
        .context("cargo can't be run")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!(
            "{} {} could not be built; see cargo's messages above, then run the same again",
            tool.name,
            tool.version
        );
    }
    Ok(())
}

/// Whether a program that says this of its version is not older than another.
fn is_recent(said: &str, wanted: &str) -> bool {
    let numbers = |version: &str| -> Option<Vec<u32>> {
        version.trim_start_matches('v').split('.').map(|number| number.parse().ok()).collect()
    };
    let version = said.split_whitespace().find_map(numbers);
    version.is_some_and(|version| numbers(wanted).is_some_and(|wanted| version >= wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_built_anew_where_it_is_older_or_says_no_version() {
        for (said, wanted, recent) in [
            ("3.8.0\n", "3.8.0", true),
            ("cargo-deny 0.20.2\n", "0.20.2", true),
            ("mdbook v0.5.4\n", "0.5.4", true),
            ("mdbook v0.5.3\n", "0.5.4", false),
            ("cargo-deny 0.21.0\n", "0.20.2", true),
            ("cargo-deny 0.9.9\n", "0.20.2", false),
            ("cargo-deny 0.20.1\n", "0.20.2", false),
            ("cargo-deny\n", "0.20.2", false),
            ("", "0.20.2", false),
        ] {
            assert_eq!(is_recent(said, wanted), recent, "{said:?} for {wanted}");
        }
    }
}
