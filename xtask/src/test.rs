//! `cargo xtask test`: everything that has to hold before a change goes in.

use std::{
    env,
    ffi::OsString,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use xtask::{
    lab,
    toolchain::{TARGET, Toolchain},
};

use crate::{
    binaries, demo, privilege,
    setup::{self, tools},
    vm,
};

/// All that runs on the host.
pub(crate) const HOST_CRATES: [&str; 3] = ["--workspace", "--exclude", "allowlist-ebpf"];

/// Runs it all, or without the end-to-end tests, and stops at the first failure.
pub(crate) fn run(fast: bool) -> Result<()> {
    let begin = Instant::now();
    let toolchain = setup::ensure()?;

    step("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    step(
        "clippy, host",
        cargo().arg("clippy").args(HOST_CRATES).args(["--all-targets", "--", "-D", "warnings"]),
    )?;
    step("clippy, eBPF", &mut clippy_ebpf(toolchain))?;
    dependencies()?;
    step("unit tests", cargo().arg("test").args(HOST_CRATES).args(["--lib", "--bin", "xtask"]))?;
    step("documentation's examples", cargo().arg("test").args(HOST_CRATES).arg("--doc"))?;
    let packets = ["--package", "allowlist-common", "--test", "packets"];
    step("packets, on the host", cargo().arg("test").args(packets))?;
    if !fast {
        if privilege::is_root() {
            lab::sweep(&demo::kept());
        }
        let next = ["--package", "allowlist-ctl", "--features", "next-abi"];
        step(
            "the daemon of a later release, to upgrade to",
            cargo().arg("build").args(next).args(["--example", "next-release"]),
        )?;
        step("end-to-end tests", &mut end_to_end()?)?;
        step("the daemon at work for two minutes", &mut soak()?)?;
        println!("\n== other kernels, short form");
        vm::run(&vm::Options::short())?;
    }
    println!("\nall passed in {}", seconds(begin.elapsed()));
    Ok(())
}

/// What `deny.toml` asks of the dependencies and can be answered without a network.
fn dependencies() -> Result<()> {
    tools::ensure(&tools::DENY)?;
    // It reads the manifests of all that the lock file names, also of what is built on other systems alone.
    let mut fetch = cargo();
    step("sources of dependencies, fetched", fetch.args(["fetch", "--locked", "--quiet"]))?;
    let mut deny = cargo();
    deny.args(["deny", "--offline", "--locked", "check", "-D", "warnings"]);
    step("licences, bans and sources of dependencies", deny.args(["licenses", "bans", "sources"]))
}

/// Runs a command of the project's root, which has to succeed, with a heading and the time it took.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    println!("\n== {name}");
    let begin = Instant::now();
    let status = command
        .current_dir(binaries::root())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{name} can't be run"))?;
    if !status.success() {
        let arguments: Vec<_> = command.get_args().map(|one| one.to_string_lossy()).collect();
        bail!(
            "{name} failed; by itself: {} {}",
            command.get_program().to_string_lossy(),
            arguments.join(" ")
        );
    }
    println!("== {name}: {}", seconds(begin.elapsed()));
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn cargo() -> Command {
    Command::new("cargo")
}

/// With the same compiler and flags as aya-build has, or else it lints code that is never built.
fn clippy_ebpf(toolchain: Toolchain) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain.name(), "cargo", "clippy", "--package", "allowlist-ebpf"]);
    command.args(["--release", "--target", TARGET]);
    match toolchain.bootstrap() {
        Some(bootstrap) => command.env("RUSTC_BOOTSTRAP", bootstrap),
        None => command.args(["-Z", "build-std=core"]),
    };
    command
        .env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH));
    command.args(["--", "-D", "warnings"]);
    command
}

fn end_to_end() -> Result<Command> {
    let mut command = as_root()?;
    command.arg("test").args(HOST_CRATES).args(["--test", "*", "--", "--skip", "soak::"]);
    Ok(command)
}

/// By itself: among other tests it does less, and its caches are still filling when they are taken for full.
fn soak() -> Result<Command> {
    let mut command = as_root()?;
    command.args(["test", "--package", "allowlist-ctl", "--test", "e2e", "--", "soak::"]);
    Ok(command)
}

/// Runs end-to-end tests of one module by themselves, with what they are told by the environment.
pub(crate) fn alone(
    name: &str,
    module: &str,
    told: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<()> {
    setup::ensure()?;
    let mut command = as_root()?;
    command.args(["test", "--release", "--package", "allowlist-ctl", "--test", "e2e"]);
    command.args([&format!("{module}::"), "--", "--nocapture"]).envs(told);
    step(name, &mut command)
}

/// Cargo, such that what it runs is run by root. Namespaces and XDP need that; building as root would leave files
/// that a user can't remove.
pub(crate) fn as_root() -> Result<Command> {
    let mut command = cargo();
    if !privilege::is_root() {
        let rustc = Command::new("rustc").args(["--print", "host-tuple"]).output()?;
        let host = String::from_utf8(rustc.stdout).context("rustc names no host")?;
        let host = host.trim().to_uppercase().replace(['-', '.'], "_");
        let sudo: OsString = privilege::as_root("true")?.get_program().to_owned();
        let mut runner = sudo;
        runner.push(" --preserve-env");
        command.env(format!("CARGO_TARGET_{host}_RUNNER"), runner);
    }
    Ok(command)
}
