//! Why a change cannot be made.

use crate::policy::{EntryKey, Name, Unknown, port::Ports};

/// Why a change cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No service of that name.
    #[error("there is no service {0}")]
    NoSuchService(Unknown),
    /// No group of that name.
    #[error("there is no group {0}")]
    NoSuchGroup(Unknown),
    /// Neither a service nor a group of that name.
    #[error("there is no service or group {0}")]
    NoSuchList(Unknown),
    /// The name is that of a group.
    #[error("'{0}' is a group, and services and groups share their names")]
    IsGroup(Name),
    /// The name is that of a service.
    #[error("'{0}' is a service, and services and groups share their names")]
    IsService(Name),
    /// The built-in group cannot be removed.
    #[error("'{0}' is built in: it can be emptied, not removed")]
    BuiltIn(Name),
    /// Services include the group.
    #[error("the group '{name}' is included by {}", join(.services))]
    GroupInUse {
        /// The group.
        name: Name,
        /// The services.
        services: Vec<Name>,
    },
    /// Entries that are to be removed are not in the list.
    #[error("'{name}' has no entry {}", join(.keys))]
    NoSuchEntries {
        /// The list.
        name: Name,
        /// The entries that are missing.
        keys: Vec<EntryKey>,
    },
    /// Entries that are to be removed come from the file that the group follows.
    #[error("{} of '{name}' comes from the file that it follows", join(.keys))]
    EntriesOfFile {
        /// The group.
        name: Name,
        /// The entries.
        keys: Vec<EntryKey>,
    },
    /// A service without ports.
    #[error("'{0}' needs at least one port, such as tcp/6379")]
    NoPorts(Name),
    /// A port belongs to another service.
    #[error("{own} of '{name}' overlaps {its} of '{other}'")]
    PortTaken {
        /// The service of the change.
        name: Name,
        /// Its port.
        own: Ports,
        /// The other service.
        other: Name,
        /// The other service's port.
        its: Ports,
    },
    /// No number is left for another service.
    #[error("there are {0} services already, and no room for more")]
    TooManyServices(usize),
    /// No number is left for another group.
    #[error("there are {0} groups already, and no room for more")]
    TooManyGroups(usize),
}

const SHOWN: usize = 5;

fn join<T: ToString>(items: &[T]) -> String {
    let shown: Vec<String> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = items.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &tail
}
