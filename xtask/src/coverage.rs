//! `cargo xtask coverage`: which lines the tests come by, room by room.

mod rooms;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use self::rooms::Rooms;
use crate::{
    binaries, output,
    setup::{self, tools},
    test,
};

/// What of each room has to be come by, in percent of its lines.
const LEAST: u32 = 85;

/// What is run.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Without running anything: the table of the last time
    #[arg(long)]
    report: bool,
}

/// Runs the unit tests and the end-to-end tests, and prints the table.
pub(crate) fn run(options: Options) -> Result<()> {
    setup::ensure()?;
    tools::ensure(&tools::LLVM_COV)?;
    let llvm = Llvm::of_compiler()?;
    if !options.report {
        let mut clean = cargo();
        clean.args(["clean", "--workspace"]);
        test::step("what was counted before, forgotten", llvm.add_to(&mut clean))?;
        for (name, tests) in [
            ("unit tests, counted", &["--lib", "--bin", "xtask"][..]),
            // What works for minutes comes by no line that the others do not.
            ("end-to-end tests, counted", &["--test", "*", "--", "--skip", "soak::"]),
        ] {
            test::step(name, llvm.add_to(counted()?.args(tests)))?;
        }
    }
    let mut report = cargo();
    report.args(["report", "--lcov"]);
    let report = output(llvm.add_to(&mut report))?;
    let rooms = Rooms::of(&report, binaries::root(), |file| fs::read_to_string(file))?;
    println!("\n{rooms}");
    let below = rooms.below(LEAST);
    if !below.is_empty() {
        bail!("tests come by less than {LEAST} % of the lines of {}", below.join(", "));
    }
    Ok(())
}

fn cargo() -> Command {
    llvm_cov(Command::new("cargo"))
}

/// In a target directory of its own, which also what tests build goes to.
fn llvm_cov(mut cargo: Command) -> Command {
    let directory = binaries::root().join("target/coverage");
    cargo.arg("llvm-cov").current_dir(binaries::root());
    cargo.env("CARGO_TARGET_DIR", &directory).env("CARGO_LLVM_COV_TARGET_DIR", &directory);
    cargo
}

/// Tests that count.
fn counted() -> Result<Command> {
    let mut command = llvm_cov(test::as_root()?);
    // The program in the kernel cannot count. A test that fails under this load does not end it: that it has to pass is
    // for `cargo xtask test` to say.
    command.args(["--coverage-host-only", "--no-report", "--ignore-run-fail"]);
    command.args(test::HOST_CRATES);
    // The programs are started thousands of times: a few files for all of them, instead of one each.
    command.env("LLVM_PROFILE_FILE_NAME", "allowlist-%4m.profraw");
    Ok(command)
}

/// The tools of the LLVM that rustc has: they read what it wrote.
struct Llvm(Option<PathBuf>);

impl Llvm {
    /// Debian's, where they are installed; otherwise cargo-llvm-cov looks for those of rustup.
    fn of_compiler() -> Result<Self> {
        let said = output(Command::new("rustc").args(["--version", "--verbose"]))?;
        let debian = major(&said).map(|major| PathBuf::from(format!("/usr/lib/llvm-{major}/bin")));
        let debian = debian.filter(|programs| programs.join("llvm-cov").exists());
        if debian.is_none() && env::var_os("LLVM_COV").is_none() {
            setup::llvm_tools()?;
        }
        Ok(Self(debian))
    }

    fn add_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Self(Some(programs)) = self {
            let program = |name: &str| -> PathBuf { Path::new(programs).join(name) };
            command.env("LLVM_COV", program("llvm-cov"));
            command.env("LLVM_PROFDATA", program("llvm-profdata"));
        }
        command
    }
}

/// Of which LLVM a compiler says that it is.
fn major(said: &str) -> Option<u32> {
    said.lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .and_then(|version| version.split('.').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_llvm_is_read_from_what_rustc_says() {
        for (said, expected) in [
            ("rustc 1.95.0\nhost: x\nLLVM version: 22.1.2\n", Some(22)),
            ("rustc 1.95.0\n", None),
            ("LLVM version: new\n", None),
        ] {
            assert_eq!(major(said), expected, "{said}");
        }
    }
}
