//! What it takes to watch a flood with `allowlist-ctl top`: of the program itself, and of the daemon that it asks.
//!
//! A million packets a second are denied, of random sources, so that the daemon has as many of them to tell as it
//! keeps. The daemon's share is what it takes beyond a flood that nobody watches, measured in turns.

use std::{fs::File, io::Read as _, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::pty::{Winsize, openpty};

use super::{
    bed::Bed,
    flood::{self, Flood},
    harness::Family,
    report::{Report, Unit},
    usage::cpu_time,
};

const ROUNDS: usize = 3;
/// Seconds of flood with `top` and without, each round.
const SECONDS: u32 = 5;
/// `top` has started by then.
const WARM_UP: Duration = Duration::from_secs(2);
/// In hundredths of one CPU.
const SHARE: f64 = 2.0;

/// Measures it.
pub(super) fn measure(binaries: &Path, report: &mut Report) -> Result<()> {
    println!("top: {ROUNDS} rounds of {SECONDS} seconds of flood, watched and not");
    let bed = flood::bed(binaries)?;
    let flood = Flood::new(&bed.program()?, Family::BOTH[0])?;
    // Until the daemon knows as many sources as it keeps.
    flood.run(SECONDS)?;
    let [mut of_top, mut of_daemon, mut unwatched] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let alone = share(&flood, bed.daemon.pid())?;
        let mut top = Watcher::start(&bed)?;
        thread::sleep(WARM_UP);
        let (before, began) = (cpu_time(top.0.id())?, cpu_time(bed.daemon.pid())?);
        flood.run(SECONDS)?;
        of_top.push(percent(cpu_time(top.0.id())?.saturating_sub(before)));
        let watched = percent(cpu_time(bed.daemon.pid())?.saturating_sub(began));
        of_daemon.push((watched - alone).max(0.0));
        unwatched.push(alone);
        ensure!(top.0.try_wait()?.is_none(), "top ended");
    }
    report.add("top, of a core, in a flood", Unit::Percent, of_top, Some(SHARE));
    report.add("daemon, of a core, in a flood", Unit::Percent, unwatched, None);
    report.add("daemon, more of a core with top", Unit::Percent, of_daemon, None);
    Ok(())
}

/// What a process takes of one CPU in a flood.
fn share(flood: &Flood, pid: u32) -> Result<f64> {
    let before = cpu_time(pid)?;
    flood.run(SECONDS)?;
    Ok(percent(cpu_time(pid)?.saturating_sub(before)))
}

fn percent(time: Duration) -> f64 {
    time.as_secs_f64() / f64::from(SECONDS) * 100.0
}

/// Somebody who watches on a terminal; ended when dropped.
struct Watcher(std::process::Child);

impl Watcher {
    fn start(bed: &Bed) -> Result<Self> {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).context("no pseudo terminal")?;
        let (mut near, far) = (File::from(pty.master), File::from(pty.slave));
        let mut command: Command = bed.ctl(&["top"]);
        command.stdin(far.try_clone()?).stdout(far.try_clone()?).stderr(far);
        let child = command.env("TERM", "xterm-256color").spawn().context("top can't be run")?;
        thread::spawn(move || {
            let mut drawn = [0; 1 << 14];
            // Ends with an error once nobody has the other end.
            while near.read(&mut drawn).is_ok_and(|count| count > 0) {}
        });
        Ok(Self(child))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
