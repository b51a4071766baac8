//! xdp-filter (of xdp-tools) to compare with: its program, without the dispatcher that its loader
//! puts before it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::bpf;

/// Where Debian has its programs.
const OBJECTS: &str = "/usr/lib/x86_64-linux-gnu/bpf";

/// In a mount namespace of its own, because libbpf pins the maps in `/sys/fs/bpf`: the pins are gone
/// when it ends, and it ends when its standard input does.
const SCRIPT: &str = "mount -t bpf bpf /sys/fs/bpf && bpftool prog load $0 /sys/fs/bpf/program && \
    sed -u /^end$/Q | bpftool batch file - >/dev/null && \
    bpftool --json prog show pinned /sys/fs/bpf/program && echo && cat";

/// What becomes of addresses that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// They pass; everything else is dropped.
    Pass,
    /// They are dropped; everything else passes.
    Drop,
}

/// Whether xdp-filter is here.
pub(super) fn is_here() -> bool {
    Path::new(&object(Listed::Pass)).exists()
}

fn object(listed: Listed) -> String {
    let policy = match listed {
        Listed::Pass => "dny",
        Listed::Drop => "alw",
    };
    format!("{OBJECTS}/xdpfilt_{policy}_ip.o")
}

/// Loads its program and lists these source addresses.
pub(super) fn load(listed: Listed, v4: &[Ipv4Addr], v6: &[Ipv6Addr]) -> Result<OwnedFd> {
    let mut child = Command::new("unshare")
        .args(["--mount", "--", "sh", "-c", SCRIPT, &object(listed)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("unshare can't be run")?;
    let mut input = child.stdin.take().context("it has no standard input")?;
    let v4 = v4.iter().map(|address| line("filter_ipv4", &address.octets()));
    let v6 = v6.iter().map(|address| line("filter_ipv6", &address.octets()));
    let lines: String = v4.chain(v6).chain(["end\n".to_owned()]).collect();
    // Where it has failed already, its standard error says why.
    drop(input.write_all(lines.as_bytes()));
    let mut answer = String::new();
    let output = child.stdout.take().context("it has no standard output")?;
    BufReader::new(output).read_line(&mut answer)?;
    let program = serde_json::from_str::<Value>(&answer).unwrap_or_default();
    let id = program["id"].as_u64().and_then(|id| u32::try_from(id).ok());
    let loaded = id.map(bpf::program_by_id);
    drop(input);
    let errors = child.wait_with_output()?.stderr;
    loaded.with_context(|| {
        format!("bpftool can't load xdp-filter: {}", String::from_utf8_lossy(&errors).trim())
    })?
}

/// What lists a key in a map, as bpftool reads it.
fn line(map: &str, key: &[u8]) -> String {
    let bytes: Vec<_> = key.iter().map(ToString::to_string).collect();
    let key = bytes.join(" ");
    format!("map update pinned /sys/fs/bpf/{map} key {key} value 1 0 0 0 0 0 0 0\n")
}
