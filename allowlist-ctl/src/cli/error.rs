//! Why a command did not do what was asked.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    console::{Console, Style, clean},
    document::InvalidPolicy,
    exit::Exit,
    file::FileError,
    render::cut_lines,
};
use crate::{
    api::{CutConnection, DEFAULT_SOCKET, ErrorCode, Problem},
    policy::Name,
};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Arguments that cannot be read: at least one.
    #[error("{}", count_unless_one(.0))]
    Usage(Vec<String>),
    /// The file of a list.
    #[error(transparent)]
    File(#[from] FileError),
    /// The policy of `apply`.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// Lines of a file that cannot be read.
    #[error("{} of the file cannot be read", if .0.len() == 1 { "a line" } else { "lines" })]
    Lines(Vec<String>),
    /// A packet would be dropped, which was told as what was asked for.
    #[error("a packet would be dropped")]
    Dropped,
    /// Nobody listens at the socket.
    #[error("no daemon answers at {}: {}", socket.display(), why.told())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// What is there instead.
        why: Absence,
    },
    /// Somebody else listens at the socket.
    #[error("what answers at {} is not allowlistd: {said}", socket.display())]
    Stranger {
        /// The socket.
        socket: PathBuf,
        /// What it says.
        said: String,
    },
    /// The socket may not be opened.
    #[error("{user} may not open the daemon's socket {}", socket.display())]
    MayNotOpen {
        /// The caller.
        user: String,
        /// The socket.
        socket: PathBuf,
        /// The group that may open it, where there is one.
        group: Option<String>,
    },
    /// The socket could not be opened for another reason.
    #[error("cannot open the socket {}: {source}", socket.display())]
    Socket {
        /// The socket.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What answered broke off, or does not speak HTTP.
    #[error("no proper answer came from {}: {reason}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// An answer in another form than this version knows.
    #[error("the daemon's answer cannot be read: {0}")]
    Unreadable(String),
    /// The daemon's refusal.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The audit trail is not what was written.
    #[error("the audit trail is not as it was written")]
    Altered,
    /// What was followed came to its end.
    #[error("the daemon no longer tells of dropped packets")]
    Ended,
    /// The question was not answered with yes.
    #[error("not confirmed, nothing was changed")]
    Declined,
    /// There is no editor.
    #[error("no editor was found; nothing was changed")]
    NoEditor,
    /// The editor failed.
    #[error("the editor '{command}' {reason}; nothing was changed")]
    Editor {
        /// Its command.
        command: String,
        /// How it failed.
        reason: String,
    },
    /// The file for the editor could not be made.
    #[error("cannot make a file for the editor: {0}")]
    Buffer(#[source] io::Error),
    /// A text was not taken for another reason, and is kept.
    #[error("{error}")]
    Kept {
        /// The reason.
        error: Box<Self>,
        /// The list whose entries the text has.
        list: Name,
        /// The file with the text.
        file: PathBuf,
    },
    /// Output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The terminal could not be used.
    #[error("cannot use the terminal: {0}")]
    Screen(#[source] io::Error),
    /// This process could not be set up.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

/// What is there where a daemon should listen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Absence {
    /// Nothing.
    Missing,
    /// The socket of a daemon that ended without taking it away.
    Deserted,
    /// A file or directory.
    NoSocket,
    /// A socket for datagrams, say.
    OtherKind,
}

impl Absence {
    const fn told(self) -> &'static str {
        match self {
            Self::Missing => "there is no such file",
            Self::Deserted => "its socket is there, but nobody listens",
            Self::NoSocket => "that is no socket",
            Self::OtherKind => "that is a socket of another kind",
        }
    }

    /// What to do next.
    fn hint(self) -> String {
        match self {
            Self::Missing => "start allowlistd, or give its socket with --socket".to_owned(),
            Self::Deserted => {
                "start allowlistd; its log, as in `journalctl -u allowlistd`, says why it ended"
                    .to_owned()
            }
            Self::NoSocket | Self::OtherKind => give_the_socket(),
        }
    }
}

fn give_the_socket() -> String {
    format!("give the socket of allowlistd with --socket; it is {DEFAULT_SOCKET} unless configured")
}

fn count_unless_one(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        more => format!("{} arguments cannot be read", more.len()),
    }
}

/// What to do next with a text that was not taken.
fn hint_of_kept(error: &Error, list: &Name, file: &Path) -> String {
    let file = file.display();
    if error.exit() == Exit::RevisionConflict {
        return format!(
            "your text is in {file}: see what has changed with `allowlist-ctl list {list}`, and edit again"
        );
    }
    let first = error.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
    format!("{first}your text is in {file}: `allowlist-ctl replace {list} -f {file}` takes it")
}

