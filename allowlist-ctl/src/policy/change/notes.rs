//! What an operator should know about single entries of a change.

use std::{collections::BTreeSet, fmt, sync::Arc};

use jiff::Timestamp;

use super::Outcome;
use crate::policy::{Entry, EntryKey, Kind, Name, Policy, Service, Sources, entry::NewEntry};

/// So many of a command's entries are compared with the excepts there are.
const COMPARED: usize = 1000;
/// So many services are asked what they except.
const SERVICES: usize = 100;

/// Something to know about an entry of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// It was there, and something about it is new.
    Updated {
        /// The entry.
        key: EntryKey,
        /// Whether its comment is.
        comment: bool,
        /// Its end, where that is new.
        end: Option<Option<Timestamp>>,
    },
    /// It was there, just so.
    Unchanged(EntryKey),
    /// An except denies part of it, or all.
    Excepted {
        /// The entry.
        key: EntryKey,
        /// The except.
        except: EntryKey,
        /// The list of the except.
        list: Name,
    },
}

impl Note {
    /// What is new about an entry that was there.
    pub(super) fn of_update(key: EntryKey, before: &Entry, after: &Entry) -> Self {
        let comment = before.comment != after.comment;
        let end = (before.expires_at != after.expires_at).then_some(after.expires_at);
        if comment || end.is_some() {
            Self::Updated { key, comment, end }
        } else {
            Self::Unchanged(key)
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Updated { key, comment, end } => {
                write!(f, "{key} was there already: ")?;
                match (comment, end) {
                    (true, None) => f.write_str("its comment is new"),
                    (_, Some(end)) => {
                        let comment = if *comment { "its comment is new, and " } else { "" };
                        match end {
                            Some(end) => write!(f, "{comment}it ends at {end}"),
                            None => write!(f, "{comment}it no longer ends"),
                        }
                    }
                    (false, None) => f.write_str("nothing about it is new"),
                }
            }
            Self::Unchanged(key) => write!(f, "{key} was there already"),
            Self::Excepted { key, except, list } if key.prefix == except.prefix => {
                write!(f, "{key} has no effect: {except} of {list} wins on a tie")
            }
            Self::Excepted { key, except, list } => {
                write!(f, "{except} of {list} still denies part of {key}")
            }
        }
    }
}

/// Notes the excepts that deny part of what was allowed, in whichever list they are.
pub(super) fn tell_excepts(
    outcome: &mut Outcome,
    name: &Name,
    entries: &[NewEntry],
    now: Timestamp,
) {
    let policy = &outcome.policy;
    let own: BTreeSet<EntryKey> = entries.iter().map(|new| new.key).collect();
    let sources: Vec<Sources> =
        affected(policy, name).take(SERVICES).map(|service| policy.sources(service)).collect();
    let allowed = own.iter().filter(|key| key.kind == Kind::Allow).take(COMPARED);
    let mut told = BTreeSet::new();
    for key in allowed {
        for (list, except) in
            sources.iter().flat_map(|sources| sources.excepts_within(key.prefix, now))
        {
            if own.contains(except) || !told.insert((*key, list, *except)) {
                continue;
            }
            if let Some(list) = policy.list_name(list).cloned() {
                outcome.notes.push(Note::Excepted { key: *key, except: *except, list });
            }
        }
    }
}

/// The services whose sources a list decides about.
fn affected<'a>(policy: &'a Policy, name: &Name) -> impl Iterator<Item = &'a Arc<Service>> {
    let mut names = policy.including(name);
    names.push(name.clone());
    names.into_iter().filter_map(|name| policy.services.get(&name))
}
