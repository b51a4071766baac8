//! Kernels of Debian's suites, fetched beside the system's apt and kept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    debian::{Apt, Suite},
    output,
};

/// A line of kernels.
#[derive(Debug)]
pub(super) struct Line {
    /// What people call it; `newest` is whatever its suite has.
    pub(super) name: &'static str,
    /// The suite that has it, itself or among its security updates.
    suite: Suite,
    /// The package that depends on the newest kernel of the line.
    package: &'static str,
    /// The variant of the program that it has to take.
    pub(super) variant: &'static str,
    /// Tests that are left out, beside those that are left out everywhere.
    pub(super) skipped: &'static [&'static str],
    /// Whether it belongs to the short form.
    pub(super) is_short: bool,
}

/// Oldest first: those take longest.
pub(super) const LINES: [Line; 4] = [
    Line {
        name: "5.10",
        suite: Suite::BULLSEYE,
        package: "linux-image-cloud-amd64",
        variant: "PlainOldClock",
        skipped: &[
            // It takes no packet in several buffers, and no test run of one that is longer than a page.
            "rows::jumbo_frames",
            // It does not say how many instructions it followed; Linux 5.16 does.
            "verifier::the_verifier_takes",
        ],
        is_short: false,
    },
    Line {
        name: "6.1",
        suite: Suite::BOOKWORM,
        package: "linux-image-cloud-amd64",
        variant: "Frags",
        skipped: &[],
        is_short: true,
    },
    Line {
        name: "6.12",
        suite: Suite::BOOKWORM,
        package: "linux-image-6.12-cloud-amd64",
        variant: "Frags",
        skipped: &[],
        is_short: false,
    },
    Line {
        name: "newest",
        suite: Suite::TRIXIE_BACKPORTS,
        package: "linux-image-cloud-amd64",
        variant: "Frags",
        skipped: &[],
        is_short: true,
    },
];

/// Of the packages that a package depends on, those of the kernel itself.
const PARTS: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

/// An unpacked kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    /// As `uname -r` says it.
    pub(super) release: String,
    pub(super) image: PathBuf,
    /// The directory with `lib/modules`.
    pub(super) root: PathBuf,
}

impl Kernel {
    /// The kernel that is kept in this directory, or the newest of its line from the system's mirror.
    pub(super) fn of(line: &Line, directory: &Path, update: bool) -> Result<Self> {
        let kept = directory.join("kernels").join(line.name);
        if update || !kept.exists() {
            fetch(line, directory, &kept).with_context(|| {
                format!("no kernel {} from Debian's {}", line.name, line.suite.name)
            })?;
        }
        Self::in_directory(&kept)
    }

    fn in_directory(directory: &Path) -> Result<Self> {
        let root = [directory.to_owned(), directory.join("usr")]
            .into_iter()
            .find(|root| root.join("lib/modules").is_dir())
            .with_context(|| format!("no modules in {}", directory.display()))?;
        let modules = fs::read_dir(root.join("lib/modules"))?.next().context("no modules")??;
        let release = modules.file_name().to_string_lossy().into_owned();
        let images =
            [directory.join(format!("boot/vmlinuz-{release}")), modules.path().join("vmlinuz")];
        let image = images.into_iter().find(|image| image.is_file());
        let image = image.with_context(|| format!("no vmlinuz in {}", directory.display()))?;
        Ok(Self { release, image, root })
    }
}

/// Unpacks the newest kernel of a line.
fn fetch(line: &Line, directory: &Path, kept: &Path) -> Result<()> {
    let apt = Apt::new(&line.suite, &directory.join("apt").join(line.name))?;
    let packages = parts(&apt, line.package)?;
    println!("{}: fetching {}", line.name, packages.join(" "));
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    let new = apt.unpack(&packages)?;
    let kernel = Kernel::in_directory(&new)?;
    output(Command::new("depmod").arg("--basedir").arg(&kernel.root).arg(&kernel.release))?;
    // All at once, so that one that was interrupted is not taken for whole.
    drop(fs::remove_dir_all(kept));
    fs::create_dir_all(kept.parent().context("no directory of kernels")?)?;
    Ok(fs::rename(&new, kept)?)
}

/// What a package is made of, as far as it is the kernel; not those that only depend on others.
fn parts(apt: &Apt, package: &str) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut known = vec![package.to_owned()];
    let mut asked = 0;
    while let Some(package) = known.get(asked).cloned() {
        asked += 1;
        let depends = apt.cache(&["depends", &package])?;
        let named = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let is_part = |name: &&str| PARTS.iter().any(|part| name.starts_with(part));
        let further: Vec<_> = named.filter(is_part).map(str::to_owned).collect();
        if further.is_empty() {
            parts.push(package);
        }
        for name in further {
            if !known.contains(&name) {
                known.push(name);
            }
        }
    }
    Ok(parts)
}
