//! The project's own commands: `cargo xtask COMMAND`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to its user")]

mod bench;
mod binaries;
mod coverage;
mod debian;
mod demo;
#[cfg(test)]
mod dependencies;
mod dist;
mod fuzz;
mod gap;
mod guide;
mod kill;
mod privilege;
mod setup;
mod soak;
mod test;
mod vm;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building and testing need; the other commands do it first.
    Setup,
    /// Show a redis behind the allowlist, in network namespaces.
    Demo(demo::Options),
    /// Measure how fast changes take effect and what a verdict costs.
    Bench(bench::Options),
    /// Judge random packets and policies, and compare who judges them, and send random requests; the short form is among
    /// the tests.
    Fuzz(fuzz::Options),
    /// Kill the daemon under changes, and compare what is there afterwards; the short form is among the tests.
    Kill(kill::Options),
    /// Kill, stop, upgrade and disturb the daemon under traffic at full rate; the short form is among the tests.
    Gap(gap::Options),
    /// Keep the daemon at work, and see that its memory stays what it is; the short form is among the tests.
    Soak(soak::Options),
    /// Test on other kernels, in virtual machines; the short form is among the tests.
    Vm(vm::Options),
    /// Run the tests, and count the lines that they come by, room by room.
    Coverage(coverage::Options),
    /// Make what is given away: a package of Debian's and an archive, with debugging symbols apart.
    Dist(dist::Options),
    /// Make a book of the guide in docs, for a browser.
    Guide,
    /// Lint and test everything, on the real kernel.
    Test {
        /// Without the end-to-end tests, which need root.
        #[arg(long)]
        fast: bool,
    },
}

fn main() -> ExitCode {
    privilege::find_rustup_behind_sudo();
    let result = match Arguments::parse().command {
        Task::Setup => setup::run(),
        Task::Demo(options) => demo::run(&options),
        Task::Bench(options) => bench::run(options),
        Task::Fuzz(options) => fuzz::run(options),
        Task::Kill(options) => kill::run(options),
        Task::Gap(options) => gap::run(options),
        Task::Soak(options) => soak::run(options),
        Task::Vm(options) => vm::run(&options),
        Task::Coverage(options) => coverage::run(options),
        Task::Dist(options) => dist::run(&options),
        Task::Guide => guide::run(),
        Task::Test { fast } => test::run(fast),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a command prints, which has to succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} can't be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {}", said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
