//! `cargo xtask kill`: the daemon is killed under changes, as often as one likes.

use anyhow::Result;

use crate::{setup, test};

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
    setup::ensure()?;
    let mut kills = test::as_root()?;
    kills.args(["test", "--release", "--package", "allowlist-ctl", "--test", "e2e"]);
    kills.args(["kill::", "--", "--nocapture"]);
    kills.env("ALLOWLIST_KILL_ROUNDS", options.rounds.to_string());
    if let Some(seed) = options.seed {
        kills.env("ALLOWLIST_KILL_SEED", seed.to_string());
    }
    test::step("kills under changes", &mut kills)
}
