//! Whole sets exchanged and single prefixes added, and what the kernel keeps of them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;

use super::{Kind, Peer};
use crate::bench::{
    bed::Engine,
    harness::Family,
    lists::{self, Prefix},
    report::{Report, Unit, median},
    usage::{self, megabytes, milliseconds},
};

/// From so many prefixes on, changes and memory are reported, and each exchange begins with an
/// empty set.
const MANY: usize = 100_000;
/// To add a prefix takes nft longer than all else where the set is larger.
const MOST_FOR_NFT: usize = 100_000;
/// Exchanges of one size, and prefixes that are added; none begins when they took so long already.
const EXCHANGES: usize = 3;
pub(super) const ADDED: usize = 5;
const LONG: Duration = Duration::from_secs(4);

/// Of a million prefixes.
const MILLION: usize = 1_000_000;
const REPLACE: f64 = 2000.0;
const TIMES_NFT: f64 = 5.0;
const ADD: f64 = 20.0;
const MEMORY: f64 = 64.0;

/// What exchanges took: milliseconds, and megabytes of the kernel.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    times: Vec<f64>,
    memory: Vec<f64>,
}

/// Gives it this set; a large one of IPv4 several times, each into an empty one.
pub(super) fn replace(peer: &mut dyn Peer, set: &[Prefix], family: Family) -> Result<Exchanges> {
    let mut exchanges = Exchanges::default();
    if set.len() < MANY || peer.kind() == Kind::Other {
        peer.replace(set)?;
        return Ok(exchanges);
    }
    let most = match family {
        Family::V4 => EXCHANGES,
        Family::V6 => 1,
    };
    let mut spent = Duration::ZERO;
    while exchanges.times.len() < most && spent < LONG {
        peer.replace(&[])?;
        let before = usage::settled_kernel_memory()?;
        let Some(time) = peer.replace(set)? else { break };
        spent += time;
        exchanges.times.push(milliseconds(time));
        let memory = usage::settled_kernel_memory()?.saturating_sub(before);
        exchanges.memory.push(megabytes(memory));
    }
    Ok(exchanges)
}

/// Reports the exchanges of a size, by the number of their peer, and adds prefixes to it.
pub(super) fn report(
    peers: &mut [Box<dyn Peer>],
    exchanges: &BTreeMap<usize, Exchanges>,
    size: usize,
    others: &[Prefix],
    family: Family,
    report: &mut Report,
) -> Result<()> {
    if size < MANY {
        return Ok(());
    }
    let where_to = format!("{}, {}", lists::counted(size), family.name());
    let target = |kind, value| {
        let counts = size == MILLION && family == Family::V4 && kind == Kind::Ours(Engine::Flat);
        counts.then_some(value)
    };
    let mut of_nft = Vec::new();
    for (index, exchanges) in exchanges {
        if exchanges.times.is_empty() {
            continue;
        }
        let (name, kind) = (peers[*index].name(), peers[*index].kind());
        if name.starts_with("nftables") {
            of_nft.extend_from_slice(&exchanges.times);
        }
        let what = format!("replace, {where_to}, {name}");
        let times = exchanges.times.clone();
        report.add(what, Unit::Milliseconds, times, target(kind, REPLACE));
        let what = format!("kernel's memory, {where_to}, {name}");
        report.add(what, Unit::Megabytes, exchanges.memory.clone(), target(kind, MEMORY));
    }
    for (index, exchanges) in exchanges {
        let kind = peers[*index].kind();
        if let (Kind::Ours(engine), false) = (kind, of_nft.is_empty()) {
            let times = median(&of_nft) / median(&exchanges.times);
            let what = format!("replace, {where_to}, nft -f beside {}", engine.name());
            report.add_at_least(what, Unit::Times, vec![times], target(kind, TIMES_NFT));
        }
    }
    for index in exchanges.keys() {
        let peer = &mut peers[*index];
        if peer.name().starts_with("nftables") && size > MOST_FOR_NFT {
            continue;
        }
        let (mut times, mut spent) = (Vec::new(), Duration::ZERO);
        for prefix in others.iter().take(ADDED) {
            if spent < LONG
                && let Some(time) = peer.add(prefix)?
            {
                spent += time;
                times.push(milliseconds(time));
            }
        }
        if !times.is_empty() {
            let what = format!("add into {where_to}, {}", peer.name());
            report.add(what, Unit::Milliseconds, times, target(peer.kind(), ADD));
        }
    }
    Ok(())
}
