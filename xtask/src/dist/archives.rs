//! What the files are packed into.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{binaries, output};

/// Packs a tree into an archive of this name, below a directory of that name.
pub(super) fn tar(name: &str, tree: &Path, directory: &Path) -> Result<PathBuf> {
    let archive = directory.join(format!("{name}.tar.gz"));
    // The same files make the same archive, whoever packs them and when.
    output(
        Command::new("tar")
            .args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{}", moment()))
            .arg(format!("--transform=s,^\\.,{name},"))
            .args(["--use-compress-program=gzip --best --no-name", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(tree)
            .arg("."),
    )?;
    Ok(archive)
}

/// Packs the tree that `[package.metadata.deb]` of the crate names into a package of Debian's.
pub(super) fn deb(version: &str, directory: &Path) -> Result<PathBuf> {
    let made = output(
        Command::new("cargo")
            .args(["deb", "--package", "allowlist-ctl", "--no-build", "--no-strip", "--quiet"])
            .args(["--deb-version", version, "--output"])
            .arg(directory)
            .env("SOURCE_DATE_EPOCH", moment())
            .current_dir(binaries::root()),
    )?;
    let made = made.lines().last().context("cargo-deb names no package")?.trim();
    Ok(PathBuf::from(made))
}

/// When what is packed was made, in seconds since 1970: with the last commit, unless somebody says otherwise.
pub(super) fn moment() -> String {
    let git = Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(binaries::root())
        .output();
    let of_commit = || {
        let git = git.ok().filter(|git| git.status.success())?;
        Some(String::from_utf8(git.stdout).ok()?.trim().to_owned())
    };
    env::var("SOURCE_DATE_EPOCH").ok().or_else(of_commit).unwrap_or_else(|| "0".to_owned())
}

/// A line about a file.
pub(super) fn describe(file: &Path) -> Result<String> {
    let kilobytes = fs::metadata(file)?.len() / 1000;
    Ok(format!("{:>7} kB  {}", kilobytes, file.display()))
}
