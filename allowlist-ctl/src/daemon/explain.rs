//! What went wrong inside, in the form that callers get.

use crate::{
    api::{ErrorCode, Problem},
    kernel::{AttachError, SyncError, WatchError},
    policy::{
        Unknown,
        change::{Change, Refusal},
    },
    store::StoreError,
};

/// A change in the words of its command.
pub(super) fn in_words(change: &Change) -> String {
    match change {
        Change::SetMode { name, mode } => format!("mode {name} {}", mode.word()),
        Change::Restore(policy) => format!("rollback to {}", policy.revision),
        _ => match change.name() {
            Some(name) => format!("{} {name}", change.verb()),
            None => change.verb().to_owned(),
        },
    }
}

/// Why a change is refused; what is wrong in a document is so as a bad line of it is.
pub(super) fn explain_change(change: &Change, refusal: &Refusal) -> Problem {
    let problem = explain_refusal(refusal);
    match (change, problem.code) {
        (Change::Apply(_), ErrorCode::Invalid | ErrorCode::NotFound) => {
            Problem { code: ErrorCode::InvalidLines, hint: None, ..problem }
                .hint("correct the policy that is to be applied, and try again")
        }
        _ => problem,
    }
}

pub(super) fn explain_refusal(refusal: &Refusal) -> Problem {
    let unknown = match refusal {
        Refusal::NoSuchService(name) | Refusal::NoSuchGroup(name) | Refusal::NoSuchList(name) => {
            Some(name)
        }
        _ => None,
    };
    if unknown.is_some_and(Unknown::has_near) {
        return Problem::new(ErrorCode::NotFound, refusal);
    }
    let (code, hint) = match refusal {
        Refusal::NoSuchService(_) => {
            (ErrorCode::NotFound, "`allowlist-ctl protect NAME PORT` makes one")
        }
        Refusal::NoSuchGroup(_) => (ErrorCode::NotFound, "`allowlist-ctl group NAME` makes one"),
        Refusal::NoSuchList(_) => (
            ErrorCode::NotFound,
            "`allowlist-ctl protect NAME PORT` makes a service, `allowlist-ctl group NAME` a group",
        ),
        Refusal::IsGroup(_) | Refusal::IsService(_) => (ErrorCode::Conflict, "choose another name"),
        Refusal::BuiltIn(_) => (ErrorCode::Conflict, "`allowlist-ctl remove` removes its entries"),
        Refusal::GroupInUse { .. } => (
            ErrorCode::InUse,
            "take it out of them first: `allowlist-ctl protect NAME PORT --include` names the groups that stay, or 'none'",
        ),
        Refusal::NoSuchEntries { .. } => {
            (ErrorCode::NotFound, "nothing was changed; `allowlist-ctl list` shows the entries")
        }
        Refusal::EntriesOfFile { .. } => {
            (ErrorCode::NotFound, "nothing was changed; take it out of the file")
        }
        Refusal::NoPorts(_) => (ErrorCode::Invalid, "name its ports, such as tcp/6379"),
        Refusal::PortTaken { .. } => (
            ErrorCode::Conflict,
            "a port belongs to one service: leave it out, or limit the services to different interfaces or addresses",
        ),
        Refusal::TooManyServices(_) => {
            (ErrorCode::Conflict, "a service can have many ports: put some together")
        }
        Refusal::TooManyGroups(_) => (ErrorCode::Conflict, "put some together"),
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
        // It says what to do itself.
        SyncError::OverBudget(_) => return Problem::new(ErrorCode::Failed, error),
        SyncError::Refused(_) | SyncError::HalfDone(_) => {
            "see to the memory of the host, and try again"
        }
    };
    Problem::new(ErrorCode::Failed, error).hint(hint)
}

pub(super) fn explain_watch(error: &WatchError) -> Problem {
    match error {
        WatchError::Sync(error) => explain_sync(error),
        WatchError::Load(_) => Problem::new(ErrorCode::Failed, error),
    }
}

/// Why the filter cannot be put on an interface; `known` are those there are.
pub(super) fn explain_attach<'a>(
    error: &AttachError,
    known: impl IntoIterator<Item = &'a str>,
) -> Problem {
    match error {
        AttachError::NoSuchInterface(name) => {
            let unknown = Unknown::among(name, known);
            let problem =
                Problem::new(ErrorCode::NotFound, format!("there is no interface {unknown}"));
            if unknown.has_near() {
                problem
            } else {
                problem.hint("`ip link` shows the interfaces there are")
            }
        }
        AttachError::Sync(error) => explain_sync(error),
        AttachError::Netlink(_) | AttachError::Pin { .. } => Problem::new(ErrorCode::Failed, error),
        _ => Problem::new(ErrorCode::Conflict, error),
    }
}
