//! Compiles the eBPF program, for the library to embed, and notes the commit for `--version`.

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
    commit(root);

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

/// Hands the commit on as `ALLOWLIST_COMMIT`; "unknown" where there is no git, as in a tarball.
fn commit(root: &Path) {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    println!("cargo:rustc-env=ALLOWLIST_COMMIT={}", commit.as_deref().unwrap_or("unknown"));

    // The reflog grows with each commit and checkout. Before the first commit there is none, and
    // cargo would take a missing file for a changed one and build each time.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name]).map(|path| root.join(path));
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
}
