//! `cargo xtask bench --peers`: the filter beside others that a Debian system has for the same
//! policy, which is that a UDP port admits a set of prefixes.
//!
//! Each has a device of its own, in a namespace, and all of them get the same set and the same
//! packets, in turns: of random sources, of which hardly any is in the set (at a million IPv4
//! prefixes from /24 to /32 one in eighty). What is counted is packets denied in each second that
//! the receiving end's thread had a CPU; what one costs is the inverse. In the same run whole sets
//! are exchanged and single prefixes added, each by the way that its operator has for it.
//!
//! xdp-filter knows no prefixes, and its map ends at 10,000 addresses. It gets the first address of
//! each prefix, up to there, and is no part of the ratios: its policy is another one. The empty
//! program is what cannot be beaten.

mod exchange;
mod firewall;
mod ipset;
mod nft;
mod ours;
mod plot;
mod programs;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Result, bail, ensure};

use self::{
    ipset::Ipset,
    nft::{Hook, Nft},
    ours::Ours,
    plot::Curve,
    programs::{Empty, XdpFilter},
};
use super::{
    bed::Engine,
    feed::{Cable, Turn},
    harness::Family,
    lists::{self, Prefix},
    report::{Report, Unit, median},
    xdp_filter,
};

/// Numbers of prefixes where none are asked for.
const SIZES: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
/// Those of them that IPv6 is measured with: not all, for the time that it takes.
const V6_SIZES: [usize; 3] = [1, 1_000, 1_000_000];
const ROUNDS: usize = 5;
/// What each gets of its CPU each time.
const TURN: Duration = Duration::from_millis(250);
/// The same to see that it denies.
const CHECK: Duration = Duration::from_millis(20);
/// As long as the last packets are on their way.
const REST: Duration = Duration::from_millis(100);
/// Hundredths of the time.
const BUSY: f64 = 80.0;
/// A random source is hardly ever in a set. Of one that admits all, so much passes.
const DENIED: f64 = 0.98;

const SERVICE: &str = "guarded";
const PORT: u16 = 7777;

/// Times what the best of the firewalls drops, by number of prefixes.
const TIMES_THE_BEST: [(usize, f64); 2] = [(1_000, 2.5), (1_000_000, 4.0)];

/// Programs that are measured or measure, and the packages that they are in.
const PROGRAMS: [(&str, &str); 6] = [
    ("nft", "nftables"),
    ("ipset", "ipset"),
    ("iptables", "iptables"),
    ("ip6tables", "iptables"),
    ("ethtool", "ethtool"),
    ("bpftool", "bpftool"),
];

/// What a competitor is, for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// This project's filter.
    Ours(Engine),
    /// It has the same policy.
    Firewall,
    /// It has not.
    Other,
}

/// A filter with a device that is fed.
trait Peer {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    fn cable(&self) -> &Cable;

    /// The largest set that it can hold.
    fn most(&self) -> usize {
        usize::MAX
    }

    /// Makes the set exactly these, in one change. Says how long it took, if its operator would do
    /// it so.
    fn replace(&mut self, prefixes: &[Prefix]) -> Result<Option<Duration>>;

    /// Adds one, as its operator would.
    fn add(&mut self, prefix: &Prefix) -> Result<Option<Duration>>;

    /// Packets that it has let through so far.
    fn passed(&self) -> Result<u64>;
}

/// What is compared, in the order of the table and the plot.
fn competitors(binaries: &Path, family: Family) -> Result<Vec<Box<dyn Peer>>> {
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    for engine in Engine::BOTH {
        peers.push(Box::new(Ours::new(binaries, engine, family)?));
    }
    for hook in Hook::BOTH {
        peers.push(Box::new(Nft::new(hook, family)?));
    }
    peers.push(Box::new(Ipset::new(family)?));
    peers.push(Box::new(XdpFilter::new(family)?));
    peers.push(Box::new(Empty::new(family)?));
    Ok(peers)
}

/// Measures all of it, and draws IPv4.
pub(super) fn measure(
    binaries: &Path,
    sizes: &[u32],
    plot: &Path,
    report: &mut Report,
) -> Result<()> {
    check_programs()?;
    let mut sizes = match sizes {
        [] => SIZES.to_vec(),
        sizes => sizes.iter().map(|size| *size as usize).collect(),
    };
    sizes.sort_unstable();
    sizes.dedup();
    println!("peers: xdp-filter takes addresses only, and no more than {}", programs::MOST);
    let curves = of_family(binaries, Family::V4, &sizes, report)?;
    plot::draw(plot, &curves)?;
    println!("peers: the plot of IPv4 is {}", plot.display());
    sizes.retain(|size| V6_SIZES.contains(size) || !SIZES.contains(size));
    of_family(binaries, Family::V6, &sizes, report)?;
    Ok(())
}

fn check_programs() -> Result<()> {
    for (program, package) in PROGRAMS {
        let mut command = Command::new(program);
        let found = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            bail!("{program} (of {package}) can't be run; get it by: cargo xtask setup");
        }
    }
    if !xdp_filter::is_here() {
        bail!("there is no xdp-filter (of xdp-tools); get it by: cargo xtask setup");
    }
    Ok(())
}

