//! A user without any rights.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
};

use anyhow::{Context as _, Result};

/// Its user id on Debian.
pub(crate) const NOBODY: u32 = 65534;

/// Runs the closure on a thread of its own that acts as nobody. What it opens stays nobody's.
pub(crate) fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let become_nobody = || {
        // SAFETY: setresuid(2) takes plain numbers. Called directly, and not by libc's function of
        // that name, it changes this new thread only; -1 leaves an id as it is.
        let result = unsafe { libc::syscall(libc::SYS_setresuid, -1, NOBODY, -1) };
        if result != 0 {
            return Err(io::Error::last_os_error()).context("not to be had as nobody; not root?");
        }
        Ok(work())
    };
    thread::scope(|scope| match scope.spawn(become_nobody).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Lets everybody into a directory, and to a copy of a program in it.
pub(crate) fn readable_by_all(directory: &Path, program: &str) -> Result<String> {
    fs::set_permissions(directory, Permissions::from_mode(0o711))?;
    let copy = directory.join("program");
    fs::copy(program, &copy)?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    Ok(copy.display().to_string())
}
