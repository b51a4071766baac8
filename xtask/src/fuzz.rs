//! `cargo xtask fuzz`: random packets, policies and requests, for as long as one likes.

use std::{
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    binaries,
    setup::{self, tools},
    test,
};

/// How long.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Packets that the host code, the loaded program and an oracle have to agree about
    #[arg(long, default_value_t = 10_000_000)]
    packets: u64,
    /// Seconds of coverage-guided fuzzing of the parser
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Examples of each operation that the daemon has to answer as its description says
    #[arg(long, default_value_t = 300)]
    requests: u64,
}

/// Runs all, and stops at the first disagreement.
pub(crate) fn run(options: Options) -> Result<()> {
    setup::ensure()?;
    let mut agreement = test::as_root()?;
    agreement.args([
        "test",
        "--release",
        "--package",
        "allowlist-ctl",
        "--test",
        "packets",
        "fuzz",
    ]);
    agreement.env("ALLOWLIST_FUZZ_PACKETS", options.packets.to_string());
    test::step("policies and packets, judged three ways", &mut agreement)?;

    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    println!("\nseed of the requests: {seed}");
    let mut requests = test::as_root()?;
    requests.args(["test", "--package", "allowlist-ctl", "--test", "e2e", "api::"]);
    requests.env("ALLOWLIST_API_EXAMPLES", options.requests.to_string());
    requests.env("ALLOWLIST_API_SEED", seed.to_string());
    test::step("requests, answered as described", &mut requests)?;

    let Options { seconds, .. } = options;
    tools::ensure(&tools::FUZZ)?;
    let mut parser = Command::new("cargo");
    parser.args(["+nightly", "fuzz", "run", "--fuzz-dir", "allowlist-common/fuzz", "parse", "--"]);
    parser.arg(format!("-max_total_time={seconds}"));
    if !works(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])) {
        bail!("cargo-fuzz needs a nightly compiler: rustup toolchain install nightly");
    }
    test::step("the parser, on any bytes", &mut parser)
        .context("the input that broke it is in allowlist-common/fuzz/artifacts")
}

fn works(command: &mut Command) -> bool {
    let command = command.current_dir(binaries::root());
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
