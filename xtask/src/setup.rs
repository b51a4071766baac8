//! `cargo xtask setup`: from a Debian with rustup's stable Rust to where everything builds and
//! the tests run.

mod packages;
pub(crate) mod tools;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use xtask::toolchain::{Found, LINKED, LINKED_TO, Toolchain};

use self::packages::{
    BUILD, EBPF, Group, MACHINES, MONITORING, NETWORK, PACKETS, PACKING, PYTHON, READERS, SERVERS,
    SESSIONS,
};
use crate::privilege;

/// The LLVM of Debian's rustc, as [`EBPF`] names it.
const DEBIAN_LLVM: u32 = 22;
/// The LLVM versions that this bpf-linker can be built with, newest first.
const LINKER_LLVM: [u32; 3] = [23, 22, 21];

/// The command itself: what all other commands do first, and then says what it took.
pub(crate) fn run() -> Result<()> {
    let toolchain = ensure()?;
    tools::ensure(&tools::DENY)?;
    if packages::is_debian() {
        ensure_machines()?;
    }
    println!("eBPF toolchain: {toolchain}");
    Ok(())
}

/// Installs what is missing. Quick and silent when nothing is.
pub(crate) fn ensure() -> Result<Toolchain> {
    let found = Found::look();
    if !found.rustup {
        bail!(
            "rustup is not on the PATH; get it from https://rustup.rs, then run: cargo xtask setup"
        );
    }
    components(found.active.as_deref(), &[("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")])?;
    if !packages::is_debian() {
        return found.choose().context(
            "setup installs Debian's packages, and this is no Debian; install rustup's nightly \
             with rust-src, bpf-linker, redis, nginx, nmap, scapy, Python's venv, prometheus, \
             man-db, mandoc, systemd, zsh and fish yourself",
        );
    }

    let mut groups: Vec<&Group> =
        vec![&BUILD, &NETWORK, &SERVERS, &SESSIONS, &PACKETS, &PYTHON, &MONITORING, &READERS];
    let base = packages::missing(&groups)?;
    let ebpf = packages::missing(&[&EBPF])?;
    // A nightly that can do it is what people already have: Debian's then need not be there.
    let nightly = found.rust_src || !packages::obtainable(&ebpf)?;
    if !nightly {
        groups.push(&EBPF);
    }
    let missing = if nightly { base } else { [base, ebpf].concat() };
    if !missing.is_empty() {
        for group in groups {
            let of_group = packages::missing(&[group])?;
            if !of_group.is_empty() {
                println!("missing for {}: {}", group.purpose, of_group.join(" "));
            }
        }
        packages::install(&missing)?;
    }

    if nightly && !found.rust_src {
        println!("apt has no Rust compiler for eBPF here: installing rustup's nightly");
        rustup(&["toolchain", "install", "nightly", "--profile", "minimal"])?;
        rustup(&["component", "add", "--toolchain", "nightly", "rust-src"])?;
    }
    if !nightly && !found.linked {
        rustup(&["toolchain", "link", LINKED, LINKED_TO])?;
    }
    if !found.linker || !linker_runs() {
        let llvm = if nightly { llvm_for_nightly()? } else { DEBIAN_LLVM };
        tools::install(&tools::LINKER, Some(llvm))?;
    }
    let found = Found::look();
    let toolchain = found.choose().context("something is still missing after the set-up")?;
    if toolchain == Toolchain::Nightly {
        components(found.nightly.as_deref(), &[("cargo-clippy", "clippy")])?;
    }
    Ok(toolchain)
}

/// Installs what virtual machines with other kernels need: a large part, which most commands do without.
pub(crate) fn ensure_machines() -> Result<()> {
    ensure_group(&MACHINES, "other kernels are taken from Debian's packages")
}

/// Installs what packing needs.
pub(crate) fn ensure_packing() -> Result<()> {
    ensure_group(&PACKING, "what is packed is linked with Debian's C library")?;
    tools::ensure(&tools::DEB)?;
    tools::ensure(&tools::CYCLONEDX)
}

/// Installs the tools of LLVM that rustup has for the compiler in use.
pub(crate) fn llvm_tools() -> Result<()> {
    rustup(&["component", "add", "llvm-tools"])
}

fn ensure_group(group: &Group, why: &str) -> Result<()> {
    if !packages::is_debian() {
        bail!("{why}, and this is no Debian");
    }
    let missing = packages::missing(&[group])?;
    if !missing.is_empty() {
        println!("missing for {}: {}", group.purpose, missing.join(" "));
        packages::install(&missing)?;
    }
    Ok(())
}

/// Has rustup add what the toolchain in this directory lacks of these (program, component).
fn components(toolchain: Option<&Path>, needed: &[(&str, &str)]) -> Result<()> {
    // Without rustup's proxy in front of cargo nobody knows which toolchain this is.
    let Some(toolchain) = toolchain else { return Ok(()) };
    let name = toolchain.file_name().unwrap_or_default().to_string_lossy();
    for (program, component) in needed {
        if !toolchain.join("bin").join(program).exists() {
            println!("installing {component} of rustup's {name}");
            rustup(&["component", "add", "--toolchain", &name, component])?;
        }
    }
    Ok(())
}

fn rustup(arguments: &[&str]) -> Result<()> {
    let output = privilege::as_rust_owner("rustup")
        .args(arguments)
        .output()
        .context("rustup can't be run")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!(
            "rustup {} failed; see its messages above, then run: cargo xtask setup",
            arguments.join(" ")
        );
    }
    Ok(())
}

/// A bpf-linker whose LLVM is gone does not start.
fn linker_runs() -> bool {
    xtask::toolchain::linker().is_some_and(|linker| {
        Command::new(linker)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Installs an LLVM that reads what nightly writes: of its version or a newer one.
fn llvm_for_nightly() -> Result<u32> {
    let output = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--version", "--verbose"])
        .output()
        .context("rustup can't be run")?;
    let needed: u32 = String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next()?.parse().ok())
        .context("nightly's rustc does not say its LLVM version")?;
    let usable: Vec<u32> = LINKER_LLVM.into_iter().filter(|llvm| *llvm >= needed).collect();
    for llvm in &usable {
        if Path::new(&format!("/usr/lib/llvm-{llvm}/include")).exists() {
            return Ok(*llvm);
        }
    }
    for llvm in &usable {
        let package: &'static str = match llvm {
            23 => "llvm-23-dev",
            22 => "llvm-22-dev",
            _ => "llvm-21-dev",
        };
        if packages::obtainable(&[package])? {
            packages::install(&[package])?;
            return Ok(*llvm);
        }
    }
    bail!(
        "bpf-linker needs LLVM {needed} or newer, and apt has no llvm-{needed}-dev; add \
         https://apt.llvm.org to apt's sources, then run: cargo xtask setup"
    )
}
