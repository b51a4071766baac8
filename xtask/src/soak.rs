//! `cargo xtask soak`: the daemon at work for long, and what it costs at the end.

use anyhow::Result;

use crate::{setup, test};

/// How long.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// How many minutes it works
    #[arg(long, default_value_t = 10)]
    minutes: u32,
}

/// Runs it, and compares what memory and descriptors it has at the end.
pub(crate) fn run(options: Options) -> Result<()> {
    setup::ensure()?;
    let mut soak = test::as_root()?;
    soak.args(["test", "--release", "--package", "allowlist-ctl", "--test", "e2e"]);
    soak.args(["soak::", "--", "--nocapture"]);
    soak.env("ALLOWLIST_SOAK_SECONDS", (options.minutes * 60).to_string());
    test::step("soak", &mut soak)
}
