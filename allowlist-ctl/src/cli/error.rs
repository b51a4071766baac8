//! Why a command did not do what was asked.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use serde::Serialize;

use super::{
    console::{Console, Style, clean},
    exit::Exit,
};
use crate::api::{ErrorCode, Problem};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Arguments that cannot be read: at least one.
    #[error("{}", count_unless_one(.0))]
    Usage(Vec<String>),
    /// The file of a list.
    #[error(transparent)]
    File(#[from] super::file::FileError),
    /// Nobody listens at the socket.
    #[error("no daemon answers at {}", .0.display())]
    NoDaemon(PathBuf),
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
    /// What was followed came to its end.
    #[error("the daemon no longer tells of dropped packets")]
    Ended,
    /// The question was not answered with yes.
    #[error("not confirmed, nothing was changed")]
    Declined,
    /// Output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// This process could not be set up.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

fn count_unless_one(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        more => format!("{} arguments cannot be read", more.len()),
    }
}

impl Error {
    /// How the command ends with it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoDaemon(_) => Exit::NoDaemon,
            Self::MayNotOpen { .. } => Exit::Forbidden,
            Self::Declined => Exit::Guarded,
            Self::Refused(problem) => problem.code.into(),
            Self::File(_)
            | Self::Socket { .. }
            | Self::Broken { .. }
            | Self::Unreadable(_)
            | Self::Ended
            | Self::Output(_)
            | Self::Start(_) => Exit::Failed,
        }
    }

    /// What to do next.
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDaemon(_) => {
                Some("start allowlistd, or give its socket with --socket".to_owned())
            }
            Self::MayNotOpen { group: Some(group), .. } => {
                Some(format!("run it with sudo, or ask for membership of the group '{group}'"))
            }
            Self::MayNotOpen { group: None, .. } => Some("run it with sudo".to_owned()),
            Self::Broken { .. } => Some(
                "see whether allowlistd listens there, and with `allowlist-ctl status` what is in force"
                    .to_owned(),
            ),
            Self::Ended => {
                Some("see with `allowlist-ctl status` whether it runs, and follow again".to_owned())
            }
            Self::Unreadable(_) => {
                Some("install allowlist-ctl and allowlistd of the same version".to_owned())
            }
            Self::Refused(problem) => problem.hint.clone().or_else(|| match problem.code {
                ErrorCode::Unconfirmed => Some("--yes does it without asking".to_owned()),
                ErrorCode::Guarded => Some("--force does it all the same".to_owned()),
                ErrorCode::TooLarge => Some("give fewer entries at once".to_owned()),
                _ => None,
            }),
            _ => None,
        }
    }

    /// Single things that are wrong.
    fn details(&self) -> &[String] {
        match self {
            Self::Usage(problems) if problems.len() > 1 => problems,
            Self::Refused(problem) => &problem.details,
            _ => &[],
        }
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
        match self.hint() {
            Some(hint) => {
                writeln!(out, "{} {}", paint.paint(Style::Heading, "hint:"), clean(&hint))
            }
            None => Ok(()),
        }
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let document = Document {
            error: DocumentError {
                code: self.code(),
                message: self.to_string(),
                hint: self.hint(),
                details: self.details(),
                revision: match self {
                    Self::Refused(problem) => problem.revision,
                    _ => None,
                },
            },
        };
        serde_json::to_writer(&mut *out, &document)?;
        writeln!(out)
    }

    fn code(&self) -> Code {
        match self {
            Self::Refused(problem) => Code::Api(problem.code),
            Self::Usage(_) => Code::Api(ErrorCode::Invalid),
            Self::MayNotOpen { .. } => Code::Api(ErrorCode::Forbidden),
            Self::Declined => Code::Api(ErrorCode::Unconfirmed),
            Self::NoDaemon(_) => Code::Own("no_daemon"),
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
mod tests {
    use super::*;
    use crate::{api::Failure, cli::testing::Screen};

    fn told(error: &Error, json: bool) -> String {
        let mut screen = Screen::default();
        error.tell(json, &mut screen.console());
        screen.stderr()
    }

    #[test]
    fn an_error_is_a_sentence_and_what_to_do() {
        let table = [
            (
                Error::NoDaemon("/run/x.sock".into()),
                3,
                "error: no daemon answers at /run/x.sock\n\
                 hint: start allowlistd, or give its socket with --socket\n",
            ),
            (
                Error::Usage(vec!["one".into(), "two".into()]),
                2,
                "error: 2 arguments cannot be read\n  one\n  two\n",
            ),
            (Error::Usage(vec!["one".into()]), 2, "error: one\n"),
            (
                Error::MayNotOpen {
                    user: "eve (uid 1001)".into(),
                    socket: "/s".into(),
                    group: Some("allowlist".into()),
                },
                4,
                "error: eve (uid 1001) may not open the daemon's socket /s\n\
                 hint: run it with sudo, or ask for membership of the group 'allowlist'\n",
            ),
            (
                Error::Refused(Problem::new(ErrorCode::Unconfirmed, "everyone gets in.")),
                5,
                "error: everyone gets in\nhint: --yes does it without asking\n",
            ),
            (
                Error::Refused(Problem {
                    details: vec!["line 1: bad".into(), "line 2: \x1b[2J".into()],
                    ..Problem::new(ErrorCode::InvalidLines, "2 lines cannot be read")
                }),
                1,
                "error: 2 lines cannot be read\n  line 1: bad\n  line 2: \\u{1b}[2J\n",
            ),
            (
                Error::Ended,
                1,
                "error: the daemon no longer tells of dropped packets\n\
                 hint: see with `allowlist-ctl status` whether it runs, and follow again\n",
            ),
            (Error::Declined, 5, "error: not confirmed, nothing was changed\n"),
        ];
        for (error, exit, expected) in table {
            assert_eq!(told(&error, false), expected);
            assert_eq!(error.exit() as u8, exit, "{expected}");
        }
    }

    #[test]
    fn an_error_as_json_is_the_document_of_the_daemon() {
        let problem =
            Problem { revision: Some(3), ..Problem::new(ErrorCode::Unconfirmed, "m") }.hint("h");
        let document = told(&Error::Refused(problem.clone()), true);
        assert_eq!(serde_json::from_str::<Failure>(&document).unwrap(), Failure { error: problem });
        assert_eq!(
            told(&Error::NoDaemon("/s".into()), true),
            "{\"error\":{\"code\":\"no_daemon\",\"message\":\"no daemon answers at /s\",\
             \"hint\":\"start allowlistd, or give its socket with --socket\"}}\n"
        );
    }
}
