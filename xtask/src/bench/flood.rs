//! A flood of packets that are denied: whether reporting them slows the verdicts, and what becomes of the daemon's
//! memory.
//!
//! The daemon allows each CPU so many reports a second, drains them and gathers them by source, here a new one for
//! each packet. A burst of as many packets is measured while all of them are reported, and another one right after it,
//! of which none is. A report takes many times what a packet does, so that this tells what a flood of a million a
//! second loses by a thousand of them, where two whole seconds would differ by less than what else the machine does.

use std::{
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    bed::{Bed, Place},
    harness::{Draw, Family, Harness, XDP_DROP},
    lists,
    report::{Report, Unit},
    usage::{self, megabytes},
};

const ROUNDS: usize = 21;
/// Reports that a CPU may send in a second.
const REPORTS: u32 = 1000;
/// Longer than the daemon takes to allow them again.
const PAUSE: Duration = Duration::from_millis(1200);
/// Packets a second, on one CPU.
const RATE: u32 = 1_000_000;

/// Times that a second of the flood is taken in. To begin and to end a test run the kernel takes some 10 ms each,
/// however long it is.
const BURSTS: u32 = 4;
/// Seconds of flood after which the daemon has gathered as much as it keeps, and the same once more.
const LONG: u32 = 10;

/// In times of what a flood takes without reports.
const SLOWER: f64 = 1.05;
/// Megabytes that the daemon may grow by while the flood goes on.
const GROWTH: f64 = 1.0;

const SECOND: Duration = Duration::from_secs(1);
const SERVICE: &str = "flooded";
const PORT: u16 = 7777;
const ENTRIES: u32 = 10;
const UDP: u8 = 17;

/// The flood: packets of one family from random sources.
pub(super) struct Flood {
    harness: Harness,
    frame: Vec<u8>,
}

/// Measures all of it, in turns.
pub(super) fn measure(binaries: &Path, report: &mut Report) -> Result<()> {
    let bed = bed(binaries)?;
    let before = usage::resident_memory(bed.daemon.pid())?;
    let program = bed.program()?;
    // Each CPU has reports of its own.
    usage::stay_on_this_cpu()?;
    let [v4, v6] = Family::BOTH.map(|family| Flood::new(&program, family));
    let floods = [v4?, v6?];
    slowness(&floods, report)?;
    check(&bed)?;
    memory(&bed, &floods[0], before, report)
}

/// A daemon with the service that is flooded.
pub(super) fn bed(binaries: &Path) -> Result<Bed> {
    let bed = Bed::new(binaries, Place::Memory)?;
    bed.protect(SERVICE, PORT)?;
    let list = bed.directory().join("list");
    lists::write_random(&list, ENTRIES)?;
    bed.replace(SERVICE, &std::fs::read(&list)?)?;
    Ok(bed)
}

/// What reports cost.
fn slowness(floods: &[Flood; 2], report: &mut Report) -> Result<()> {
    println!("flood: {ROUNDS} rounds of {REPORTS} packets with reports and without");
    let mut samples = Family::BOTH.map(|_| [const { Vec::new() }; 3]);
    for _ in 0..ROUNDS {
        for (flood, [reported, silent, ratios]) in floods.iter().zip(&mut samples) {
            thread::sleep(PAUSE);
            let (with, without) = (flood.burst(REPORTS)?, flood.burst(REPORTS)?);
            reported.push(with);
            silent.push(without);
            let packets = f64::from(RATE);
            ratios.push(
                (packets * without + f64::from(REPORTS) * (with - without)) / (packets * without),
            );
        }
    }
    for (family, [reported, silent, ratios]) in Family::BOTH.into_iter().zip(samples) {
        let name = family.name();
        report.add(format!("denied and reported, {name}"), Unit::Nanoseconds, reported, None);
        report.add(format!("denied, not reported, {name}"), Unit::Nanoseconds, silent, None);
        let what = format!("flood of {RATE} a second, beside one without reports, {name}");
        report.add(what, Unit::Times, ratios, Some(SLOWER));
    }
    Ok(())
}

/// What the daemon keeps of a flood.
fn memory(bed: &Bed, flood: &Flood, before: u64, report: &mut Report) -> Result<()> {
    println!("flood: {} seconds for the daemon's memory", 2 * LONG);
    // The peak: what is resident at a moment depends on what the allocator has given back.
    let peak = || usage::peak_memory(bed.daemon.pid());
    flood.run(LONG)?;
    let filled = peak()?;
    flood.run(LONG)?;
    let after = peak()?;
    report.add("daemon before a flood", Unit::Megabytes, vec![megabytes(before)], None);
    report.add("daemon at most in a flood", Unit::Megabytes, vec![megabytes(after)], None);
    let growth = megabytes(after.saturating_sub(filled));
    let what = format!("daemon's growth over the last {} packets of it", RATE * LONG);
    report.add(what, Unit::Megabytes, vec![growth], Some(GROWTH));
    Ok(())
}

impl Flood {
    pub(super) fn new(program: &OwnedFd, family: Family) -> Result<Self> {
        let harness = Harness::new(program, family, Draw::Any)?;
        Ok(Self { harness, frame: family.frame(UDP, PORT) })
    }

    /// What one of so many packets at once takes, in nanoseconds.
    fn burst(&self, packets: u32) -> Result<f64> {
        let (verdict, nanoseconds) = self.harness.measure(&self.frame, packets)?;
        if verdict != XDP_DROP {
            bail!("a packet of the flood was not dropped: {verdict}");
        }
        Ok(nanoseconds)
    }

    /// So many seconds of it.
    pub(super) fn run(&self, seconds: u32) -> Result<()> {
        let begin = Instant::now();
        for burst in 0..seconds * BURSTS {
            thread::sleep((SECOND / BURSTS * burst).saturating_sub(begin.elapsed()));
            self.burst(RATE / BURSTS)?;
        }
        let rate = f64::from(RATE * seconds) / begin.elapsed().as_secs_f64();
        println!("flood: {rate:.0} packets a second");
        Ok(())
    }
}

/// That packets were reported while the daemon ran, or else nothing was compared.
fn check(bed: &Bed) -> Result<()> {
    let denied =
        bed.status()?["services"][0]["denied"]["packets"].as_u64().context("no counter")?;
    let drops = bed.connect()?.request("GET", "/v1/drops?limit=1", "application/json", b"")?;
    let lost = drops.body["lost"].as_u64().context("no count of the lost")?;
    let reported = denied.saturating_sub(lost);
    let expected = (Family::BOTH.len() * ROUNDS) as u64 * u64::from(REPORTS);
    println!("flood: {reported} of {denied} packets were reported");
    if reported < expected * 3 / 4 || lost < expected * 3 / 4 {
        bail!("{reported} packets were reported and {lost} not, instead of {expected} each");
    }
    Ok(())
}
