//! BPF file systems as guards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::undo::{self, Undo};

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
