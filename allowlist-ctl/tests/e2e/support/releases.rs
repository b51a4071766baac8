//! Another release of the daemon.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::ALLOWLISTD;

/// The daemon of a later release: another program, other maps. `ALLOWLIST_NEXT_RELEASE` says where it is; without, it is
/// built.
pub(crate) fn next_release() -> Result<String> {
    if let Ok(path) = env::var("ALLOWLIST_NEXT_RELEASE") {
        return Ok(path);
    }
    let mut build = Command::new(env::var_os("CARGO").context("run by cargo, or see above")?);
    build.args(["build", "--package", "allowlist-ctl", "--example", "next-release"]);
    build.args(["--features", "next-abi"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    ensure!(build.status()?.success(), "the daemon of a later release does not build");
    let directory = PathBuf::from(ALLOWLISTD);
    let directory = directory.parent().context("the daemon is in no directory")?;
    Ok(directory.join("examples/next-release").display().to_string())
}
