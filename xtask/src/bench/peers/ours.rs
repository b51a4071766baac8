//! The project's own daemon, with an engine.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::Result;
use serde_json::json;

use super::{Kind, PORT, Peer, SERVICE};
use crate::bench::{
    bed::{Bed, Engine, Place},
    feed::Cable,
    harness::Family,
    lists::Prefix,
    usage,
};

pub(super) struct Ours {
    engine: Engine,
    cable: Cable,
    bed: Bed,
}

impl Ours {
    /// Its store is on a disk, which its changes wait for.
    pub(super) fn new(binaries: &Path, engine: Engine, family: Family) -> Result<Self> {
        let bed = Bed::with(binaries, Place::Disk, engine)?;
        bed.protect(SERVICE, PORT)?;
        let cable = Cable::new(&bed.server().namespace, family, PORT)?;
        let path = format!("/v1/interfaces/{}", cable.interface);
        bed.connect()?.json("PUT", &path, &json!({ "mode": "native" }))?;
        Ok(Self { engine, cable, bed })
    }
}

impl Peer for Ours {
    fn name(&self) -> &'static str {
        match self.engine {
            Engine::Lpm => "allowlist (lpm)",
            Engine::Flat => "allowlist (flat)",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Ours(self.engine)
    }

    fn cable(&self) -> &Cable {
        &self.cable
    }

    fn replace(&mut self, prefixes: &[Prefix]) -> Result<Option<Duration>> {
        let list = self.bed.directory().join("list");
        let mut file = BufWriter::new(File::create(&list)?);
        for prefix in prefixes {
            writeln!(file, "{prefix}")?;
        }
        file.flush()?;
        let list_name = list.to_string_lossy();
        let arguments = ["replace", SERVICE, "-f", &list_name, "--yes", "--force"];
        let usage = usage::run(self.bed.ctl(&arguments).stdout(Stdio::null()))?;
        fs::remove_file(&list)?;
        Ok(Some(usage.time))
    }

    fn add(&mut self, prefix: &Prefix) -> Result<Option<Duration>> {
        let prefix = prefix.to_string();
        let mut command = self.bed.ctl(&["add", SERVICE, &prefix]);
        Ok(Some(usage::run(command.stdout(Stdio::null()))?.time))
    }

    fn passed(&self) -> Result<u64> {
        let dropped = self.cable.dropped(&self.bed.server().namespace)?;
        Ok(self.cable.received()?.saturating_sub(dropped))
    }
}
