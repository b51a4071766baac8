//! Which toolchain compiles the eBPF program.
//!
//! The standard library only: `allowlist-ctl/build.rs` includes this file as well, so that the
//! build and `cargo xtask setup` can never disagree.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The name under which Debian's rustc is linked into rustup.
pub const LINKED: &str = "allowlist-bpf";
/// Where [`LINKED`] points.
pub const LINKED_TO: &str = "/usr";
/// The target of the eBPF program, of the host's byte order.
pub const TARGET: &str =
    if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };

/// An eBPF toolchain that is complete: compiler, `core` for eBPF and linker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// rustup's `nightly` with `rust-src`, which builds `core` itself.
    Nightly,
    /// Debian's rustc, which brings `core` for eBPF ready-made.
    Debian,
}

impl Toolchain {
    /// The name that rustup knows it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nightly => "nightly",
            Self::Debian => LINKED,
        }
    }

    /// What `RUSTC_BOOTSTRAP` has to be. Debian's rustc is a stable one, and aya-ebpf uses one
    /// unstable feature; the crate's name (not `1`) keeps aya-build from asking for build-std.
    #[must_use]
    pub const fn bootstrap(self) -> Option<&'static str> {
        match self {
            Self::Nightly => None,
            Self::Debian => Some("aya_ebpf"),
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nightly => write!(f, "rustup's nightly with rust-src"),
            Self::Debian => write!(f, "Debian's rustc with {TARGET}, in rustup as {LINKED}"),
        }
    }
}

/// What there is and what is not, of both toolchains.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent finding")]
pub struct Found {
    /// `rustup` can be run.
    pub rustup: bool,
    /// `bpf-linker` is on the PATH or among cargo's programs.
    pub linker: bool,
    /// The directory of rustup's toolchain `nightly`.
    pub nightly: Option<PathBuf>,
    /// That nightly has the component `rust-src`.
    pub rust_src: bool,
    /// Debian's rustc is there, with `core` for eBPF.
    pub debian: bool,
    /// It is linked into rustup as [`LINKED`].
    pub linked: bool,
    /// The directory of the toolchain that runs this build, as far as rustup knows it.
    pub active: Option<PathBuf>,
}

impl Found {
    /// Looks around, in about 20 ms (one run of `rustup`).
    #[must_use]
    pub fn look() -> Self {
        let list = rustup_toolchains();
        let toolchain = |name: &str| {
            list.iter().flatten().find(|(found, _)| {
                found == name
                    // "nightly" stands for "nightly-x86_64-unknown-linux-gnu", never for the
                    // dated "nightly-2026-01-01-x86_64-unknown-linux-gnu".
                    || found.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(
                        |host| host.starts_with(|first: char| !first.is_ascii_digit()),
                    )
            })
        };
        let nightly = toolchain("nightly").map(|(_, directory)| directory.clone());
        let active = env::var("RUSTUP_TOOLCHAIN").ok();
        Self {
            rustup: list.is_some(),
            linker: linker().is_some(),
            rust_src: nightly
                .as_ref()
                .is_some_and(|dir| dir.join("lib/rustlib/src/rust/library/core").is_dir()),
            nightly,
            debian: debian(Path::new(LINKED_TO)),
            linked: toolchain(LINKED).is_some_and(|(_, dir)| dir == Path::new(LINKED_TO)),
            active: active.and_then(|name| toolchain(&name)).map(|(_, dir)| dir.clone()),
        }
    }

    /// The toolchain to take: the usual one when it is complete, else Debian's.
    ///
    /// # Errors
    ///
    /// Neither is complete.
    pub fn choose(&self) -> Result<Toolchain, Missing> {
        if self.rustup && self.linker && self.rust_src {
            Ok(Toolchain::Nightly)
        } else if self.rustup && self.linker && self.debian && self.linked {
            Ok(Toolchain::Debian)
        } else {
            Err(Missing(self.clone()))
        }
    }
}

