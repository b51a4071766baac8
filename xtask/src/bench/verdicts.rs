//! What a verdict costs: the program that the daemon has loaded, over the maps that it has filled.

mod trial;

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    os::fd::OwnedFd,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    bed::{Bed, Place},
    bpf::{self, MapType},
    harness::{Draw, Family, Harness, XDP_DROP, XDP_PASS},
    lists,
    report::{Report, Unit},
    xdp_filter::{self, Listed},
};

const ROUNDS: usize = 11;
const REPEAT: u32 = 400_000;

const SIZES: [u32; 5] = [1, 10, 1_000, 100_000, 1_000_000];
const MOST: u32 = SIZES[SIZES.len() - 1];
/// So few addresses are covered that a random one is hardly ever among them.
const V4_LENGTHS: RangeInclusive<u32> = 29..=32;
const V6_LENGTHS: RangeInclusive<u32> = 48..=64;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const PORT_OF_NO_SERVICE: u16 = 9;

/// What a denied packet may take, in times of what xdp-filter takes.
const TIMES_XDP_FILTER: f64 = 1.5;

/// One row of the table.
struct Case {
    name: String,
    harness: Harness,
    frame: Vec<u8>,
    verdict: u32,
    target: Option<f64>,
    samples: Vec<f64>,
}

/// What the cases are made of.
struct Stage {
    program: OwnedFd,
    /// The entries' own addresses, in their order.
    addresses: [OwnedFd; 2],
    cases: Vec<Case>,
}

/// Measures all of it, in turns.
pub(super) fn measure(binaries: &Path, report: &mut Report) -> Result<()> {
    println!("verdicts: filling lists of up to {MOST} entries of each family");
    let bed = Bed::new(binaries, Place::Memory)?;
    for (size, port) in SIZES.into_iter().zip(1..) {
        let service = format!("entries-{size}");
        let settings = json!({ "ports": [format!("tcp/{port}")] });
        bed.connect()?.json("PUT", &format!("/v1/services/{service}"), &settings)?;
        let list = bed.directory().join("list");
        write_list(&list, size)?;
        bed.replace(&service, &std::fs::read(&list)?)?;
    }
    let mut stage = Stage { program: bed.program()?, addresses: addresses()?, cases: Vec::new() };
    stage.ours()?;
    let ours = stage.cases.len();
    if xdp_filter::is_here() {
        stage.theirs()?;
    } else {
        println!("verdicts: without xdp-filter (of xdp-tools) beside them");
    }
    check(&bed, &stage.cases[..ours])?;

    println!("verdicts: {ROUNDS} rounds of {} cases", stage.cases.len());
    for _ in 0..ROUNDS {
        for case in &mut stage.cases {
            let (verdict, nanoseconds) = case.harness.measure(&case.frame, REPEAT)?;
            if verdict != case.verdict {
                bail!("{}: the verdict was {verdict}, not {}", case.name, case.verdict);
            }
            case.samples.push(nanoseconds);
        }
    }
    compare(&stage.cases, report);
    for case in stage.cases {
        report.add(case.name, Unit::Nanoseconds, case.samples, case.target);
    }
    println!("verdicts: with a policy on trial");
    trial::measure(binaries, stage.addresses, report)
}

/// What is denied with ten entries, beside xdp-filter, by the ratio of each round.
fn compare(cases: &[Case], report: &mut Report) {
    let samples = |name: String| cases.iter().find(|case| case.name == name).map(|c| &c.samples);
    for family in Family::BOTH {
        let ours = samples(format!("denied, 10 entries, {}", family.name()));
        let theirs = samples(format!("xdp-filter, not listed, dropped, {}", family.name()));
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
            let what = format!("denied, 10 entries, beside xdp-filter, {}", family.name());
            report.add(what, Unit::Times, ratios, Some(TIMES_XDP_FILTER));
        }
    }
}

