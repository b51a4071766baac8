//! A machine out of software, from its start to its verdict.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;
use xtask::lab::Process;

/// All that QEMU has, but for fast strings: a kernel that believes in them copies byte by byte, and the verifier copies
/// what it knows at each branch. Without, all takes a third less.
const PROCESSOR: &str = "max,erms=off,fsrm=off";

const OK: &str = "VM-RESULT: OK";

/// What came of the tests in a machine.
pub(super) struct Outcome {
    pub(super) release: String,
    /// The variant of the program that was taken, as a test says.
    pub(super) variant: Option<String>,
    pub(super) passed: u32,
    pub(super) is_ok: bool,
    pub(super) took: Duration,
    /// All that the machine wrote to its console.
    pub(super) console: String,
}

/// What a machine is made of.
pub(super) struct Boot<'a> {
    pub(super) kernel: &'a Path,
    pub(super) initrd: &'a Path,
    /// Parameters of the kernel, beside those that make it write to the console and end when it breaks down.
    pub(super) parameters: &'a str,
    /// Megabytes.
    pub(super) memory: u32,
    /// What is written to them is gone with the machine.
    pub(super) disks: &'a [&'a Path],
    /// Whether it has two network cards with a cable between them.
    pub(super) has_cable: bool,
    /// Whether it goes on where its kernel starts again, and is not ended.
    pub(super) may_restart: bool,
    /// After so long it is ended, and has failed: many times what it takes on a computer that has nothing else to do.
    pub(super) limit: Duration,
}

/// Boots a machine, and waits for its end.
pub(super) fn run(name: &str, boot: &Boot<'_>, directory: &Path) -> Result<Outcome> {
    let begin = Instant::now();
    // What an earlier one wrote.
    drop(std::fs::remove_file(directory.join(format!("{name}.log"))));
    let mut machine = Process::spawn(name, &mut qemu(boot), directory)?;
    let ended = machine.wait(boot.limit);
    let console = machine.log().replace('\r', "");
    let mut outcome = read(console);
    outcome.took = begin.elapsed();
    if ended.is_err() {
        outcome.is_ok = false;
        outcome.console.push_str("\nended: it took too long");
    }
    Ok(outcome)
}

/// Hardware is not asked for: not every machine lends it, and what is tested is no question of speed.
fn qemu(boot: &Boot<'_>) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-machine", "q35"]);
    qemu.args(["-smp", "1", "-nographic", "-nodefaults", "-serial", "stdio", "-monitor", "none"]);
    qemu.arg("-m").arg(boot.memory.to_string());
    let parameters = format!("console=ttyS0 quiet panic=-1 {}", boot.parameters);
    qemu.arg("-append").arg(parameters.trim());
    qemu.arg("-kernel").arg(boot.kernel).arg("-initrd").arg(boot.initrd);
    if !boot.may_restart {
        qemu.arg("-no-reboot");
    }
    for disk in boot.disks {
        qemu.arg("-drive");
        qemu.arg(format!("file={},format=raw,if=virtio,snapshot=on", disk.display()));
    }
    for end in 0..if boot.has_cable { 2 } else { 0 } {
        qemu.arg("-netdev").arg(format!("hubport,hubid=0,id=end{end}"));
        let address = format!("virtio-net-pci,netdev=end{end},mac=52:54:00:00:00:0{end}");
        qemu.arg("-device").arg(address);
    }
    qemu
}

/// What a console says. The verdict is a line of its own: a kernel that breaks down ends QEMU with success.
fn read(console: String) -> Outcome {
    let is_ok = console.lines().any(|line| line == OK);
    let variant = console.split_once("variant taken: ").map(|(_, rest)| {
        rest.chars().take_while(|letter| letter.is_alphanumeric()).collect::<String>()
    });
    let passed = console
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ")?.split_once(". ")?.1.split_once(' '))
        .filter_map(|(passed, _)| passed.parse::<u32>().ok())
        .sum();
    Outcome { release: String::new(), variant, passed, is_ok, took: Duration::ZERO, console }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_read_for_the_verdict_the_variant_and_the_count() {
        let passed = "test result: ok. 7 passed; 0 failed; 0 ignored\n";
        let failed = "test result: FAILED. 2 passed; 1 failed; 0 ignored\n";
        let ok = "VM-RESULT: OK\n";
        for (name, console, expected) in [
            ("all well", [passed, "variant taken: Frags\n", ok], (true, Some("Frags"), 7)),
            ("a test that failed", [passed, failed, "VM-RESULT: FAILED 1\n"], (false, None, 9)),
            ("a kernel that broke down", [passed, "Kernel panic\n", ""], (false, None, 7)),
            ("a verdict that is only quoted", ["not VM-RESULT: OK\n", "", ""], (false, None, 0)),
            ("no test", ["", "", ok], (true, None, 0)),
        ] {
            let outcome = read(console.concat());
            let (is_ok, variant, count) = expected;
            assert_eq!(outcome.is_ok, is_ok, "{name}");
            assert_eq!(outcome.variant.as_deref(), variant, "{name}");
            assert_eq!(outcome.passed, count, "{name}");
        }
    }
}
