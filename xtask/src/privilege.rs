//! Who runs this: root, a user with sudo, or root by way of sudo.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Makes rustup of the user behind `sudo cargo xtask` usable: sudo takes it off the PATH, and the
/// cargo that it then finds is Debian's. What is installed goes to root's own `~/.cargo`.
pub(crate) fn find_rustup_behind_sudo() {
    let path = env::var_os("PATH").unwrap_or_default();
    let present = env::split_paths(&path).any(|directory| directory.join("rustup").is_file());
    let Some(user) = env::var_os("SUDO_USER").filter(|_| is_root() && !present) else { return };
    let Ok(passwd) = Command::new("getent").arg("passwd").arg(user).output() else { return };
    let passwd = String::from_utf8_lossy(&passwd.stdout);
    let Some(home) = passwd.trim().split(':').nth(5).map(Path::new) else { return };
    let programs = home.join(".cargo/bin");
    let paths = [programs.clone()].into_iter().chain(env::split_paths(&path));
    if let (true, Ok(paths)) = (programs.join("rustup").is_file(), env::join_paths(paths)) {
        let toolchains = env::var_os("RUSTUP_HOME").unwrap_or_else(|| home.join(".rustup").into());
        for (name, value) in [("PATH", paths), ("RUSTUP_HOME", toolchains)] {
            // SAFETY: called at the start of the program, which has a single thread then.
            unsafe { env::set_var(name, value) };
        }
    }
}

/// The program, to be run as root.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    let sudo = Command::new("sudo").arg("--version").stdout(Stdio::null()).status();
    if sudo.is_err() {
        bail!("this needs root, and there is no sudo; run it as root");
    }
    let mut command = Command::new("sudo");
    command.arg("--").arg(program);
    Ok(command)
}

/// The program, to be run as the owner of the Rust installation: under `sudo cargo xtask` root
/// would leave files of its own in a user's `~/.cargo`, which the user could not change any more.
pub(crate) fn as_rust_owner(program: &str) -> Command {
    let owner = env::var_os("CARGO")
        .and_then(|cargo| fs::metadata(Path::new(&cargo)).ok())
        .map_or(0, |cargo| cargo.uid());
    if !is_root() || owner == 0 {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("--set-home").arg("--user").arg(format!("#{owner}")).args(["--", "env"]);
    for name in ["PATH", "CARGO_HOME", "RUSTUP_HOME", "LLVM_PREFIX"] {
        if let Some(value) = env::var_os(name) {
            let mut assignment = std::ffi::OsString::from(name);
            assignment.push("=");
            assignment.push(value);
            command.arg(assignment);
        }
    }
    command.arg(program);
    command
}
