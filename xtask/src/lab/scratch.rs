//! Temporary directories as guards.

use std::{
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result};

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
