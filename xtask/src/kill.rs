//! `cargo xtask kill`: the daemon is killed under changes, as often as one likes.

use anyhow::Result;

use crate::test;

/// How often.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// How often the daemon is killed
    #[arg(long, default_value_t = 300)]
    rounds: u32,
    /// Where the random numbers start; a run that failed says where its own did
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs it, and stops at the first change that is lost or half there.
pub(crate) fn run(options: Options) -> Result<()> {
    let rounds = ("ALLOWLIST_KILL_ROUNDS", options.rounds.to_string());
    let seed = options.seed.map(|seed| ("ALLOWLIST_KILL_SEED", seed.to_string()));
    test::alone("kills under changes", "kill", [rounds].into_iter().chain(seed))
}
