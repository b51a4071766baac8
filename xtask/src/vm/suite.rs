//! What is tested in a machine: the very files that are tested on this kernel, and which of their tests.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{kernels::Line, output};
use crate::binaries;

/// Tests of one file.
struct Part {
    /// Its name, as cargo knows it.
    target: &'static str,
    /// The tests that begin so.
    tests: &'static [&'static str],
    options: &'static [&'static str],
    /// How many at once: those that wait most of the time may be several, though a machine has one processor.
    threads: u32,
}

/// What depends on the kernel, and needs no program that is not packed: each start of the daemon takes seconds without
/// hardware, in which the verifier follows the program.
///
/// Left out are scapy's and the random packets, which are more of what the table has and take minutes; frames cut off
/// at every byte, which the parser alone decides about; what happens when the kernel refuses an update, which those tests
/// make up in user space; which helpers are called, for an older kernel refuses those that it lacks; and what goes on
/// behind the daemon's socket and in its store.
const PARTS: [Part; 3] = [
    // It says which variant was taken.
    Part { target: "packets", tests: &["variants::"], options: &["--nocapture"], threads: 1 },
    Part {
        target: "packets",
        tests: &[
            "rows::",
            "expiry::ends_decide",
            "verifier::the_verifier_takes",
            "wire::of_the_table",
            "wire::sockets::datagrams",
        ],
        options: &[],
        threads: 1,
    },
    Part {
        target: "e2e",
        tests: &[
            "crash::over_a_kill",
            "crash::a_start_puts_the_filter_back",
            "restart::detach_takes_the_filter_off",
            "interfaces::an_interface_is_filtered",
            "interfaces::a_filter_that_somebody_cut",
        ],
        options: &[],
        threads: 2,
    },
];

/// By how many times longer than on a machine everything may take.
const PATIENCE: u32 = 8;

/// Programs that the tests run, beside the daemon and its command line.
const PROGRAMS: [&str; 6] = ["ip", "nsenter", "mount", "umount", "redis-server", "busybox"];

/// Modules that the tests need, where they are not part of the kernel.
pub(super) const MODULES: [&str; 5] = ["veth", "tun", "bridge", "tcp_diag", "udp_diag"];

/// The files to be packed, and how the tests are run.
pub(super) struct Suite {
    /// Where they are here is where they have to be there: the tests know their paths.
    pub(super) executables: Vec<PathBuf>,
    tests: Vec<PathBuf>,
}

impl Suite {
    /// Builds the tests, as `cargo test` does.
    pub(super) fn build() -> Result<Self> {
        let mut command = Command::new("cargo");
        command.args(["test", "--no-run", "--package", "allowlist-ctl", "--bins"]);
        command.args(PARTS.iter().flat_map(|part| ["--test", part.target]));
        command.arg("--message-format=json-render-diagnostics");
        let built = command
            .current_dir(binaries::root())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cargo can't be run")?;
        if !built.status.success() {
            bail!("the tests could not be built; see cargo's messages above");
        }
        let messages: Vec<Value> = built
            .stdout
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let executable = |target: &str, is_test: bool| {
            let is_it = |message: &&Value| {
                message["target"]["name"] == target
                    && message["profile"]["test"] == is_test
                    && message["executable"].is_string()
            };
            let found = messages.iter().find(is_it);
            let path = found.and_then(|message| message["executable"].as_str());
            path.map(PathBuf::from).with_context(|| format!("cargo built no {target}"))
        };
        let tests = PARTS.iter().map(|part| executable(part.target, true));
        let tests = tests.collect::<Result<Vec<_>>>()?;
        let mut executables = tests.clone();
        executables.dedup();
        for program in ["allowlistd", "allowlist-ctl"] {
            executables.push(executable(program, false)?);
        }
        for program in PROGRAMS {
            let path = output(Command::new("sh").arg("-c").arg(format!("command -v {program}")))?;
            executables.push(path.trim().into());
        }
        let suite = Self { executables, tests };
        suite.check_names()?;
        Ok(suite)
    }

    /// Whether there are tests of every name: without one, nothing would fail.
    fn check_names(&self) -> Result<()> {
        for (part, file) in PARTS.iter().zip(&self.tests) {
            for name in part.tests {
                let list = output(Command::new(file).args(["--list", name]))?;
                if !list.lines().any(|line| line.starts_with(name) && line.ends_with(": test")) {
                    bail!("{} has no test {name}", part.target);
                }
            }
        }
        Ok(())
    }

    /// The program that the kernel starts.
    pub(super) fn init(&self, line: &Line) -> Result<String> {
        let mut init = format!(
            "{HEAD}export ALLOWLIST_PATIENCE={PATIENCE} ALLOWLIST_VARIANT={}\n",
            line.variant
        );
        for (part, file) in PARTS.iter().zip(&self.tests) {
            let threads = part.threads.to_string();
            let skipped = line.skipped.iter().flat_map(|name| ["--skip", *name]);
            let mut words = vec![file.to_str().context("a path that is not UTF-8")?];
            words.extend(part.tests.iter().copied());
            words.extend(part.options.iter().copied());
            words.extend(skipped);
            words.extend(["--test-threads", &threads, "2>&1 || failed=$((failed + 1))\n"]);
            init += &words.join(" ");
        }
        Ok(init + TAIL)
    }
}

const HEAD: &str = r#"#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp HOME=/
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /etc /bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/netns
echo root:x:0:0:root:/:/bin/sh > /etc/passwd
echo root:x:0: > /etc/group
ip link set lo up
failed=0
while read -r module; do
    insmod "/modules/$module" || failed=$((failed + 1))
done < /modules/order
"#;

const TAIL: &str = r#"if dmesg | grep -E "BUG:|Oops"; then
    failed=$((failed + 1))
fi
if [ "$failed" = 0 ]; then
    echo "VM-RESULT: OK"
else
    echo "VM-RESULT: FAILED $failed"
fi
poweroff -f
"#;