impl Error {
    /// How the command ends with it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoDaemon { .. } | Self::Stranger { .. } => Exit::NoDaemon,
            Self::MayNotOpen { .. } => Exit::Forbidden,
            Self::Declined => Exit::Guarded,
            Self::Refused(problem) => problem.code.into(),
            Self::Kept { error, .. } => error.exit(),
            Self::Dropped => Exit::Dropped,
            Self::Lines(_)
            | Self::File(_)
            | Self::Policy(_)
            | Self::NoEditor
            | Self::Editor { .. }
            | Self::Buffer(_)
            | Self::Socket { .. }
            | Self::Broken { .. }
            | Self::Unreadable(_)
            | Self::Altered
            | Self::Ended
            | Self::Output(_)
            | Self::Screen(_)
            | Self::Start(_) => Exit::Failed,
        }
    }

    /// What to do next.
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDaemon { why, .. } => Some(why.hint()),
            Self::Stranger { .. } => Some(give_the_socket()),
            Self::MayNotOpen { group: Some(group), .. } => {
                Some(format!("run it with sudo, or ask for membership of the group '{group}'"))
            }
            Self::MayNotOpen { group: None, .. } => Some("run it with sudo".to_owned()),
            Self::Broken { .. } => Some(
                "see whether allowlistd listens there, and with `allowlist-ctl status` what is in force"
                    .to_owned(),
            ),
            Self::Altered => Some(
                "compare with the hashes in the daemon's log, and see who may write its database"
                    .to_owned(),
            ),
            Self::Ended => {
                Some("see with `allowlist-ctl status` whether it runs, and follow again".to_owned())
            }
            Self::Unreadable(_) => {
                Some("install allowlist-ctl and allowlistd of the same version".to_owned())
            }
            Self::NoEditor => {
                Some("set the environment variable VISUAL or EDITOR to the command of one".to_owned())
            }
            Self::Kept { error, list, file } => Some(hint_of_kept(error, list, file)),
            Self::Refused(problem) => problem.hint.clone().or_else(|| match problem.code {
                ErrorCode::Unconfirmed => Some("--yes does it without asking".to_owned()),
                ErrorCode::Guarded => Some("--force does it all the same".to_owned()),
                ErrorCode::TooLarge => Some("give fewer entries at once".to_owned()),
                ErrorCode::InvalidLines => Some("correct that, and run it again".to_owned()),
                ErrorCode::RevisionConflict => Some(
                    "see with `allowlist-ctl revisions` what has changed, and try again".to_owned(),
                ),
                _ => None,
            }),
            Self::Lines(_) | Self::Policy(_) | Self::File(FileError::Encoding { .. }) => {
                Some("correct that, and run it again".to_owned())
            }
            Self::File(FileError::Read { .. }) => {
                Some("give a file that is there and that you may read".to_owned())
            }
            Self::File(FileError::TooLarge { .. }) => {
                Some("a list can be split: put a part of it into a group that the service includes".to_owned())
            }
            _ => None,
        }
    }

    /// Single things that are wrong.
    fn details(&self) -> &[String] {
        match self {
            Self::Usage(problems) if problems.len() > 1 => problems,
            Self::Refused(problem) => &problem.details,
            Self::Lines(wrong) | Self::Policy(InvalidPolicy::Entries { wrong, .. }) => wrong,
            Self::Kept { error, .. } => error.details(),
            _ => &[],
        }
    }

    /// What the daemon says of it, where it is the daemon's refusal.
    fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            Self::Kept { error, .. } => error.problem(),
            _ => None,
        }
    }

    /// Connections that it would have cut.
    fn cuts(&self) -> &[CutConnection] {
        self.problem().map_or(&[], |problem| &problem.cuts)
    }

    /// All that there is to say of it, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let message = self.to_string().trim_end_matches('.').to_owned();
        let hint = self.hint().map(|hint| format!("hint: {hint}"));
        let details = self.details().iter().cloned().chain(cut_lines(self.cuts()));
        [message].into_iter().chain(details.map(|line| format!("  {line}"))).chain(hint).collect()
    }

    /// Tells it on stderr: as sentences, or as the document that the daemon's refusals are.
    pub(super) fn tell(&self, json: bool, console: &mut Console<'_>) {
        // Nobody is left to tell where stderr is gone; the exit code still says it.
        let _: io::Result<()> =
            if json { self.write_json(console.stderr) } else { self.write_text(console) };
    }

    fn write_text(&self, console: &mut Console<'_>) -> io::Result<()> {
        let paint = console.stderr_paint;
        let out = &mut *console.stderr;
        let message = self.to_string();
        let message = clean(message.trim_end_matches('.'));
        writeln!(out, "{} {message}", paint.paint(Style::Error, "error:"))?;
        for detail in self.details() {
            writeln!(out, "  {}", clean(detail))?;
        }
        for cut in cut_lines(self.cuts()) {
            writeln!(out, "  {}", clean(&cut))?;
        }
        match self.hint() {
            Some(hint) => {
                writeln!(out, "{} {}", paint.paint(Style::Heading, "hint:"), clean(&hint))
            }
            None => Ok(()),
        }
    }

    /// The document that the daemon's refusals are.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let document = Document {
            error: DocumentError {
                code: self.code(),
                message: self.to_string(),
                hint: self.hint(),
                details: self.details(),
                cuts: self.cuts(),
                revision: self.problem().and_then(|problem| problem.revision),
            },
        };
        serde_json::to_writer(&mut *out, &document)?;
        writeln!(out)
    }

    fn code(&self) -> Code {
        match self {
            Self::Refused(problem) => Code::Api(problem.code),
            Self::Lines(_) | Self::Policy(_) => Code::Api(ErrorCode::InvalidLines),
            Self::Kept { error, .. } => error.code(),
            Self::Usage(_) => Code::Api(ErrorCode::Invalid),
            Self::MayNotOpen { .. } => Code::Api(ErrorCode::Forbidden),
            Self::Declined => Code::Api(ErrorCode::Unconfirmed),
            Self::NoDaemon { .. } | Self::Stranger { .. } => Code::Own("no_daemon"),
            _ => Code::Api(ErrorCode::Failed),
        }
    }
}

/// [`crate::api::Failure`], with one code more than the daemon has.
#[derive(Serialize)]
struct Document<'a> {
    error: DocumentError<'a>,
}

#[derive(Serialize)]
struct DocumentError<'a> {
    code: Code,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    details: &'a [String],
    #[serde(skip_serializing_if = "<[CutConnection]>::is_empty")]
    cuts: &'a [CutConnection],
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Code {
    Api(ErrorCode),
    Own(&'static str),
}

#[cfg(test)]
mod tests;
