//! Prometheus' own checker.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::Outcome;

/// Runs `promtool`, which has to find nothing to complain of, and returns what it said.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> Result<String> {
    let mut program = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool can't be run; `cargo xtask setup` installs it")?;
    let mut writer = program.stdin.take().context("no standard input")?;
    // It may have seen enough before it has read all.
    drop(writer.write_all(input.as_bytes()));
    drop(writer);
    let outcome: Outcome = program.wait_with_output()?.into();
    ensure!(outcome.code == Some(0), "promtool {arguments:?}: {outcome:?}");
    // What it only recommends is not said by its code.
    ensure!(outcome.stderr.is_empty(), "promtool {arguments:?}: {}", outcome.stderr);
    Ok(outcome.stdout)
}
