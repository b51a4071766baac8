//! Debian's packages: which are needed and why, which are missing, how to get them.

use std::{
    collections::HashSet,
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::privilege;

/// Packages that are needed for the same reason.
#[derive(Debug)]
pub(super) struct Group {
    /// What for, to be read after "for".
    pub(super) purpose: &'static str,
    pub(super) packages: &'static [&'static str],
}

/// rustc links with gcc, and SQLite is compiled into the daemon.
pub(super) const BUILD: Group = Group { purpose: "building", packages: &["gcc", "libc6-dev"] };

/// A compiler with `core` for eBPF, its cargo and clippy, and the LLVM that bpf-linker has to share
/// with it.
pub(super) const EBPF: Group = Group {
    purpose: "compiling eBPF",
    packages: &[
        "rustc-web",
        "libstd-rust-web-dev-bpf",
        "cargo-web",
        "rust-web-clippy",
        "llvm-22-dev",
    ],
};

/// Namespaces and links of the test network, and mounts.
pub(super) const NETWORK: Group =
    Group { purpose: "the test network", packages: &["iproute2", "util-linux"] };

/// The servers that are protected in the demo and the tests, and their clients.
pub(super) const SERVERS: Group = Group {
    purpose: "servers to protect",
    packages: &["redis-server", "redis-tools", "postgresql", "nginx", "curl", "jq"],
};

/// How operators come to a server, and become root there.
pub(super) const SESSIONS: Group = Group {
    purpose: "sessions of operators",
    packages: &["openssh-server", "openssh-client", "sudo"],
};

/// Programs that make, show and filter packets in the tests.
pub(super) const PACKETS: Group = Group {
    purpose: "testing with packets",
    packages: &[
        "iputils-ping",
        "ethtool",
        "nmap",
        "python3-scapy",
        "tcpdump",
        "bpftool",
        "xdp-tools",
        "nftables",
        "ipset",
        "iptables",
    ],
};

/// Environments for the program that tests the interface by its description.
pub(super) const PYTHON: Group =
    Group { purpose: "testing the interface", packages: &["python3-venv"] };

/// What reads the daemon's metrics, and checks them and the rules over them.
pub(super) const MONITORING: Group =
    Group { purpose: "testing metrics and alerts", packages: &["prometheus"] };

/// What reads what a package brings along: manual pages, units, completions.
pub(super) const READERS: Group = Group {
    purpose: "testing what is packed",
    packages: &["man-db", "mandoc", "systemd", "bash", "zsh", "fish"],
};

/// What takes programs apart, and finds out what a package depends on.
pub(super) const PACKING: Group =
    Group { purpose: "packing", packages: &["binutils", "dpkg-dev", "debian-archive-keyring"] };

/// Other kernels, the machines that they run in, and what goes into the image that they boot.
pub(super) const MACHINES: Group = Group {
    purpose: "virtual machines",
    packages: &[
        "qemu-system-x86",
        "busybox-static",
        "cpio",
        "kmod",
        "zstd",
        "xz-utils",
        "binutils",
        "mmdebstrap",
        "e2fsprogs",
    ],
};

/// Whether this system has Debian's package tools at all.
pub(super) fn is_debian() -> bool {
    Command::new("dpkg-query").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// Those of the groups' packages that are not installed.
pub(super) fn missing(groups: &[&Group]) -> Result<Vec<&'static str>> {
    let wanted = groups.iter().flat_map(|group| group.packages.iter().copied());
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(wanted.clone())
        // It complains about each package that it does not know.
        .stderr(Stdio::null())
        .output()
        .context("dpkg-query can't be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let installed: HashSet<&str> =
        text.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(wanted.filter(|package| !installed.contains(package)).collect())
}

/// Whether apt could install all of these, after a look at newer lists if need be.
pub(super) fn obtainable(packages: &[&'static str]) -> Result<bool> {
    if packages.is_empty() || candidates(packages)? {
        return Ok(true);
    }
    println!("apt does not know all of {}: updating its lists", packages.join(" "));
    let update = privilege::as_root("apt-get")?
        .args(["-qq", "update"])
        .status()
        .context("apt-get can't be run")?;
    if !update.success() {
        bail!("apt-get update failed; see its messages above, then run: cargo xtask setup");
    }
    candidates(packages)
}

fn candidates(packages: &[&'static str]) -> Result<bool> {
    let output = Command::new("apt-cache")
        .arg("policy")
        .args(packages)
        .env("LC_ALL", "C")
        .output()
        .context("apt-cache can't be run")?;
    let known = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.trim_start().starts_with("Candidate:") && !line.ends_with("(none)"))
        .count();
    Ok(known == packages.len())
}

/// Installs these, and starts no service.
pub(super) fn install(packages: &[&'static str]) -> Result<()> {
    println!("installing Debian packages: {}", packages.join(" "));
    let mut shell = privilege::as_root("sh")?
        .args(["-s", "--"])
        .args(packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("sh can't be run")?;
    let mut script = shell.stdin.take().context("the shell has no standard input")?;
    script.write_all(include_bytes!("install.sh")).context("the shell reads no script")?;
    drop(script);
    let output = shell.wait_with_output()?;
    if !output.status.success() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!(
            "apt could not install {}; see its messages above, then run: cargo xtask setup",
            packages.join(" ")
        );
    }
    Ok(())
}
