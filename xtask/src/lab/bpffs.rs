//! Temporary directories and BPF file systems as guards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context as _, Result, bail};

use super::undo::{self, Undo};

/// Before the process id of whoever made the directory.
pub(super) const PREFIX: &str = "allowlist-";

/// A temporary directory, removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    undo: Undo,
}

impl Scratch {
    /// Makes one, for this user only.
    ///
    /// # Errors
    ///
    /// As of [`tempfile::TempDir::new`].
    pub fn new() -> Result<Self> {
        undo::making(|| {
            let prefix = format!("{PREFIX}{}-", process::id());
            let directory = tempfile::Builder::new().prefix(&prefix).tempdir();
            let path = directory.context("no temporary directory can be made")?.keep();
            let undo = Undo::Directory(path.clone());
            Ok((undo.clone(), Self { path, undo }))
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        undo::undo(&self.undo);
    }
}

/// A BPF file system of its own, unmounted when dropped. What is pinned in it is gone then.
#[derive(Debug)]
pub struct Bpffs {
    path: PathBuf,
    undo: Undo,
}

impl Bpffs {
    /// Mounts one on a directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Not root, or the kernel has no BPF file system.
    pub fn mount(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("{} can't be made", directory.display()))?;
        undo::making(|| {
            let output = Command::new("mount")
                .args(["-t", "bpf", "allowlist-lab"])
                .arg(directory)
                .output()
                .context("mount can't be run")?;
            if !output.status.success() {
                bail!("no bpffs: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            let undo = Undo::Mount(directory.to_owned());
            Ok((undo.clone(), Self { path: directory.to_owned(), undo }))
        })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        undo::undo(&self.undo);
    }
}
