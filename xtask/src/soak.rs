//! `cargo xtask soak`: the daemon at work for long, and what it costs at the end.

use anyhow::Result;

use crate::test;

/// How long.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// How many minutes it works
    #[arg(long, default_value_t = 10)]
    minutes: u32,
}

/// Runs it, and compares what memory and descriptors it has at the end.
pub(crate) fn run(options: Options) -> Result<()> {
    let seconds = options.minutes * 60;
    test::alone("soak", "soak", [("ALLOWLIST_SOAK_SECONDS", seconds.to_string())])
}
