//! Compiles the eBPF program, for the library to embed, and notes what `--version` says.

#![expect(clippy::print_stderr, reason = "how a build script tells why it failed")]

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use aya_build::{Package, build_ebpf};

#[path = "../xtask/src/toolchain.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with xtask, which uses more of it")]
mod toolchain;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A panic would bury the sentence under a backtrace.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let ctl = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("run by cargo only")?);
    let root = ctl.parent().context("allowlist-ctl is in the workspace")?;
    // First of all, because cargo shows what a failed build script has printed until then.
    let toolchain = toolchain::detect()?;
    for path in ["allowlist-common", "xtask/src/toolchain.rs", "Cargo.lock", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(path).display());
    }
    release(root)?;

    println!("cargo:warning=eBPF toolchain: {toolchain}");
    // aya-build hands each line of the inner cargo on as a warning; only real ones should be.
    let quiet = Some(("CARGO_TERM_QUIET", "true"));
    let bootstrap = toolchain.bootstrap().map(|crates| ("RUSTC_BOOTSTRAP", crates));
    for (name, value) in quiet.into_iter().chain(bootstrap) {
        // SAFETY: this process has a single thread here.
        unsafe { env::set_var(name, value) };
    }
    let ebpf = root.join("allowlist-ebpf");
    let ebpf = Package {
        name: "allowlist-ebpf",
        root_dir: ebpf.to_str().context("the path of the project is not UTF-8")?,
        features: if env::var_os("CARGO_FEATURE_NEXT_ABI").is_some() { &["next-abi"] } else { &[] },
        ..Package::default()
    };
    build_ebpf([ebpf], aya_build::Toolchain::Custom(toolchain.name()))
        .context("the eBPF program does not compile; the warnings above are its compiler's")
}

/// Hands on what `--version` says: `ALLOWLIST_VERSION`, which whoever builds may set, else the crate's version; and the
/// commit as `ALLOWLIST_COMMIT`, which is empty where this is no work tree of its own, as in an archive of the source.
fn release(root: &Path) -> Result<()> {
    println!("cargo:rerun-if-env-changed=ALLOWLIST_VERSION");
    let version = env::var("ALLOWLIST_VERSION").or_else(|_| env::var("CARGO_PKG_VERSION"))?;
    println!("cargo:rustc-env=ALLOWLIST_VERSION={version}");

    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Below the top of a work tree this is a part of something else, whose commit says nothing.
    let is_own = git(&["rev-parse", "--show-prefix"]).is_some_and(|prefix| prefix.is_empty());
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).filter(|_| is_own);
    println!("cargo:rustc-env=ALLOWLIST_COMMIT={}", commit.unwrap_or_default());

    // The reflog grows with each commit and checkout. Before the first commit there is none, and
    // cargo would take a missing file for a changed one and build each time.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name]).map(|path| root.join(path));
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    Ok(())
}
