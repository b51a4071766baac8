//! Daemons with all lists, and the sources that are drawn from these.

use std::{fmt::Write as _, fs, net::IpAddr, os::fd::OwnedFd, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use xtask::lab::Scratch;

use super::{
    LARGEST, REAL, SIZES,
    case::{Case, Key, Set},
};
use crate::bench::{
    bed::{Bed, Engine, Place},
    bpf::{self, MapType},
    harness::{Draw, Family, Harness, XDP_DROP, XDP_PASS},
    lists::{self, Prefix},
    report::{Report, Unit},
    usage::{self, megabytes},
    verdicts,
};

const TCP: u8 = 6;
const PORT_OF_NO_SERVICE: u16 = 9;
const FIRST_RANDOM: u16 = 1001;
const FIRST_REAL: u16 = 2001;
/// Hundredths of the packets that have to be judged as the case says: of a million IPv4 prefixes
/// some cover a source that was drawn from all.
const JUDGED: u64 = 98;

/// Real lists of both families: how often they are put into an empty service for its memory, and
/// what that may be of the last one with flat, in megabytes.
const FILLED: usize = 3;
const MEMORY: f64 = 8.0;

/// Sources by list, for the harness to draw from, in the order of [`Family`].
pub(super) struct Sources {
    /// The first so many are those of so many prefixes.
    random: [OwnedFd; 2],
    real: Vec<(&'static str, [(OwnedFd, u32); 2])>,
}

impl Sources {
    /// One source below each prefix.
    pub(super) fn new(data: Option<&Path>) -> Result<Self> {
        let Set::Random(most) = LARGEST else { bail!("the largest list is a real one") };
        let random = |family| -> Result<OwnedFd> {
            let hosts = (0..most).map(|index| host(&lists::long(family, index), index));
            Ok(array(family, hosts)?.0)
        };
        let mut real = Vec::new();
        for (name, _) in REAL {
            let Some(data) = data else { break };
            let below = |family| {
                let prefixes = read(data, name, family)?;
                let hosts = prefixes.iter().zip(0..).map(|(prefix, index)| host(prefix, index));
                array(family, hosts)
            };
            real.push((name, [below(Family::V4)?, below(Family::V6)?]));
        }
        Ok(Self { random: [random(Family::V4)?, random(Family::V6)?], real })
    }

    fn draw(&self, key: Key) -> Result<Draw<'_>> {
        let family = key.family as usize;
        Ok(match key.set {
            _ if !key.admitted => Draw::Any,
            Set::NoService => Draw::Any,
            Set::Random(size) => Draw::OneOf(&self.random[family], size),
            Set::Real(name) => {
                let list = self.real.iter().find(|(of, _)| *of == name);
                let (hosts, count) = &list.with_context(|| format!("no list {name}"))?.1[family];
                Draw::OneOf(hosts, *count)
            }
        })
    }
}

/// An address that a prefix covers, always the same.
fn host(prefix: &Prefix, index: u32) -> IpAddr {
    prefix.host(u128::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// An array of addresses, and how many there are.
fn array(family: Family, hosts: impl Iterator<Item = IpAddr>) -> Result<(OwnedFd, u32)> {
    let hosts: Vec<_> = hosts.collect();
    let count = u32::try_from(hosts.len())?;
    let bytes = match family {
        Family::V4 => 4,
        Family::V6 => 16,
    };
    let map = bpf::create_map(MapType::Array, bytes, count)?;
    for (index, host) in (0..).zip(hosts) {
        match host {
            IpAddr::V4(host) => bpf::set(&map, index, host.octets())?,
            IpAddr::V6(host) => bpf::set(&map, index, host.octets())?,
        }
    }
    Ok((map, count))
}

/// A real list of one family.
fn read(data: &Path, name: &str, family: Family) -> Result<Vec<Prefix>> {
    let scratch = Scratch::new()?;
    let file = scratch.path().join("list");
    let suffix = match family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    };
    lists::write_real(&file, data, &[&format!("{name}-{suffix}")])?;
    let text = fs::read_to_string(&file)?;
    let prefix = |line: &str| {
        let (address, length) = line.split_once('/')?;
        Some(Prefix { address: address.parse().ok()?, length: length.parse().ok()? })
    };
    let prefixes = text.lines().map(|line| prefix(line).with_context(|| format!("{name}: {line}")));
    prefixes.collect()
}

/// A daemon with all lists.
pub(super) struct Stage {
    pub(super) engine: Engine,
    program: OwnedFd,
    bed: Bed,
}

impl Stage {
    pub(super) fn new(
        binaries: &Path,
        engine: Engine,
        data: Option<&Path>,
        report: &mut Report,
    ) -> Result<Self> {
        let bed = Bed::with(binaries, Place::Memory, engine)?;
        if let Some(data) = data {
            // The largest first: what it takes of the kernel's memory is told while there is
            // nothing else.
            for (name, _) in REAL.iter().rev() {
                let service = protect(&bed, Set::Real(name))?;
                let list = bed.directory().join("list");
                lists::write_real(&list, data, &[&format!("{name}-v4"), &format!("{name}-v6")])?;
                let list = fs::read(&list)?;
                if *name == REAL[REAL.len() - 1].0 {
                    let samples = memory(&bed, &service, &list)?;
                    let what = format!("kernel's memory, {name} whole, {}", engine.name());
                    let target = (engine == Engine::Flat).then_some(MEMORY);
                    report.add(what, Unit::Megabytes, samples, target);
                }
                bed.replace(&service, &list)?;
            }
        }
        for size in SIZES {
            let service = protect(&bed, Set::Random(size))?;
            let mut list = String::new();
            for index in 0..size {
                for family in Family::BOTH {
                    writeln!(list, "{}", lists::long(family, index))?;
                }
            }
            bed.replace(&service, list.as_bytes())?;
        }
        Ok(Self { engine, program: bed.program()?, bed })
    }

    /// A case that has been seen to be judged as it says.
    pub(super) fn case(&self, key: Key, sources: &Sources) -> Result<Case> {
        let harness = Harness::new(&self.program, key.family, sources.draw(key)?)
            .with_context(|| format!("{key} can't be measured"))?;
        let frame = key.family.frame(TCP, port(key.set)?);
        if key.set != Set::NoService {
            let verdict = if key.admitted { XDP_PASS } else { XDP_DROP };
            let share = verdicts::share(&self.bed, &harness, &frame, verdict)?;
            ensure!(share >= JUDGED, "{key}: only {share} % of the packets were judged so");
        }
        Ok(Case { key, harness, frame, samples: Vec::new() })
    }
}

/// The port whose service has this set.
fn port(set: Set) -> Result<u16> {
    let (first, position) = match set {
        Set::NoService => (PORT_OF_NO_SERVICE, Some(0)),
        Set::Random(size) => (FIRST_RANDOM, SIZES.iter().position(|of| *of == size)),
        Set::Real(name) => (FIRST_REAL, REAL.iter().position(|(of, _)| *of == name)),
    };
    Ok(first + u16::try_from(position.context("a set without a port")?)?)
}

/// Makes the service of a set, and says its name.
fn protect(bed: &Bed, set: Set) -> Result<String> {
    let port = port(set)?;
    let service = format!("port-{port}");
    let settings = json!({ "ports": [format!("tcp/{port}")] });
    bed.connect()?.json("PUT", &format!("/v1/services/{service}"), &settings)?;
    Ok(service)
}

/// Megabytes that the kernel takes for a list, each time in an empty service.
fn memory(bed: &Bed, service: &str, list: &[u8]) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for _ in 0..FILLED {
        bed.replace(service, b"")?;
        let before = usage::settled_kernel_memory()?;
        bed.replace(service, list)?;
        samples.push(megabytes(usage::settled_kernel_memory()?.saturating_sub(before)));
    }
    Ok(samples)
}
