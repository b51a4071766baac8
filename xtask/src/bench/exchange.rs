//! One whole list in the place of another, which the store keeps, and what the daemon answers meanwhile.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{
    bed::{Bed, Place},
    lists,
    report::{Report, Unit},
    usage::{self, megabytes, milliseconds},
};

const RUNS: usize = 4;
/// The daemon clears up what the exchange left behind.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two questions for the status.
const POLL: Duration = Duration::from_millis(5);
const SERVICE: &str = "probe";
const PORT: u16 = 7777;

/// How many prefixes, and how many milliseconds an exchange may take.
const CASES: [(u32, f64); 2] = [(100_000, 1000.0), (1_000_000, 6000.0)];

/// Measures all of it.
pub(super) fn measure(binaries: &Path, report: &mut Report) -> Result<()> {
    CASES.iter().try_for_each(|(count, target)| exchange(binaries, *count, *target, report))
}

fn exchange(binaries: &Path, count: u32, target: f64, report: &mut Report) -> Result<()> {
    println!("whole lists: {RUNS} exchanges of {count}");
    let bed = Bed::new(binaries, Place::Disk)?;
    bed.protect(SERVICE, PORT)?;
    let files: [PathBuf; 2] = ["one", "other"].map(|name| bed.directory().join(name));
    lists::write_random(&files[0], count)?;
    lists::write_others(&files[1], count, count)?;
    bed.replace(SERVICE, &std::fs::read(&files[0])?)?;
    let (mut times, mut slowest) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        thread::sleep(PAUSE);
        let file = files[(run + 1) % 2].to_string_lossy().into_owned();
        let mut command = bed.ctl(&["replace", SERVICE, "-f", &file, "--force"]);
        let (usage, status) = while_asking(&bed, || usage::run(command.stdout(Stdio::null())))?;
        times.push(milliseconds(usage.time));
        slowest.push(milliseconds(status));
    }
    let (mut listed, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let usage = usage::run(bed.ctl(&["--json", "list", SERVICE]).stdout(Stdio::null()))?;
        listed.push(milliseconds(usage.time));
        memory.push(megabytes(usage.memory));
    }
    let name = format!("{count} random prefixes");
    let daemon = vec![megabytes(usage::peak_memory(bed.daemon.pid())?)];
    report.add(format!("replace, as many others: {name}"), Unit::Milliseconds, times, Some(target));
    let what = format!("slowest status meanwhile: {name}");
    report.add(what, Unit::Milliseconds, slowest, Some(100.0));
    let what = format!("resident, the daemon after exchanges and lists: {name}");
    report.add(what, Unit::Megabytes, daemon, Some(600.0));
    report.add(format!("list --json: {name}"), Unit::Milliseconds, listed, None);
    report.add(format!("resident, list --json: {name}"), Unit::Megabytes, memory, None);
    Ok(())
}

/// Asks for the status again and again during some work; returns the longest that an answer took.
fn while_asking<T>(bed: &Bed, work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let mut client = bed.connect()?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let begin = Instant::now();
                client.get("/v1/status")?;
                longest = longest.max(begin.elapsed());
                thread::sleep(POLL);
            }
            Ok(longest)
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let longest: Result<Duration> = match asking.join() {
            Ok(longest) => longest,
            Err(_) => bail!("asking for the status broke off"),
        };
        Ok((worked?, longest?))
    })
}
