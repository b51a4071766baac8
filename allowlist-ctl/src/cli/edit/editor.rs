//! The editor of whoever runs a command.

use std::{
    env,
    io::{self, IsTerminal as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, ExitStatus},
};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::cli::error::Error;

/// The command of the editor: that of `$VISUAL`, else of `$EDITOR`, else one that the system has.
pub(in crate::cli) fn find_editor() -> Option<String> {
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| env::var(name).ok());
    let named = named.into_iter().find(|command| !command.trim().is_empty());
    named.or_else(|| ["editor", "vi"].into_iter().find(|name| is_there(name)).map(str::to_owned))
}

fn is_there(program: &str) -> bool {
    const EXECUTABLE: u32 = 0o111;
    let directories = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&directories).any(|directory| {
        let metadata = directory.join(program).metadata();
        metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & EXECUTABLE != 0)
    })
}

/// Runs an editor on a file, and waits for its end.
///
/// # Errors
/// [`Error::NoEditor`], [`Error::Editor`]
pub(super) fn run(editor: Option<&str>, file: &Path) -> Result<(), Error> {
    let command = editor.ok_or(Error::NoEditor)?;
    let failed = |reason: String| Error::Editor { command: command.to_owned(), reason };
    let status = wait(command, file).map_err(|error| failed(format!("cannot be run: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        // What a shell says of a command that it cannot run.
        Some(126 | 127) => Err(failed("cannot be run".to_owned())),
        _ => Err(failed(format!("ended with {status}"))),
    }
}

fn wait(command: &str, file: &Path) -> io::Result<ExitStatus> {
    // A command may have arguments, as in "code --wait", and the shell tells them apart.
    let mut shell = Command::new("/bin/sh");
    // Keys that interrupt the editor do not end the shell before it.
    shell.arg("-c").arg(format!("trap : INT QUIT; {command} \"$@\"")).arg(command).arg(file);
    if !io::stdout().is_terminal() {
        // What this program prints goes elsewhere, and the editor belongs on the terminal.
        shell.stdout(io::stderr());
    }
    let _deaf = Deaf::new()?;
    shell.status()
}

/// While it lives, keys that interrupt the editor do not end this process.
struct Deaf([(Signal, SigAction); 2]);

impl Deaf {
    fn new() -> io::Result<Self> {
        extern "C" fn nothing(_: libc::c_int) {}
        // A handler, for a new program does not inherit it as it would the ignoring of a signal.
        let deaf =
            SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
        let make = |signal| -> io::Result<(Signal, SigAction)> {
            // SAFETY: the handler does nothing, which may be done at any moment.
            Ok((signal, unsafe { sigaction(signal, &deaf) }?))
        };
        Ok(Self([make(Signal::SIGINT)?, make(Signal::SIGQUIT)?]))
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        for (signal, before) in &self.0 {
            // SAFETY: this is the action that was in force before.
            let restored = unsafe { sigaction(*signal, before) };
            debug_assert!(restored.is_ok(), "{restored:?}");
        }
    }
}
