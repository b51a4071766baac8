//! What being scraped costs: the daemon's time of one scrape, and the verdicts while there is one every second.
//!
//! A scrape reads the counters that the program writes. Runs of about a second with a scrape in them are measured in
//! turns with runs without one.

use std::{
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, json};
use xtask::lab::Client;

use super::{
    bed::{Bed, Place},
    harness::{Draw, Family, Harness, XDP_DROP},
    report::{Report, Unit},
    usage::milliseconds,
};

/// Services, and as many as there may be, roughly.
const FEW: u16 = 100;
const MANY: u16 = 1000;
const FIRST_PORT: u16 = 10_000;
const UDP: u8 = 17;
/// Scrapes that are measured by themselves.
const SCRAPES: usize = 50;

const ROUNDS: usize = 15;
/// About a second of packets.
const REPEAT: u32 = 4_000_000;
const SECOND: Duration = Duration::from_secs(1);
/// In times of what a verdict costs without scrapes.
const SLOWER: f64 = 1.02;

/// Measures all of it, in turns.
pub(super) fn measure(binaries: &Path, report: &mut Report) -> Result<()> {
    let bed = Bed::new(binaries, Place::Memory)?;
    protect(&bed, FEW)?;
    verdicts(&bed, report)?;
    scrapes(&bed, FEW, report)?;
    protect(&bed, MANY)?;
    scrapes(&bed, MANY, report)
}

/// Makes so many services, each of them closed.
fn protect(bed: &Bed, count: u16) -> Result<()> {
    let service = |index| {
        let ports = json!([format!("udp/{}", FIRST_PORT + index)]);
        let entries = json!([{"entry": "192.0.2.1"}, {"entry": "2001:db8::1"}]);
        (format!("service-{index}"), json!({ "ports": ports, "entries": entries }))
    };
    let services: Map<_, _> = (0..count).map(service).collect();
    bed.connect()?.json("PUT", "/v1/policy?yes=true", &json!({ "service": services }))?;
    Ok(())
}

fn scrape(client: &mut Client) -> Result<(Duration, usize)> {
    let begin = Instant::now();
    let (status, text) = client.ask_bytes("GET", "/v1/metrics", "text/plain", b"")?;
    let took = begin.elapsed();
    if status != 200 {
        bail!("a scrape failed: {}", String::from_utf8_lossy(&text));
    }
    Ok((took, text.split(|byte| *byte == b'\n').count()))
}

/// What one scrape takes.
fn scrapes(bed: &Bed, services: u16, report: &mut Report) -> Result<()> {
    let mut client = bed.connect()?;
    let (_, lines) = scrape(&mut client)?;
    // Each has several counters, or something else was read.
    ensure!(lines > 10 * usize::from(services), "only {lines} lines for {services} services");
    println!("metrics: {SCRAPES} scrapes of {lines} lines");
    let mut samples = Vec::new();
    for _ in 0..SCRAPES {
        samples.push(milliseconds(scrape(&mut client)?.0));
    }
    report.add(format!("scrape with {services} services"), Unit::Milliseconds, samples, None);
    Ok(())
}

/// What a verdict costs while there is a scrape every second, beside what it costs without.
fn verdicts(bed: &Bed, report: &mut Report) -> Result<()> {
    println!("metrics: {ROUNDS} rounds of {REPEAT} packets with scrapes and without");
    let program = bed.program()?;
    for family in Family::BOTH {
        let harness = Harness::new(&program, family, Draw::Any)?;
        let frame = family.frame(UDP, FIRST_PORT);
        let packet = || -> Result<f64> {
            let (verdict, nanoseconds) = harness.measure(&frame, REPEAT)?;
            ensure!(verdict == XDP_DROP, "a packet was not dropped: {verdict}");
            Ok(nanoseconds)
        };
        let (mut scraped, mut quiet, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Whichever comes first finds the caches as the other has left them.
            let (with, without) = if round % 2 == 0 {
                (while_scraped(bed, packet)?, packet()?)
            } else {
                let without = packet()?;
                (while_scraped(bed, packet)?, without)
            };
            scraped.push(with);
            quiet.push(without);
            ratios.push(with / without);
        }
        let name = family.name();
        report.add(
            format!("denied, scraped every second, {name}"),
            Unit::Nanoseconds,
            scraped,
            None,
        );
        report.add(format!("denied, not scraped, {name}"), Unit::Nanoseconds, quiet, None);
        let what = format!("scraped every second, beside not at all, {name}");
        report.add(what, Unit::Times, ratios, Some(SLOWER));
    }
    Ok(())
}

/// Does some work while the daemon is scraped, at once and every second.
fn while_scraped<T>(bed: &Bed, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut client = bed.connect()?;
    thread::scope(|scope| {
        let (end, ended) = mpsc::channel::<()>();
        let other = scope.spawn(move || -> Result<()> {
            loop {
                scrape(&mut client)?;
                match ended.recv_timeout(SECOND) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return Ok(()),
                }
            }
        });
        let worked = work();
        drop(end);
        let scrapes = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        scrapes.context("the daemon was not scraped")?;
        worked
    })
}
