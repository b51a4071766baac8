//! Whole lists by `allowlist-ctl replace -f`, each into an empty service.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Result, bail};

use super::{
    bed::{Bed, Place},
    lists,
    report::{Report, Unit},
    usage::{self, Usage, megabytes, milliseconds},
};

const RUNS: usize = 5;
/// The daemon frees what an emptied list leaves behind once it was left alone.
const PAUSE: Duration = Duration::from_secs(1);
const SERVICE: &str = "probe";
const PORT: u16 = 7777;

/// A daemon of its own for each list: memory that one has taken would count for another.
struct Case {
    name: String,
    prefixes: usize,
    bed: Bed,
    list: PathBuf,
    /// Milliseconds.
    time_target: Option<f64>,
    /// Megabytes, of the command and of the daemon.
    memory_target: Option<f64>,
    usages: Vec<Usage>,
}

impl Case {
    fn new(binaries: &Path, write: impl FnOnce(&Path) -> Result<usize>) -> Result<Self> {
        let bed = Bed::new(binaries, Place::Disk)?;
        bed.protect(SERVICE, PORT)?;
        let list = bed.directory().join("list");
        let prefixes = write(&list)?;
        let name = format!("{prefixes} random prefixes");
        let (time_target, memory_target, usages) = (None, None, Vec::new());
        Ok(Self { name, prefixes, bed, list, time_target, memory_target, usages })
    }

    fn random(binaries: &Path, count: u32, time_target: Option<f64>) -> Result<Self> {
        let write = |path: &Path| {
            lists::write_random(path, count)?;
            Ok(count as usize)
        };
        Ok(Self { time_target, ..Self::new(binaries, write)? })
    }

    fn eu(binaries: &Path, data: &Path) -> Result<Self> {
        let write = |path: &Path| lists::write_real(path, data, &["eu-v4", "eu-v6"]);
        let case = Self::new(binaries, write)?;
        let name = format!("{} prefixes of the EU", case.prefixes);
        Ok(Self { name, time_target: Some(3000.0), memory_target: Some(400.0), ..case })
    }

    fn run(&mut self) -> Result<()> {
        let list = self.list.to_string_lossy().into_owned();
        let mut command = self.bed.ctl(&["replace", SERVICE, "-f", &list]);
        self.usages.push(usage::run(command.stdout(Stdio::null()))?);
        let status = self.bed.connect()?.request("GET", "/v1/status", "application/json", b"")?;
        let entries = &status.body["services"][0]["entries"];
        let entries = entries.as_u64().unwrap_or_default().try_into()?;
        // Real lists have some lines twice.
        let expected = self.prefixes - self.prefixes / 1000..=self.prefixes;
        if !expected.contains(&entries) {
            bail!("{}: the service has {entries} entries afterwards", self.name);
        }
        self.bed.replace(SERVICE, b"")?;
        thread::sleep(PAUSE);
        Ok(())
    }

    fn report(&self, report: &mut Report) -> Result<()> {
        let name = &self.name;
        let samples = |of: fn(&Usage) -> f64| self.usages.iter().map(of).collect();
        let time = samples(|usage| milliseconds(usage.time));
        let memory = samples(|usage| megabytes(usage.memory));
        let daemon = vec![megabytes(usage::peak_memory(self.bed.daemon.pid())?)];
        report.add(format!("replace: {name}"), Unit::Milliseconds, time, self.time_target);
        let what = format!("resident, the command: {name}");
        report.add(what, Unit::Megabytes, memory, self.memory_target);
        let what = format!("resident, the daemon: {name}");
        report.add(what, Unit::Megabytes, daemon, self.memory_target);
        Ok(())
    }
}

/// Measures all of it, in turns.
pub(super) fn measure(binaries: &Path, data: Option<&Path>, report: &mut Report) -> Result<()> {
    println!("whole lists: {RUNS} runs each");
    let mut cases = vec![
        Case::random(binaries, 100_000, Some(1000.0))?,
        Case::random(binaries, 1_000_000, Some(6000.0))?,
    ];
    match data {
        Some(data) => cases.insert(0, Case::eu(binaries, data)?),
        None => println!("whole lists: without --data no real ones"),
    }
    for _ in 0..RUNS {
        for case in &mut cases {
            case.run()?;
        }
    }
    cases.iter().try_for_each(|case| case.report(report))
}
