//! How a command ends, for scripts to tell.

use std::process::ExitCode;

use crate::api::ErrorCode;

/// The exit codes of `allowlist-ctl`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// It failed; so does a file with a line that cannot be read.
    Failed = 1,
    /// An argument is missing, unknown or cannot be read.
    Usage = 2,
    /// No daemon answers at the socket.
    NoDaemon = 3,
    /// The caller's role does not allow it, or the socket may not be opened.
    Forbidden = 4,
    /// A guard refused, or a question was not answered with yes.
    Guarded = 5,
    /// Something that was named does not exist.
    NotFound = 6,
    /// The policy has moved on.
    RevisionConflict = 7,
    /// `check` says that a packet would be dropped, or that an assertion does not hold.
    Dropped = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Invalid => Self::Usage,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::Forbidden => Self::Forbidden,
            ErrorCode::Guarded | ErrorCode::Unconfirmed | ErrorCode::Pending | ErrorCode::InUse => {
                Self::Guarded
            }
            ErrorCode::RevisionConflict => Self::RevisionConflict,
            ErrorCode::InvalidLines
            | ErrorCode::Conflict
            | ErrorCode::TooLarge
            | ErrorCode::Timeout
            | ErrorCode::Failed => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_problem_has_its_exit_code() {
        let table = [
            (ErrorCode::Invalid, 2),
            (ErrorCode::InvalidLines, 1),
            (ErrorCode::NotFound, 6),
            (ErrorCode::Forbidden, 4),
            (ErrorCode::Guarded, 5),
            (ErrorCode::Unconfirmed, 5),
            (ErrorCode::Pending, 5),
            (ErrorCode::InUse, 5),
            (ErrorCode::RevisionConflict, 7),
            (ErrorCode::Conflict, 1),
            (ErrorCode::TooLarge, 1),
            (ErrorCode::Timeout, 1),
            (ErrorCode::Failed, 1),
        ];
        for (code, exit) in table {
            assert_eq!(Exit::from(code) as u8, exit, "{code:?}");
        }
        assert_eq!([Exit::Done as u8, Exit::NoDaemon as u8], [0, 3]);
    }
}
