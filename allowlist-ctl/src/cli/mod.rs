//! The command line: what was typed, the request that it means, the reply as text.
//!
//! What was typed ([`args`]) is read into what it means ([`request`]), sent over the socket ([`client`]) and
//! rendered ([`render`]). Data go to stdout, everything else to stderr; [`exit`] says how it ended.

mod args;
mod check;
mod client;
mod complete;
mod console;
mod document;
mod edit;
mod error;
mod events;
mod exit;
mod file;
mod follow;
mod interrupt;
mod learn;
mod render;
mod request;
mod run;
mod session;
mod table;
#[cfg(test)]
mod testing;
mod top;
mod trial;
mod watch;
mod when;

use std::{
    env,
    io::{self, BufWriter, IsTerminal as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser as _, ValueEnum as _};

use self::{
    args::Args,
    console::{Console, Paint},
    error::Error,
    exit::Exit,
};

/// The commands and options, for manual pages and the like.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// Writes the completions of a shell, by its name: `bash`, `zsh` or `fish`.
///
/// # Errors
/// What the writer answered, or that there is no such shell.
pub fn completions(shell: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let shell = args::Shell::from_str(shell, false).map_err(io::Error::other)?;
    complete::script(shell, out)
}

/// Tells why arguments were not read, or the help that was asked for.
fn unread(error: &clap::Error) -> Exit {
    // Help that nobody reads any more is no failure.
    if !error.use_stderr() {
        let _: io::Result<()> = error.print();
        return Exit::Done;
    }
    if env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let told = text.strip_prefix("error: ").unwrap_or(&text).trim().to_owned();
        let _: io::Result<()> = Error::Usage(vec![told]).write_json(&mut io::stderr());
    } else {
        let _: io::Result<()> = error.print();
    }
    Exit::Usage
}

/// Runs `allowlist-ctl` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    complete::answer();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return unread(&error).into(),
    };
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let mut console = Console {
        editor: edit::find_editor(),
        session: session::ssh_session,
        is_asked: stdin.is_terminal() && stderr.is_terminal(),
        has_screen: stdin.is_terminal() && stdout.is_terminal() && console::can_draw(),
        is_terminal: stdout.is_terminal(),
        paint: Paint::for_terminal(stdout.is_terminal()),
        stderr_paint: Paint::for_terminal(stderr.is_terminal()),
        stdin: &mut stdin.lock(),
        stdout: &mut BufWriter::with_capacity(1 << 16, stdout.lock()),
        stderr: &mut stderr.lock(),
    };
    run::run(&args, &mut console).into()
}