impl Stage {
    fn ours(&mut self) -> Result<()> {
        for family in Family::BOTH {
            let name = family.name();
            let frame = family.frame(ICMP, 0);
            self.add(format!("parsed, no port, {name}"), family, None, frame, XDP_PASS, None)?;
            let frame = family.frame(TCP, PORT_OF_NO_SERVICE);
            self.add(format!("no service, {name}"), family, None, frame, XDP_PASS, Some(30.0))?;
        }
        for family in Family::BOTH {
            for (size, port) in SIZES.into_iter().zip(1..) {
                let name = format!("denied, {size} entries, {}", family.name());
                let target = (size == 10).then_some(120.0);
                let frame = family.frame(TCP, port);
                self.add(name, family, None, frame, XDP_DROP, target)?;
            }
            for (size, port) in SIZES.into_iter().zip(1..) {
                let name = format!("admitted, {size} entries, {}", family.name());
                let frame = family.frame(TCP, port);
                self.add(name, family, Some(size), frame, XDP_PASS, None)?;
            }
        }
        Ok(())
    }

    fn theirs(&mut self) -> Result<()> {
        let v4: Vec<Ipv4Addr> = (0..10).map(|index| lists::ipv4(&V4_LENGTHS, index).0).collect();
        let v6: Vec<Ipv6Addr> = (0..10).map(|index| lists::ipv6(&V6_LENGTHS, index).0).collect();
        for (listed, one_of, name) in [
            (Listed::Pass, None, "xdp-filter, not listed, dropped"),
            (Listed::Drop, Some(10), "xdp-filter, one of 10 listed, dropped"),
        ] {
            let program = xdp_filter::load(listed, &v4, &v6)?;
            let own = std::mem::replace(&mut self.program, program);
            for family in Family::BOTH {
                let name = format!("{name}, {}", family.name());
                self.add(name, family, one_of, family.frame(TCP, 1), XDP_DROP, None)?;
            }
            self.program = own;
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: String,
        family: Family,
        one_of: Option<u32>,
        frame: Vec<u8>,
        verdict: u32,
        target: Option<f64>,
    ) -> Result<()> {
        let draw = match one_of {
            Some(count) => Draw::OneOf(&self.addresses[family as usize], count),
            None => Draw::Any,
        };
        let harness = Harness::new(&self.program, family, draw)
            .with_context(|| format!("{name} can't be measured"))?;
        self.cases.push(Case { name, harness, frame, verdict, target, samples: Vec::new() });
        Ok(())
    }
}

/// One run of each case that is not measured, to see that the kernel judges as the case says.
fn check(bed: &Bed, cases: &[Case]) -> Result<()> {
    for case in cases.iter().filter(|case| case.name.contains("entries")) {
        let share = share(bed, &case.harness, &case.frame, case.verdict)?;
        if share < 99 {
            bail!("{}: only {share} % of the packets were judged so", case.name);
        }
    }
    Ok(())
}

/// How many hundredths of its packets a service judges so, in a run that is not measured.
pub(super) fn share(bed: &Bed, harness: &Harness, frame: &[u8], verdict: u32) -> Result<u64> {
    const REPEAT: u32 = 100_000;
    let counted = || -> Result<u64> {
        let status = bed.status()?;
        let services = status["services"].as_array().context("no services")?;
        let key = if verdict == XDP_DROP { "denied" } else { "admitted" };
        let of = |service: &Value| service[key]["packets"].as_u64();
        services.iter().map(of).sum::<Option<u64>>().context("no counters")
    };
    let before = counted()?;
    harness.measure(frame, REPEAT)?;
    Ok((counted()? - before) * 100 / u64::from(REPEAT))
}

fn write_list(path: &Path, size: u32) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for index in 0..size {
        let (address, length) = lists::ipv4(&V4_LENGTHS, index);
        writeln!(file, "{address}/{length}")?;
        let (address, length) = lists::ipv6(&V6_LENGTHS, index);
        writeln!(file, "{address}/{length}")?;
    }
    Ok(file.flush()?)
}

/// The entries' own addresses as arrays that the harness draws from, in the order of [`Family`].
fn addresses() -> Result<[OwnedFd; 2]> {
    let v4 = bpf::create_map(MapType::Array, 4, MOST)?;
    let v6 = bpf::create_map(MapType::Array, 16, MOST)?;
    for index in 0..MOST {
        bpf::set(&v4, index, lists::ipv4(&V4_LENGTHS, index).0.octets())?;
        bpf::set(&v6, index, lists::ipv6(&V6_LENGTHS, index).0.octets())?;
    }
    Ok([v4, v6])
}
