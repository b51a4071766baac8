//! What is tested in a machine: the very files that are tested on this kernel, and which of their tests.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::kernels::Line;
use crate::{binaries, output};

/// Tests of one file.
struct Part {
    /// Its name, as cargo knows it.
    target: &'static str,
    /// The tests that begin so.
    tests: &'static [&'static str],
}

/// What depends on the kernel, and needs no program that is not packed: the packet table, in the kernel and over a
/// cable; the kernel's clock and its verifier; that a daemon takes over from one that was killed; and that meanwhile not
/// a packet is judged otherwise, in the short form of the gap test.
///
/// All of it takes few starts of the daemon, for each takes seconds without hardware, in which the verifier follows
/// the program. What else there is is more of the same, or goes on in user space.
const PARTS: [Part; 2] = [
    Part {
        target: "packets",
        // The first one says which variant was taken.
        tests: &[
            "variants::",
            "rows::",
            "wire::of_the_table",
            "expiry::ends_decide",
            "verifier::the_verifier_takes",
        ],
    },
    Part { target: "e2e", tests: &["crash::over_a_kill", "gap::"] },
];

/// The daemon of a later release, to upgrade to.
const NEXT: &str = "next-release";

/// The short form of the gap test: a kill, an interface anew, an upgrade, and a list that is replaced.
const GAP: &str = "ALLOWLIST_GAP_ROUNDS=4 ALLOWLIST_GAP_ENTRIES=2000";

/// By how many times longer than on a machine everything may take.
const PATIENCE: u32 = 8;

/// Programs that the tests run, beside the daemon and its command line.
const PROGRAMS: [&str; 6] = ["ip", "nsenter", "mount", "umount", "redis-server", "busybox"];

/// Modules that the tests need, where they are not part of the kernel.
pub(super) const MODULES: [&str; 6] = ["veth", "tun", "bridge", "vxlan", "tcp_diag", "udp_diag"];

/// The files to be packed, and how the tests are run.
pub(super) struct Suite {
    /// Where they are here is where they have to be there: the tests know their paths.
    pub(super) executables: Vec<PathBuf>,
    tests: Vec<PathBuf>,
    next: PathBuf,
}

impl Suite {
    /// Builds the tests, as `cargo test` does, but for a machine on which everything takes long.
    pub(super) fn build() -> Result<Self> {
        let parts = PARTS.iter().flat_map(|part| ["--test", part.target]);
        let built = cargo(["test", "--no-run"].into_iter().chain(parts))?;
        let next = cargo(["build", "--features", "next-abi", "--example", NEXT])?;
        let tests = PARTS.iter().map(|part| binaries::executable(&built, part.target, true));
        let tests = tests.collect::<Result<Vec<_>>>()?;
        let next = binaries::executable(&next, NEXT, false)?;
        let mut executables = tests.clone();
        executables.push(next.clone());
        for program in ["allowlistd", "allowlist-ctl"] {
            executables.push(binaries::executable(&built, program, false)?);
        }
        for program in PROGRAMS {
            let path = output(Command::new("sh").arg("-c").arg(format!("command -v {program}")))?;
            executables.push(path.trim().into());
        }
        let suite = Self { executables, tests, next };
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
        let next = self.next.display();
        let mut init = format!(
            "{HEAD}export ALLOWLIST_PATIENCE={PATIENCE} ALLOWLIST_VARIANT={}\n\
             export {GAP} ALLOWLIST_NEXT_RELEASE={next}\n",
            line.variant
        );
        for (part, file) in PARTS.iter().zip(&self.tests) {
            let skipped = line.skipped.iter().flat_map(|name| ["--skip", *name]);
            let mut words = vec![file.to_str().context("a path that is not UTF-8")?];
            words.extend(part.tests.iter().copied());
            words.extend(skipped);
            // One at a time: a machine has one processor. What they say is shown, for one says the variant.
            words.extend(["--test-threads=1", "--nocapture"]);
            words.push("2>&1 || failed=$((failed + 1))\n");
            init += &words.join(" ");
        }
        Ok(init + TAIL)
    }
}

/// Runs cargo, and returns its messages.
fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Vec<Value>> {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).args(["--package", "allowlist-ctl", "--profile", "guest"]);
    binaries::messages(&mut cargo)
}

/// All of it is in memory already, and what is tested may lie below `/tmp`, where nothing must be mounted.
const HEAD: &str = r#"#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp HOME=/
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /etc /bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
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
