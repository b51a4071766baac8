//! systemd's units: that they are right, and how much the daemon is shut in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};

use super::write;

const UNITS: [&str; 2] = ["allowlistd.service", "run-allowlistd-bpf.mount"];
const MOST_EXPOSED: f64 = 2.0;

/// The units, with the daemon where it is here.
fn units(directory: &Path) -> Result<Vec<PathBuf>> {
    let copy = |name: &str| {
        let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("package").join(name);
        let text = fs::read_to_string(packaged)?;
        let unit = directory.join(name);
        let daemon = env!("CARGO_BIN_EXE_allowlistd");
        fs::write(&unit, text.replace("/usr/sbin/allowlistd", daemon))?;
        Ok(unit)
    };
    UNITS.iter().map(|name| copy(name)).collect()
}

fn analyze(words: &[&str], units: &[PathBuf], pages: &Path) -> Result<Output> {
    // It looks for the pages that are named as documentation.
    Command::new("systemd-analyze")
        .args(words)
        .args(units)
        .env("MANPATH", pages.join("usr/share/man"))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .context("systemd-analyze can't be run")
}

#[test]
fn systemd_finds_nothing_to_say_about_them() -> Result<()> {
    let directory = tempfile::tempdir()?;
    write::all(directory.path(), "1.2.3")?;
    let output = analyze(&["verify"], &units(directory.path())?, directory.path())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.is_empty() && output.stdout.is_empty(), "{said}");
    Ok(())
}

#[test]
fn the_daemon_is_shut_in() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let unit = &units(directory.path())?[..1];
    let output = analyze(&["security", "--offline=true", "--no-pager"], unit, directory.path())?;
    let said = String::from_utf8(output.stdout)?;
    let (_, exposure) =
        said.split_once("exposure level for allowlistd.service: ").context("none")?;
    let exposure: f64 = exposure.split(' ').next().context("no figure")?.parse()?;
    ensure!(exposure <= MOST_EXPOSED, "{said}");
    Ok(())
}

#[test]
fn it_has_the_capabilities_that_it_needs_and_no_other() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let unit = fs::read_to_string(&units(directory.path())?[0])?;
    for set in ["CapabilityBoundingSet=", "AmbientCapabilities="] {
        let lines: Vec<_> = unit.lines().filter_map(|line| line.strip_prefix(set)).collect();
        assert_eq!(lines, ["CAP_BPF CAP_NET_ADMIN CAP_PERFMON"], "{set}");
    }
    Ok(())
}
