//! The release build of the daemon and its command line.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The directory of the project.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Builds them, and says in which directory they are.
pub(crate) fn build() -> Result<PathBuf> {
    run(Command::new("cargo").args(["build", "--release", "--package", "allowlist-ctl", "--bins"]))
}

/// Runs a command of cargo's that builds them, and says in which directory they are.
pub(crate) fn run(cargo: &mut Command) -> Result<PathBuf> {
    let output = cargo
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be run")?;
    if !output.status.success() {
        bail!("the programs could not be built; see cargo's messages above");
    }
    // Asked instead of assumed: target directories and triples can be configured.
    let executable = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .find(|message| {
            message["target"]["name"] == "allowlistd" && message["executable"].is_string()
        })
        .context("cargo built no allowlistd")?;
    let executable = PathBuf::from(executable["executable"].as_str().unwrap_or_default());
    executable.parent().map(Path::to_owned).context("the daemon is in no directory")
}
