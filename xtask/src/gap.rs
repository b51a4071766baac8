//! `cargo xtask gap`: whatever becomes of the daemon, as often as one likes, under traffic at full rate.

use anyhow::Result;

use crate::test;

/// How often.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// How many things happen to the daemon
    #[arg(long, default_value_t = 200)]
    rounds: u32,
}

/// Runs it, and says how many packets were judged wrongly.
pub(crate) fn run(options: Options) -> Result<()> {
    test::alone("gaps", "gap", [("ALLOWLIST_GAP_ROUNDS", options.rounds.to_string())])
}
