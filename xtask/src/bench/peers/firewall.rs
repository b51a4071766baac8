//! A host whose kernel filters without an XDP program, and commands in it.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result};
use xtask::lab::{Namespace, Scratch};

use super::PORT;
use crate::bench::{feed::Cable, harness::Family, usage};

/// The host, its device, and a directory for files that it reads. The fields are dropped in this
/// order.
pub(super) struct Firewall {
    pub(super) cable: Cable,
    pub(super) namespace: Namespace,
    scratch: Scratch,
}

impl Firewall {
    pub(super) fn new(label: &str, family: Family) -> Result<Self> {
        let namespace = Namespace::new(label)?;
        let cable = Cable::new(&namespace, family, PORT)?;
        cable.poll(&namespace)?;
        Ok(Self { cable, namespace, scratch: Scratch::new()? })
    }

    /// A file with this text.
    pub(super) fn write(&self, text: &str) -> Result<PathBuf> {
        let file = self.scratch.path().join("set");
        fs::write(&file, text).with_context(|| format!("{} can't be written", file.display()))?;
        Ok(file)
    }

    /// Runs a command to its end, and says how long it took.
    pub(super) fn time(&self, words: &[&str], input: Option<File>) -> Result<Duration> {
        let (program, arguments) = words.split_first().context("a command without a name")?;
        let mut command = self.namespace.command(program);
        command.args(arguments).stdin(input.map_or_else(Stdio::null, Stdio::from));
        Ok(usage::run(&mut command)?.time)
    }
}