fn of_family(
    binaries: &Path,
    family: Family,
    sizes: &[usize],
    report: &mut Report,
) -> Result<Vec<Curve>> {
    let Some(most) = sizes.last() else { return Ok(Vec::new()) };
    let mut peers = competitors(binaries, family)?;
    for peer in peers.iter_mut().filter(|peer| peer.kind() != Kind::Other) {
        see_what_passes(peer.as_mut(), family)?;
    }
    let prefixes = lists::disjoint(family, most + exchange::ADDED)?;
    let mut curves: Vec<_> =
        peers.iter().map(|peer| Curve { name: peer.name(), points: Vec::new() }).collect();
    for size in sizes {
        let counted = lists::counted(*size);
        println!("peers: {}, {counted}", family.name());
        let (set, others) = prefixes.split_at(*size);
        let mut exchanges = BTreeMap::new();
        let mut shares = Vec::new();
        for (index, peer) in peers.iter_mut().enumerate() {
            if *size > peer.most() {
                shares.push(None);
                continue;
            }
            exchanges.insert(index, exchange::replace(peer.as_mut(), set, family)?);
            shares.push(Some(share_denied(peer.as_ref())?));
        }
        let in_it: Vec<_> = (0..peers.len()).filter(|index| shares[*index].is_some()).collect();
        let mut turns = vec![Vec::new(); peers.len()];
        for round in 0..ROUNDS {
            let mut order = in_it.clone();
            // Not always after the same one.
            order.rotate_left(round % in_it.len());
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                turns[index].push(peers[index].cable().feed(TURN)?);
            }
        }
        let mut rates = vec![Vec::new(); peers.len()];
        for index in in_it {
            let share = shares[index].unwrap_or_default();
            rates[index] = turns[index].iter().map(|turn| turn.rate() * share).collect();
            let name = peers[index].name();
            waited(name, &turns[index]);
            curves[index].points.push((*size, 1e9 / median(&rates[index])));
            let what = format!("drops, {counted}, {}, {name}", family.name());
            let millions = rates[index].iter().map(|rate| rate / 1e6).collect();
            report.add(what, Unit::MillionsASecond, millions, None);
        }
        compare(&peers, &rates, *size, family, report);
        exchange::report(&mut peers, &exchanges, *size, others, family, report)?;
    }
    Ok(curves)
}

/// Says so where the receiver had its CPU for a part of the time only: there was other work on the
/// machine, or the sender is slower. The rates count neither.
fn waited(name: &str, turns: &[Turn]) {
    let shares: Vec<_> = turns.iter().map(|turn| turn.cpu.div_duration_f64(turn.time)).collect();
    let busy = median(&shares) * 100.0;
    if busy < BUSY {
        println!("peers: {name}: the receiver had its CPU {busy:.0} % of the time");
    }
}

/// What part of the packets is denied. Nearly all of them, or else something else is measured.
fn share_denied(peer: &dyn Peer) -> Result<f64> {
    let share = 1.0 - share_passed(peer)?;
    ensure!(share >= DENIED, "{}: only {share} of the packets are denied", peer.name());
    Ok(share)
}

/// A set of all sources lets all through, or else it is not the set that drops.
fn see_what_passes(peer: &mut dyn Peer, family: Family) -> Result<()> {
    // One prefix of length 0 is too much for some.
    let halves: [IpAddr; 2] = match family {
        Family::V4 => [[0, 0, 0, 0].into(), [128, 0, 0, 0].into()],
        Family::V6 => [[0; 8].into(), [0x8000, 0, 0, 0, 0, 0, 0, 0].into()],
    };
    peer.replace(&halves.map(|address| Prefix { address, length: 1 }))?;
    let share = share_passed(peer)?;
    ensure!(share >= DENIED, "{}: only {share} of all sources pass", peer.name());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "packets of a second or so")]
fn share_passed(peer: &dyn Peer) -> Result<f64> {
    let cable = peer.cable();
    let before = (cable.received()?, peer.passed()?);
    cable.feed(CHECK)?;
    thread::sleep(REST);
    let received = cable.received()? - before.0;
    let passed = peer.passed()?.saturating_sub(before.1);
    Ok(passed as f64 / received as f64)
}

/// Ours beside the best firewall, by their medians.
fn compare(
    peers: &[Box<dyn Peer>],
    rates: &[Vec<f64>],
    size: usize,
    family: Family,
    report: &mut Report,
) {
    let medians = || peers.iter().zip(rates).map(|(peer, rates)| (peer.kind(), median(rates)));
    let firewalls = medians().filter(|(kind, _)| *kind == Kind::Firewall);
    let best = firewalls.map(|(_, rate)| rate).fold(f64::NAN, f64::max);
    for (kind, rate) in medians() {
        let Kind::Ours(engine) = kind else { continue };
        let target = TIMES_THE_BEST.iter().find(|(of, _)| *of == size).map(|(_, times)| *times);
        let target = target.filter(|_| engine == Engine::Flat);
        let what = format!(
            "drops, {}, {}, {} beside the best firewall",
            lists::counted(size),
            family.name(),
            engine.name()
        );
        report.add_at_least(what, Unit::Times, vec![rate / best], target);
    }
}
