//! Kernels of Debian's suites, fetched beside the system's apt and kept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::output;

/// A line of kernels.
#[derive(Debug)]
pub(super) struct Line {
    /// What people call it; `newest` is whatever its suite has.
    pub(super) name: &'static str,
    /// The suite that has it, itself or among its security updates.
    suite: &'static str,
    /// Whether the suite has security updates of its own.
    has_security: bool,
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
        suite: "bullseye",
        has_security: true,
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
        suite: "bookworm",
        has_security: true,
        package: "linux-image-cloud-amd64",
        variant: "Frags",
        skipped: &[],
        is_short: true,
    },
    Line {
        name: "6.12",
        suite: "bookworm",
        has_security: true,
        package: "linux-image-6.12-cloud-amd64",
        variant: "Frags",
        skipped: &[],
        is_short: false,
    },
    Line {
        name: "newest",
        suite: "trixie-backports",
        has_security: false,
        package: "linux-image-cloud-amd64",
        variant: "Frags",
        skipped: &[],
        is_short: true,
    },
];

/// Of the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
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
            fetch(line, directory, &kept)
                .with_context(|| format!("no kernel {} from Debian's {}", line.name, line.suite))?;
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
    let apt = Apt::of_suite(line, &directory.join("apt").join(line.name))?;
    apt.run("apt-get", &["-qq", "update"], &apt.root)?;
    let packages = apt.parts(line.package)?;
    println!("{}: fetching {}", line.name, packages.join(" "));
    let new = apt.root.join("new");
    let packed = apt.root.join("packed");
    for place in [&new, &packed] {
        drop(fs::remove_dir_all(place));
        fs::create_dir_all(place)?;
    }
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    apt.run("apt-get", &[&["-qq", "download"], &packages[..]].concat(), &packed)?;
    for package in fs::read_dir(&packed)? {
        output(Command::new("dpkg-deb").arg("--extract").arg(package?.path()).arg(&new))?;
    }
    let kernel = Kernel::in_directory(&new)?;
    output(Command::new("depmod").arg("--basedir").arg(&kernel.root).arg(&kernel.release))?;
    // All at once, so that one that was interrupted is not taken for whole.
    drop(fs::remove_dir_all(kept));
    fs::create_dir_all(kept.parent().context("no directory of kernels")?)?;
    fs::rename(&new, kept)?;
    fs::remove_dir_all(&packed)?;
    Ok(())
}

/// apt with a root of its own, in which there is one suite and nothing installed.
struct Apt {
    root: PathBuf,
}

impl Apt {
    fn of_suite(line: &Line, root: &Path) -> Result<Self> {
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(root.join(directory))?;
        }
        let [main, security] = mirrors(&root.join("lists"))?;
        let suite = line.suite;
        let entry = |mirror: &str, suite: &str| {
            format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        };
        let mut sources = entry(&main, suite);
        if line.has_security {
            sources += &entry(&security, &format!("{suite}-security"));
        }
        fs::write(root.join("sources.list"), sources)?;
        Ok(Self { root: root.to_owned() })
    }

    fn run(&self, program: &str, arguments: &[&str], directory: &Path) -> Result<String> {
        let root = self.root.display();
        let mut command = Command::new(program);
        // The system's own configuration still holds: it may name a proxy.
        for setting in [
            format!("Dir::Etc::SourceList={root}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State={root}"),
            "Dir::State::Status=/dev/null".to_owned(),
            format!("Dir::Cache={root}/cache"),
            "Acquire::Languages=none".to_owned(),
            // apt's own user can't write here.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &setting]);
        }
        output(command.args(arguments).current_dir(directory).env("LC_ALL", "C"))
    }

    /// What a package is made of, as far as it is the kernel; not those that only depend on others.
    fn parts(&self, package: &str) -> Result<Vec<String>> {
        let mut parts = Vec::new();
        let mut known = vec![package.to_owned()];
        let mut asked = 0;
        while let Some(package) = known.get(asked).cloned() {
            asked += 1;
            let depends = self.run("apt-cache", &["depends", &package], &self.root)?;
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
}

/// Where the system's apt gets Debian from, and its security updates.
fn mirrors(lists: &Path) -> Result<[String; 2]> {
    let lists = format!("Dir::State::Lists={}", lists.display());
    let printed = output(Command::new("apt-get").args(["-o", &lists, "update", "--print-uris"]))?;
    mirrors_among(&printed)
        .context("apt's sources name no suite of Debian with its security updates")
}

/// The same of what apt would get: a suite and the one of its security updates are Debian's, whatever else there is.
fn mirrors_among(printed: &str) -> Option<[String; 2]> {
    let suites: Vec<(&str, &str)> = printed
        .lines()
        .filter_map(|line| {
            let (address, _) = line.strip_prefix('\'')?.split_once('\'')?;
            address.strip_suffix("/InRelease")?.split_once("/dists/")
        })
        .collect();
    suites.iter().find_map(|(security, suite)| {
        let base = suite.strip_suffix("-security")?;
        let (main, _) = suites.iter().find(|(_, suite)| *suite == base)?;
        Some([(*main).to_owned(), (*security).to_owned()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_mirrors_are_found_among_others() {
        let others = "'http://other.test/apt/dists/stable/InRelease' other 0\n";
        let main = "'http://main.test/debian/dists/bookworm/InRelease' main 0\n";
        let lists = "'http://main.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' p 0\n";
        let security = "'http://safe.test/d-s/dists/bookworm-security/InRelease' security 0\n";
        let both = Some(["http://main.test/debian".into(), "http://safe.test/d-s".into()]);
        for (name, printed, expected) in [
            ("all", [others, main, lists, security], both),
            ("no security updates", [others, main, lists, ""], None),
            ("security updates of what is not there", [others, "", "", security], None),
        ] {
            assert_eq!(mirrors_among(&printed.concat()), expected, "{name}");
        }
    }
}
