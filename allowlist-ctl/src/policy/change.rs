//! Changes: functions from one policy to the next.

mod edit;
mod hazards;
mod notes;
mod refusal;
mod settings;
mod whole;

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

use self::{
    edit::edit,
    settings::{protect, remove_group, set_group, set_mode, unprotect},
    whole::{carry_out, restore},
};
pub use self::{
    hazards::{Hazard, hazards},
    notes::Note,
    refusal::Refusal,
    settings::Settings,
};
use super::{Author, EntryKey, Name, Origin, Policy, entry::NewEntry, plan::Plan, service::Mode};

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
    /// Make a group, or change one.
    SetGroup {
        /// The group.
        name: Name,
        /// The file that it follows, or none; not given: as it is.
        follow: Option<Option<PathBuf>>,
    },
    /// Remove a group and its entries.
    RemoveGroup {
        /// The group.
        name: Name,
    },
    /// Add entries to a list; those that are there get the new end, and the new comment where one is given.
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
    /// Make the entries of a list exactly these, but for those of a file.
    Replace {
        /// The list.
        name: Name,
        /// The entries.
        entries: Vec<NewEntry>,
    },
    /// Make the entries that a group has from its file exactly these.
    Sync {
        /// The group.
        name: Name,
        /// The entries, of origin [`Origin::File`].
        entries: Vec<NewEntry>,
    },
    /// Make the whole policy so.
    Apply(Plan),
    /// Go back to an earlier policy.
    Restore(Policy),
}

impl Change {
    /// The service or group that is changed; `None` where it is everything.
    #[must_use]
    pub const fn name(&self) -> Option<&Name> {
        match self {
            Self::Protect { name, .. }
            | Self::SetMode { name, .. }
            | Self::Unprotect { name }
            | Self::SetGroup { name, .. }
            | Self::RemoveGroup { name }
            | Self::Add { name, .. }
            | Self::Remove { name, .. }
            | Self::Replace { name, .. }
            | Self::Sync { name, .. } => Some(name),
            Self::Apply(_) | Self::Restore(_) => None,
        }
    }

    /// Whether it changes the entries of its list and nothing else.
    #[must_use]
    pub const fn is_of_entries(&self) -> bool {
        matches!(self, Self::Add { .. } | Self::Remove { .. } | Self::Replace { .. })
    }

    /// The command that asks for it.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Protect { .. } => "protect",
            Self::SetMode { .. } => "mode",
            Self::Unprotect { .. } => "unprotect",
            Self::SetGroup { .. } => "group",
            Self::RemoveGroup { .. } => "ungroup",
            Self::Add { .. } => "add",
            Self::Remove { .. } => "remove",
            Self::Replace { .. } => "replace",
            Self::Sync { .. } => "sync",
            Self::Apply(_) => "apply",
            Self::Restore(_) => "rollback",
        }
    }
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
    /// Ids of entries that are back as they were: what they matched meanwhile is somebody else's.
    pub restored: Vec<u32>,
}

/// What happened to entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// New entries.
    pub added: usize,
    /// Entries with a new comment or end.
    pub updated: usize,
    /// Entries that were there already, just so.
    pub unchanged: usize,
    /// Entries that are gone.
    pub removed: usize,
}

impl Tally {
    /// How many entries are not as they were.
    #[must_use]
    pub const fn changed(&self) -> usize {
        self.added + self.updated + self.removed
    }
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
    let mut outcome = Outcome {
        policy: policy.clone(),
        tally: Tally::default(),
        notes: Vec::new(),
        restored: Vec::new(),
    };
    let out = &mut outcome;
    out.policy.ids.pass_time(now);
    let changed = match change {
        Change::Protect { name, settings } => protect(&mut out.policy, name, settings)?,
        Change::SetMode { name, mode } => set_mode(&mut out.policy, name, *mode)?,
        Change::Unprotect { name } => unprotect(out, name)?,
        Change::SetGroup { name, follow } => set_group(out, name, follow.as_ref())?,
        Change::RemoveGroup { name } => remove_group(out, name)?,
        Change::Add { name, entries } => {
            let changed = edit(out, name, |edit| {
                for new in entries {
                    edit.add(new, author, now);
                }
                Ok(())
            })?;
            notes::tell_excepts(out, name, entries, now);
            changed
        }
        Change::Remove { name, keys } => edit(out, name, |edit| edit.remove(name, keys))?,
        Change::Replace { name, entries } => edit(out, name, |edit| {
            edit.replace(Origin::Manual, entries, author, now);
            Ok(())
        })?,
        Change::Sync { name, entries } => edit(out, name, |edit| {
            edit.replace(Origin::File, entries, author, now);
            Ok(())
        })?,
        Change::Apply(plan) => carry_out(out, plan, author, now)?,
        Change::Restore(target) => restore(out, target)?,
    };
    if changed {
        outcome.policy.revision += 1;
    }
    Ok(outcome)
}

impl Outcome {
    /// Makes the entries that a group has from its file exactly these, in the same revision.
    ///
    /// # Errors
    /// [`Refusal::NoSuchList`]
    pub fn take_file(
        &mut self,
        before: &Policy,
        group: &Name,
        entries: &[NewEntry],
        author: &Arc<Author>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        edit(self, group, |edit| {
            edit.replace(Origin::File, entries, author, now);
            Ok(())
        })
        .map(|changed| {
            if changed {
                self.policy.revision = before.revision + 1;
            }
        })
    }
}

#[cfg(test)]
mod tests;
