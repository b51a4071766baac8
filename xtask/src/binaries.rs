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
    let executable = executable(&messages(cargo)?, "allowlistd", false)?;
    executable.parent().map(Path::to_owned).context("the daemon is in no directory")
}

/// Runs a command of cargo's that builds something, and returns its messages.
pub(crate) fn messages(cargo: &mut Command) -> Result<Vec<Value>> {
    let output = cargo
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be run")?;
    if !output.status.success() {
        bail!("cargo could not build it; see its messages above");
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Where cargo has put one of the files that it built: asked instead of assumed, for target directories and triples can
/// be configured.
pub(crate) fn executable(messages: &[Value], target: &str, is_test: bool) -> Result<PathBuf> {
    let is_it = |message: &&Value| {
        message["target"]["name"] == target
            && message["profile"]["test"] == is_test
            && message["executable"].is_string()
    };
    let found = messages.iter().find(is_it);
    let path = found.and_then(|message| message["executable"].as_str());
    path.map(PathBuf::from).with_context(|| format!("cargo built no {target}"))
}
