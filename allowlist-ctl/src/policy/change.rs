//! Changes: functions from one policy to the next.

mod edit;

use std::{collections::BTreeSet, fmt, sync::Arc};

use allowlist_common::abi::SERVICES;
use jiff::Timestamp;

use self::edit::edit;
use super::{
    Author, EntryKey, Name, Policy, Prefix, Service,
    entry::NewEntry,
    port::Ports,
    service::{Action, Mode, WhenEmpty},
};

/// A change that somebody asks for.
#[derive(Clone, Debug)]
pub enum Change {
    /// Make a service, or change one.
    Protect {
        /// The service.
        name: Name,
        /// What it is to be.
        settings: Settings,
    },
    /// Switch a service.
    SetMode {
        /// The service.
        name: Name,
        /// Its new mode.
        mode: Mode,
    },
    /// Remove a service and its entries.
    Unprotect {
        /// The service.
        name: Name,
    },
    /// Add entries to a list; those that are there get the new comment, where one is given.
    Add {
        /// The list.
        name: Name,
        /// The entries.
        entries: Vec<NewEntry>,
    },
    /// Remove entries from a list.
    Remove {
        /// The list.
        name: Name,
        /// The entries.
        keys: Vec<EntryKey>,
    },
    /// Make the entries of a list exactly these.
    Replace {
        /// The list.
        name: Name,
        /// The entries.
        entries: Vec<NewEntry>,
    },
}

impl Change {
    /// The service or list that is changed.
    #[must_use]
    pub const fn name(&self) -> &Name {
        match self {
            Self::Protect { name, .. }
            | Self::SetMode { name, .. }
            | Self::Unprotect { name }
            | Self::Add { name, .. }
            | Self::Remove { name, .. }
            | Self::Replace { name, .. } => name,
        }
    }
}

/// What a service is to be; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its ports.
    pub ports: BTreeSet<Ports>,
    /// Interfaces it is limited to; an empty set lifts the limit.
    pub interfaces: Option<BTreeSet<String>>,
    /// Destination addresses it is limited to; an empty set lifts the limit.
    pub addresses: Option<BTreeSet<Prefix>>,
    /// Its mode.
    pub mode: Option<Mode>,
    /// How denied packets are dropped.
    pub action: Option<Action>,
    /// What happens without entries.
    pub when_empty: Option<WhenEmpty>,
}

/// The policy after a change, and what the change did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The next policy; the old one where nothing changed.
    pub policy: Policy,
    /// What happened to the entries.
    pub tally: Tally,
    /// What the operator should know about single entries.
    pub notes: Vec<Note>,
}

/// What happened to entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// New entries.
    pub added: usize,
    /// Entries with a new comment.
    pub updated: usize,
    /// Entries that were there already, just so.
    pub unchanged: usize,
    /// Entries that are gone.
    pub removed: usize,
}

/// Something to know about an entry of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// It was there and has a new comment.
    Updated(EntryKey),
    /// It was there, just so.
    Unchanged(EntryKey),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Updated(key) => write!(f, "{key} was there already: its comment is new"),
            Self::Unchanged(key) => write!(f, "{key} was there already"),
        }
    }
}

/// Why a change cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No service or group of that name.
    #[error("there is no service '{0}'")]
    NoSuchService(Name),
    /// Entries that are to be removed are not in the list.
    #[error("'{name}' has no entry {}", join(.keys))]
    NoSuchEntries {
        /// The list.
        name: Name,
        /// The entries that are missing.
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
}

const SHOWN_KEYS: usize = 5;

fn join(keys: &[EntryKey]) -> String {
    let shown: Vec<String> = keys.iter().take(SHOWN_KEYS).map(ToString::to_string).collect();
    let more = keys.len().saturating_sub(SHOWN_KEYS);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &tail
}

/// Something about a change that has to be forced.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Hazard {
    /// An entry admits, or denies, the whole Internet.
    #[error("{0} covers every address there is")]
    EveryAddress(EntryKey),
    /// A service would be left with excepts only, and deny everyone.
    #[error("'{0}' would have nothing but excepts and admit no one")]
    NothingButExcepts(Name),
}

