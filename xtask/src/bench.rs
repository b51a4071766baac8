//! `cargo xtask bench`: how fast changes take effect, and what a verdict costs.
//!
//! Release binaries, the real kernel, and hosts that are network namespaces. Every case is measured
//! in turns with the others it is compared to, so that whatever else the machine does falls on all
//! of them alike; the table has medians. Nothing is asserted about time: the targets stand beside
//! the figures.

mod bed;
mod bpf;
mod changes;
mod exchange;
mod feed;
mod flood;
mod harness;
mod lists;
mod lookups;
mod metrics;
mod peers;
mod probe;
mod replace;
mod report;
mod top;
mod usage;
mod verdicts;
mod xdp_filter;

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use xtask::lab;

use self::report::Report;
use crate::{binaries, demo, privilege, setup};

/// The default places of the figures and the plot, in the directory of the project.
const JSON: &str = "target/bench.json";
const PLOT: &str = "target/peers.svg";

#[derive(Args)]
pub(crate) struct Options {
    /// Also load the real prefix lists of this directory: ch-v4.txt, ch-v6.txt, and so on for de and eu, plain or .gz.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the figures go as JSON [default: target/bench.json].
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only this.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Measure only drops, beside nftables, iptables with ipset, and xdp-filter.
    #[arg(long, conflicts_with_all = ["only", "data"])]
    peers: bool,
    /// Numbers of prefixes for --peers [default: 1 to 1000000 in powers of ten].
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        requires = "peers",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    sizes: Vec<u32>,
    /// Where the plot of --peers goes, as SVG [default: target/peers.svg].
    #[arg(long, value_name = "FILE", requires = "peers")]
    plot: Option<PathBuf>,
    /// Measure the binaries of this directory instead of building them.
    #[arg(long, value_name = "DIR", hide = true)]
    binaries: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Single changes, by command and by the API alone.
    Changes,
    /// Whole lists.
    Lists,
    /// What a packet costs in the kernel.
    Verdicts,
    /// What a packet costs by how much there is to look up, with each engine.
    Lookups,
    /// What watching a flood takes.
    Top,
    /// What being scraped costs.
    Metrics,
    /// What reporting what is dropped costs while very much is.
    Flood,
}

/// Sets up, builds, and measures as root.
pub(crate) fn run(options: Options) -> Result<()> {
    let json = options.json.clone().unwrap_or_else(|| binaries::root().join(JSON));
    let plot = options.plot.clone().unwrap_or_else(|| binaries::root().join(PLOT));
    let Some(binaries) = options.binaries.clone() else {
        setup::ensure()?;
        let binaries = binaries::build()?;
        // Made here, so that the figures can be thrown away without being root.
        make(&json, "{}\n")?;
        if options.peers {
            make(&plot, "")?;
        }
        let (json, plot) = (Some(json), options.peers.then_some(plot));
        return run(Options { binaries: Some(binaries), json, plot, ..options });
    };
    if !privilege::is_root() {
        return again_as_root(&binaries, &json, &plot, &options);
    }
    lab::sweep(&demo::kept());
    lab::clean_up_on_signals()?;

    let mut report = Report::default();
    let wants = |part| !options.peers && options.only.is_none_or(|only| only == part);
    if wants(Part::Changes) {
        changes::measure(&binaries, &mut report)?;
    }
    if wants(Part::Lists) {
        replace::measure(&binaries, options.data.as_deref(), &mut report)?;
        exchange::measure(&binaries, &mut report)?;
    }
    if wants(Part::Verdicts) {
        verdicts::measure(&binaries, &mut report)?;
    }
    if wants(Part::Lookups) {
        lookups::measure(&binaries, options.data.as_deref(), &mut report)?;
    }
    if wants(Part::Top) {
        top::measure(&binaries, &mut report)?;
    }
    if wants(Part::Metrics) {
        metrics::measure(&binaries, &mut report)?;
    }
    // The last, for it stays on one CPU.
    if wants(Part::Flood) {
        flood::measure(&binaries, &mut report)?;
    }
    if options.peers {
        peers::measure(&binaries, &options.sizes, &plot, &mut report)?;
    }
    print!("\n{report}");
    fs::write(&json, format!("{:#}\n", report.json()))
        .with_context(|| format!("{} can't be written", json.display()))?;
    println!("\nas JSON: {}", json.display());
    Ok(())
}

/// Only the measuring needs root: what root builds, a user can't clean up.
fn again_as_root(binaries: &Path, json: &Path, plot: &Path, options: &Options) -> Result<()> {
    let program = env::current_exe().context("this program is nowhere")?;
    let mut command = privilege::as_root(program)?;
    command.arg("bench").arg("--binaries").arg(binaries).arg("--json").arg(json);
    if let Some(data) = &options.data {
        command.arg("--data").arg(data);
    }
    if let Some(part) = options.only.and_then(|part| part.to_possible_value()) {
        command.arg("--only").arg(part.get_name());
    }
    if options.peers {
        command.arg("--peers").arg("--plot").arg(plot);
    }
    if !options.sizes.is_empty() {
        let sizes: Vec<_> = options.sizes.iter().map(ToString::to_string).collect();
        command.arg("--sizes").arg(sizes.join(","));
    }
    Err(command.exec()).context("sudo can't be run")
}

fn make(file: &Path, text: &str) -> Result<()> {
    // A name alone has an empty parent, which is where it is.
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(file, text))
        .with_context(|| format!("{} can't be written", file.display()))
}
