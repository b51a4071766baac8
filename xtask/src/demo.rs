//! `cargo xtask demo`: a real redis behind the allowlist, in network namespaces.

mod picture;
mod say;
mod stage;
mod story;

use std::{
    env, fs,
    io::ErrorKind,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use xtask::lab::{self, Undo};

use self::{say::Say, stage::Stage};
use crate::{binaries, privilege, setup};

/// What `--end` has to take away, one a line.
const KEPT: &str = "/run/allowlist-demo";

#[derive(Args)]
pub(crate) struct Options {
    /// Leave it up for playing, and say how to reach it.
    #[arg(long)]
    keep: bool,
    /// End what `--keep` has left up.
    #[arg(long, conflicts_with = "keep")]
    end: bool,
    /// Draw what it shows, shortened, as a picture of a terminal (SVG).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keep", "end"])]
    picture: Option<PathBuf>,
    /// Play with the binaries of this directory instead of building them.
    #[arg(long, value_name = "DIR", hide = true)]
    binaries: Option<PathBuf>,
}

/// Sets up, builds, and plays the demo as root.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binaries = match &options.binaries {
        Some(binaries) => binaries.clone(),
        None if options.end => PathBuf::new(),
        None => {
            setup::ensure()?;
            binaries::build()?
        }
    };
    if !privilege::is_root() {
        return again_as_root(&binaries, options);
    }
    if options.end {
        return end();
    }
    if options.keep && Path::new(KEPT).exists() {
        bail!("a demo is up already; end it with: cargo xtask demo --end");
    }
    lab::sweep(&kept());
    lab::clean_up_on_signals()?;

    let begin = Instant::now();
    let say = Say::new();
    say.heading("A redis server and two clients, in network namespaces");
    let stage = Stage::new(&binaries, say)?;
    story::tell(&stage)?;
    if options.keep {
        return keep(stage, &binaries);
    }
    story::end(&stage)?;
    let say = stage.end();
    say.good(&format!(
        "All of this was so. Nothing is left behind. ({:.0} s)",
        begin.elapsed().as_secs_f64()
    ));
    if let Some(file) = &options.picture {
        fs::write(file, picture::draw(&say.pictured()))
            .with_context(|| format!("{} can't be written", file.display()))?;
    }
    Ok(())
}

/// Only the playing needs root: what root builds, a user can't clean up.
fn again_as_root(binaries: &Path, options: &Options) -> Result<()> {
    let program = env::current_exe().context("this program is nowhere")?;
    let mut command = privilege::as_root(program)?;
    command.arg("demo");
    if options.end {
        command.arg("--end");
    } else {
        command.arg("--binaries").arg(binaries);
    }
    if options.keep {
        command.arg("--keep");
    }
    if let Some(file) = &options.picture {
        command.arg("--picture").arg(file);
    }
    Err(command.exec()).context("sudo can't be run")
}

fn keep(stage: Stage, binaries: &Path) -> Result<()> {
    let server = stage.network.server.namespace.path();
    let socket = stage.socket();
    let clients = [("alice", stage.alice()), ("bob", stage.bob())]
        .map(|(name, host)| (name, host.namespace.path()));
    let undo = lab::keep();
    let lines: Vec<_> = undo.iter().map(ToString::to_string).collect();
    if let Err(error) = fs::write(KEPT, lines.join("\n")) {
        undo.iter().rev().for_each(Undo::perform);
        return Err(error).with_context(|| format!("{KEPT} can't be written"));
    }
    // Kept by now: this only closes what this process has open.
    drop(stage);

    println!("\nIt stays up. As root:");
    println!("  at the server   nsenter --net={}", server.display());
    for (name, namespace) in clients {
        println!("  at {name:<12} nsenter --net={}", namespace.display());
    }
    println!("  the commands    export ALLOWLIST_SOCKET={}", socket.display());
    println!("                  {} status", binaries.join("allowlist-ctl").display());
    println!("  end it          cargo xtask demo --end");
    Ok(())
}

/// What a demo that was left up is made of.
pub(crate) fn kept() -> Vec<Undo> {
    let lines = fs::read_to_string(KEPT).unwrap_or_default();
    lines.lines().filter_map(|line| line.parse().ok()).collect()
}

fn end() -> Result<()> {
    let kept = kept();
    match fs::remove_file(KEPT) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("no demo is up; start one with: cargo xtask demo --keep")
        }
        Err(error) => return Err(error).with_context(|| format!("{KEPT} can't be removed")),
    }
    kept.iter().rev().for_each(Undo::perform);
    println!("The demo is ended. Nothing is left behind.");
    Ok(())
}
