//! What went wrong inside, in the form that callers get.

use crate::{
    api::{ErrorCode, Problem},
    kernel::{AttachError, SyncError},
    policy::change::{Change, Outcome, Refusal},
    store::StoreError,
};

/// A change in the words of the log.
pub(super) fn describe(change: &Change, outcome: &Outcome) -> String {
    let name = change.name();
    let tally = outcome.tally;
    match change {
        Change::Protect { .. } => format!("protect {name}"),
        Change::SetMode { mode, .. } => format!("mode of {name}: {mode:?}").to_lowercase(),
        Change::Unprotect { .. } => format!("unprotect {name}: {} entries removed", tally.removed),
        Change::Add { .. } | Change::Remove { .. } | Change::Replace { .. } => format!(
            "entries of {name}: {} added, {} updated, {} removed",
            tally.added, tally.updated, tally.removed
        ),
    }
}

pub(super) fn explain_refusal(refusal: &Refusal) -> Problem {
    let (code, hint) = match refusal {
        Refusal::NoSuchService(_) => {
            (ErrorCode::NotFound, "`allowlist-ctl protect NAME PORT` makes one")
        }
        Refusal::NoSuchEntries { .. } => {
            (ErrorCode::NotFound, "nothing was changed; `allowlist-ctl list` shows the entries")
        }
        Refusal::NoPorts(_) => (ErrorCode::Invalid, "name its ports, such as tcp/6379"),
        Refusal::PortTaken { .. } => (
            ErrorCode::Conflict,
            "a port belongs to one service: leave it out, or limit the services to different interfaces or addresses",
        ),
        Refusal::TooManyServices(_) => {
            (ErrorCode::Conflict, "a service can have many ports: put some together")
        }
    };
    Problem::new(code, refusal).hint(hint)
}

pub(super) fn explain_store(error: &StoreError) -> Problem {
    Problem::new(ErrorCode::Failed, format!("{error}; nothing was changed"))
        .hint("see to the disk of the state directory, and try again")
}

pub(super) fn explain_sync(error: &SyncError) -> Problem {
    let hint = match error {
        SyncError::TableFull(_) | SyncError::PoolFull => "make the policy smaller",
        SyncError::Refused(_) | SyncError::HalfDone(_) => {
            "see to the memory of the host, and try again"
        }
    };
    Problem::new(ErrorCode::Failed, error).hint(hint)
}

pub(super) fn explain_attach(error: &AttachError) -> Problem {
    match error {
        AttachError::NoSuchInterface(_) => Problem::new(ErrorCode::NotFound, error)
            .hint("`ip link` shows the interfaces there are"),
        AttachError::Sync(error) => explain_sync(error),
        AttachError::Netlink(_) | AttachError::Pin { .. } => Problem::new(ErrorCode::Failed, error),
        _ => Problem::new(ErrorCode::Conflict, error),
    }
}
