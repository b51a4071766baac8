//! Debian's suites, other than the one that this machine is of: packages out of them, beside the system's apt.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::output;

/// Of the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A suite of Debian.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    /// Whether it has security updates of its own.
    has_security: bool,
}

impl Suite {
    /// Debian 11.
    pub(crate) const BULLSEYE: Self = Self { name: "bullseye", has_security: true };
    /// Debian 12.
    pub(crate) const BOOKWORM: Self = Self { name: "bookworm", has_security: true };
    /// What Debian 13 takes from the one after it.
    pub(crate) const TRIXIE_BACKPORTS: Self =
        Self { name: "trixie-backports", has_security: false };

    /// Lines of apt's `sources.list`, from where the system's apt gets Debian; `lists` is a directory for it to look at.
    pub(crate) fn sources(&self, lists: &Path) -> Result<String> {
        let [main, security] = mirrors(lists)?;
        let suite = self.name;
        let entry = |mirror: &str, suite: &str| {
            format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        };
        let mut sources = entry(&main, suite);
        if self.has_security {
            sources += &entry(&security, &format!("{suite}-security"));
        }
        Ok(sources)
    }
}

/// apt with a root of its own, in which there is one suite and nothing installed.
pub(crate) struct Apt {
    root: PathBuf,
}

impl Apt {
    /// Makes one that knows what the suite has today.
    pub(crate) fn new(suite: &Suite, root: &Path) -> Result<Self> {
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::write(root.join("sources.list"), suite.sources(&root.join("lists"))?)?;
        let apt = Self { root: root.to_owned() };
        apt.run("apt-get", &["-qq", "update"], root)?;
        Ok(apt)
    }

    /// What `apt-cache` says.
    pub(crate) fn cache(&self, arguments: &[&str]) -> Result<String> {
        self.run("apt-cache", arguments, &self.root)
    }

    /// Fetches packages, and unpacks them together into a new directory, which is for the caller to move away.
    pub(crate) fn unpack(&self, packages: &[&str]) -> Result<PathBuf> {
        let (new, packed) = (self.root.join("new"), self.root.join("packed"));
        for place in [&new, &packed] {
            drop(fs::remove_dir_all(place));
            fs::create_dir_all(place)?;
        }
        self.run("apt-get", &[&["-qq", "download"], packages].concat(), &packed)?;
        for package in fs::read_dir(&packed)? {
            output(Command::new("dpkg-deb").arg("--extract").arg(package?.path()).arg(&new))?;
        }
        fs::remove_dir_all(&packed)?;
        Ok(new)
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
