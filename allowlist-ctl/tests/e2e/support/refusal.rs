//! Starts that are to be refused.

use std::process::Command;

use anyhow::{Result, ensure};

use super::Outcome;

/// Runs a daemon that has to refuse with this sentence, and returns all that it said.
pub(crate) fn refuses(command: &mut Command, said: &str) -> Result<String> {
    // One that starts after all must not run for ever.
    let mut patient = Command::new("timeout");
    patient.arg("10").arg(command.get_program()).args(command.get_args());
    let outcome: Outcome = patient.output()?.into();
    ensure!(
        outcome.code == Some(1) && outcome.stderr.contains(said),
        "a start should be refused with {said:?}: {outcome:?}"
    );
    let lines = outcome.stderr.lines().filter(|line| line.contains("ERROR")).count();
    ensure!(lines == 1, "not one sentence: {outcome:?}");
    Ok(outcome.stderr)
}