/// No eBPF toolchain is complete. Its `Display` is one sentence that names what is missing.
#[derive(Debug, Clone)]
pub struct Missing(Found);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.0;
        let compiler = if found.rust_src || (found.debian && found.linked) {
            None
        } else if found.debian {
            Some(format!("rustup has no toolchain {LINKED} linked to Debian's rustc"))
        } else if found.nightly.is_some() {
            Some(format!("nightly has no rust-src, and there is no Debian rustc with {TARGET}"))
        } else {
            Some(format!(
                "there is neither a nightly with rust-src nor Debian's rustc with {TARGET}"
            ))
        };
        let linker = (!found.linker).then(|| "bpf-linker is not on the PATH".to_owned());
        let rustup = (!found.rustup).then(|| "rustup is not on the PATH".to_owned());
        let missing: Vec<_> = [rustup, compiler, linker].into_iter().flatten().collect();
        write!(
            f,
            "the eBPF program can't be compiled: {}; run: cargo xtask setup",
            missing.join(", and ")
        )
    }
}

impl std::error::Error for Missing {}

/// The toolchain to take.
///
/// # Errors
///
/// None is complete.
pub fn detect() -> Result<Toolchain, Missing> {
    Found::look().choose()
}

/// Where `bpf-linker` is. rustup puts cargo's programs on the PATH of what it runs, so they count.
#[must_use]
pub fn linker() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|directory| directory.join("bpf-linker"))
        .find(|program| program.is_file())
}

/// Whether a compiler with `core` for eBPF is installed under this prefix.
fn debian(prefix: &Path) -> bool {
    let libraries = prefix.join("lib/rustlib").join(TARGET).join("lib");
    let core = fs::read_dir(libraries).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    });
    core && prefix.join("bin/rustc").is_file()
}

/// rustup's toolchains with their directories; `None` without rustup.
fn rustup_toolchains() -> Option<Vec<(String, PathBuf)>> {
    let output = Command::new("rustup")
        .args(["toolchain", "list", "--verbose"])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let toolchains = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            // "nightly-x86_64-unknown-linux-gnu (active, default) /home/user/.rustup/..."
            let (name, _) = line.split_once(' ')?;
            let directory = &line[line.find(" /")? + 1..];
            // A linked toolchain may be shown by the link, or by where it points.
            let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.into());
            Some((name.to_owned(), directory))
        })
        .collect();
    Some(toolchains)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(present: &[&str]) -> Found {
        let has = |what| present.contains(&what);
        Found {
            rustup: has("rustup"),
            linker: has("linker"),
            nightly: has("nightly").then(PathBuf::new),
            rust_src: has("rust-src"),
            debian: has("debian"),
            linked: has("linked"),
            active: None,
        }
    }

    #[test]
    fn the_usual_toolchain_is_taken_when_complete_else_debians() {
        for (present, expected) in [
            (&["rustup", "linker", "nightly", "rust-src"][..], Toolchain::Nightly),
            (&["rustup", "linker", "nightly", "rust-src", "debian", "linked"], Toolchain::Nightly),
            (&["rustup", "linker", "nightly", "debian", "linked"], Toolchain::Debian),
            (&["rustup", "linker", "debian", "linked"], Toolchain::Debian),
        ] {
            assert_eq!(found(present).choose().unwrap(), expected, "{present:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_gets_it() {
        for (present, expected) in [
            (&["rustup", "debian", "linked"][..], "bpf-linker is not on the PATH"),
            (&["rustup", "linker", "debian"], "rustup has no toolchain allowlist-bpf"),
            (&["rustup", "linker", "nightly"], "nightly has no rust-src, and there is no Debian"),
            (&["rustup", "linker"], "there is neither a nightly with rust-src nor Debian's"),
            (&["linker", "debian"], "rustup is not on the PATH"),
        ] {
            let sentence = found(present).choose().unwrap_err().to_string();
            assert!(sentence.contains(expected), "{sentence}");
            assert!(sentence.ends_with("; run: cargo xtask setup"), "{sentence}");
        }
    }
}
