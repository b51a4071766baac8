//! Single changes: by command until the first packet gets through, and by the API alone.

use std::{
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use xtask::lab::Client;

use super::{
    bed::{Bed, Place},
    lists,
    probe::{Echo, Probe},
    report::{Report, Unit},
    usage::milliseconds,
};

const COMMANDS: usize = 30;
const SCRIPTED: u8 = 60;
const CALLS: u32 = 200;
const LIVES: usize = 20;
/// The daemon clears up after itself once it was left alone for a while; an operator leaves it
/// alone for longer than that.
const PAUSE: Duration = Duration::from_millis(100);

const SERVICE: &str = "probe";
const PORT: u16 = 7777;
const ADD: &str = "/v1/lists/probe/add";
const REMOVE: &str = "/v1/lists/probe/remove";

/// Before the first change: (a) and (b) of the table.
const ENTRIES: [u32; 2] = [10, 100_000];

/// A bed with a service that is closed already.
struct Case {
    name: String,
    bed: Bed,
    place: Place,
    probe: Probe,
    _echo: Echo,
}

impl Case {
    fn new(binaries: &Path, place: Place, entries: u32) -> Result<Self> {
        let bed = Bed::new(binaries, place)?;
        let echo = Echo::start(bed.server(), PORT)?;
        let probe = Probe::new(bed.client(), bed.server(), PORT)?;
        // The hosts get to know each other's hardware addresses meanwhile.
        if !probe.is_answered()? {
            bail!("the client is not answered though nothing is protected");
        }
        bed.protect(SERVICE, PORT)?;
        let list = bed.directory().join("list");
        lists::write_random(&list, entries)?;
        bed.replace(SERVICE, &std::fs::read(&list)?)?;
        let name = format!("{entries} entries, {place}");
        Ok(Self { name, bed, place, probe, _echo: echo })
    }
}

/// Measures all of it, in turns.
pub(super) fn measure(binaries: &Path, report: &mut Report) -> Result<()> {
    println!("single changes: starting four daemons");
    let mut cases = Vec::new();
    for entries in ENTRIES {
        for place in [Place::Disk, Place::Memory] {
            cases.push(Case::new(binaries, place, entries)?);
        }
    }
    by_command(&cases, report)?;
    by_script(&cases, report)?;
    by_call(&cases, report)?;
    lives(&cases, report)
}

/// `allowlist-ctl add`: until the first packet, and until it returns.
fn by_command(cases: &[Case], report: &mut Report) -> Result<()> {
    println!("single changes: {COMMANDS} commands each");
    let mut first = vec![Vec::new(); cases.len()];
    let mut returned = first.clone();
    // One more, which warms up and does not count.
    for run in 0..=COMMANDS {
        for index in turns(run, cases.len()) {
            thread::sleep(PAUSE);
            let (answered, time) = one_command(&cases[index])?;
            if run > 0 {
                first[index].push(milliseconds(answered));
                returned[index].push(milliseconds(time));
            }
        }
    }
    for (case, samples) in cases.iter().zip(first) {
        let what = format!("add, start to first packet: {}", case.name);
        report.add(what, Unit::Milliseconds, samples, Some(20.0));
    }
    for (case, samples) in cases.iter().zip(returned) {
        let what = format!("add, start to return: {}", case.name);
        report.add(what, Unit::Milliseconds, samples, Some(command_target(case.place)));
    }
    Ok(())
}

fn one_command(case: &Case) -> Result<(Duration, Duration)> {
    let client = case.bed.client().ipv4.to_string();
    let mut add = case.bed.ctl(&["add", SERVICE, &client]);
    add.stdout(Stdio::null());
    let times = case.probe.first_answer(|| {
        let begin = Instant::now();
        let status = add.status().context("allowlist-ctl can't be run")?;
        let time = begin.elapsed();
        if !status.success() {
            bail!("allowlist-ctl add failed");
        }
        Ok(time)
    })?;
    case.bed.connect()?.json("POST", REMOVE, &entry(&client))?;
    Ok(times)
}

/// `allowlist-ctl add` as a script has it: one command after another, and no other traffic.
fn by_script(cases: &[Case], report: &mut Report) -> Result<()> {
    println!("single changes: {SCRIPTED} commands of a script each");
    for case in cases {
        let mut samples = Vec::new();
        for run in 0..SCRIPTED {
            let mut add = case.bed.ctl(&["add", SERVICE, &format!("192.0.2.{run}")]);
            let begin = Instant::now();
            let status = add.stdout(Stdio::null()).status();
            samples.push(milliseconds(begin.elapsed()));
            if !status.context("allowlist-ctl can't be run")?.success() {
                bail!("allowlist-ctl add failed");
            }
        }
        let what = format!("add in a script, start to return: {}", case.name);
        report.add(what, Unit::Milliseconds, samples, Some(command_target(case.place)));
    }
    Ok(())
}

/// The call alone, one after another.
fn by_call(cases: &[Case], report: &mut Report) -> Result<()> {
    println!("single changes: {CALLS} calls each");
    let mut clients: Vec<_> = cases.iter().map(|case| case.bed.connect()).collect::<Result<_>>()?;
    let mut samples = vec![Vec::new(); cases.len()];
    for run in 0..CALLS {
        // Not of the random ones: no prefix of theirs is in this network of documentation.
        let [.., high, low] = run.to_be_bytes();
        let entry = entry(&format!("2001:db8::{high:x}:{low:x}"));
        for index in turns(run as usize, cases.len()) {
            let answer = clients[index].json("POST", ADD, &entry)?;
            samples[index].push(milliseconds(answer.took));
        }
    }
    for (case, samples) in cases.iter().zip(samples) {
        let what = format!("API call add: {}", case.name);
        report.add(what, Unit::Milliseconds, samples, call_target(case.place));
    }
    Ok(())
}

/// A service's life: made, closed by its first entry, opened by removing it, removed.
fn lives(cases: &[Case], report: &mut Report) -> Result<()> {
    println!("single changes: {LIVES} services' lives each");
    let settings = json!({ "ports": ["tcp/6379"] });
    let first = entry("192.0.2.1");
    let steps: [(&str, &str, &str, &Value); 4] = [
        ("protect", "PUT", "/v1/services/life", &settings),
        ("first entry", "POST", "/v1/lists/life/add", &first),
        ("last entry removed", "POST", "/v1/lists/life/remove?yes=true", &first),
        ("unprotect", "DELETE", "/v1/services/life?yes=true", &Value::Null),
    ];
    let mut samples = vec![vec![Vec::new(); cases.len()]; steps.len()];
    for run in 0..LIVES {
        for ((_, method, path, body), samples) in steps.iter().zip(&mut samples) {
            for index in turns(run, cases.len()) {
                let mut client: Client = cases[index].bed.connect()?;
                thread::sleep(PAUSE);
                samples[index].push(milliseconds(client.json(method, path, body)?.took));
            }
        }
    }
    for ((name, ..), samples) in steps.iter().zip(samples) {
        for (case, samples) in cases.iter().zip(samples) {
            let what = format!("API call {name}: {}", case.name);
            let target = call_target(case.place).filter(|_| name.contains("first"));
            report.add(what, Unit::Milliseconds, samples, target);
        }
    }
    Ok(())
}

/// The order of a round. In a fixed one, each case would find the disk's journal and the kernel's
/// grace periods as the case before it leaves them.
fn turns(round: usize, cases: usize) -> impl Iterator<Item = usize> {
    (0..cases).map(move |turn| (turn + round) % cases)
}

/// With the disk's sync and without.
fn command_target(place: Place) -> f64 {
    if place == Place::Memory { 3.0 } else { 20.0 }
}

/// Two milliseconds are meant without the disk.
fn call_target(place: Place) -> Option<f64> {
    (place == Place::Memory).then_some(2.0)
}

fn entry(prefix: &str) -> Value {
    json!({ "entries": [{ "entry": prefix }] })
}