/// Makes a change.
///
/// # Errors
/// [`Refusal`]; nothing is changed then.
pub fn apply(
    policy: &Policy,
    change: &Change,
    author: &Arc<Author>,
    now: Timestamp,
) -> Result<Outcome, Refusal> {
    let mut outcome =
        Outcome { policy: policy.clone(), tally: Tally::default(), notes: Vec::new() };
    let changed = match change {
        Change::Protect { name, settings } => protect(&mut outcome.policy, name, settings)?,
        Change::SetMode { name, mode } => set_mode(&mut outcome.policy, name, *mode)?,
        Change::Unprotect { name } => unprotect(&mut outcome, name)?,
        Change::Add { name, entries } => edit(&mut outcome, name, |edit| {
            for new in entries {
                edit.add(new, author, now);
            }
            Ok(())
        })?,
        Change::Remove { name, keys } => edit(&mut outcome, name, |edit| edit.remove(name, keys))?,
        Change::Replace { name, entries } => edit(&mut outcome, name, |edit| {
            edit.replace(entries, author, now);
            Ok(())
        })?,
    };
    if changed {
        outcome.policy.revision += 1;
    }
    Ok(outcome)
}

/// What about a change from `policy` to `next` has to be forced.
#[must_use]
pub fn hazards(policy: &Policy, next: &Policy, change: &Change) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if let Change::Add { name, entries } | Change::Replace { name, entries } = change {
        let known = policy.services.get(name);
        let is_new = |key| known.is_none_or(|service| service.entries.get(key).is_none());
        let keys: BTreeSet<EntryKey> = entries.iter().map(|new| new.key).collect();
        let everything = keys.iter().filter(|key| key.prefix.is_default() && is_new(key));
        hazards.extend(everything.map(|key| Hazard::EveryAddress(*key)));
    }
    for (name, service) in &next.services {
        let before = policy.services.get(name);
        if before.is_some_and(|before| Arc::ptr_eq(before, service)) {
            continue;
        }
        let was = before.is_some_and(|before| before.entries.is_nothing_but_excepts());
        if service.entries.is_nothing_but_excepts() && !was {
            hazards.push(Hazard::NothingButExcepts(name.clone()));
        }
    }
    hazards
}

fn protect(policy: &mut Policy, name: &Name, settings: &Settings) -> Result<bool, Refusal> {
    if settings.ports.is_empty() {
        return Err(Refusal::NoPorts(name.clone()));
    }
    let before = policy.services.get(name);
    let mut service = match before {
        Some(service) => Service::clone(service),
        None => Service { number: free_number(policy)?, ..Service::default() },
    };
    service.ports.clone_from(&settings.ports);
    if let Some(interfaces) = &settings.interfaces {
        service.interfaces.clone_from(interfaces);
    }
    if let Some(addresses) = &settings.addresses {
        service.addresses.clone_from(addresses);
    }
    service.mode = settings.mode.unwrap_or(service.mode);
    service.action = settings.action.unwrap_or(service.action);
    service.when_empty = settings.when_empty.unwrap_or(service.when_empty);
    if before.is_some_and(|before| before.is_configured_as(&service)) {
        return Ok(false);
    }
    for (other, its) in policy.services.iter().filter(|(other, _)| *other != name) {
        if let Some((own, its)) = service.shares_a_port_with(its) {
            return Err(Refusal::PortTaken { name: name.clone(), own, other: other.clone(), its });
        }
    }
    policy.services.insert(name.clone(), Arc::new(service));
    Ok(true)
}

fn set_mode(policy: &mut Policy, name: &Name, mode: Mode) -> Result<bool, Refusal> {
    let service = policy.services.get_mut(name);
    let service = service.ok_or_else(|| Refusal::NoSuchService(name.clone()))?;
    if service.mode == mode {
        return Ok(false);
    }
    *service = Arc::new(Service { mode, ..Service::clone(service) });
    Ok(true)
}

/// The lowest service number that is not taken; 0 is no service.
fn free_number(policy: &Policy) -> Result<u16, Refusal> {
    let taken: BTreeSet<u16> = policy.services.values().map(|service| service.number).collect();
    let numbers = 1..u16::try_from(SERVICES).unwrap_or(u16::MAX);
    numbers
        .into_iter()
        .find(|number| !taken.contains(number))
        .ok_or(Refusal::TooManyServices(taken.len()))
}

fn unprotect(outcome: &mut Outcome, name: &Name) -> Result<bool, Refusal> {
    let service = outcome.policy.services.remove(name);
    let service = service.ok_or_else(|| Refusal::NoSuchService(name.clone()))?;
    for (_, entry) in service.entries.iter() {
        outcome.policy.ids.give_back(entry.id);
    }
    outcome.tally.removed = service.entries.len();
    Ok(true)
}

#[cfg(test)]
mod tests;
