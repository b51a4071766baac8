//! Changes inside one list of entries.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{Note, Outcome, Refusal, Tally};
use crate::policy::{
    Author, Entries, Entry, EntryIds, EntryKey, Name, Policy, Service, entry::NewEntry,
};

/// Edits the entries of one list; whether that changed anything.
pub(super) fn edit(
    outcome: &mut Outcome,
    name: &Name,
    change: impl FnOnce(&mut Edit<'_>) -> Result<(), Refusal>,
) -> Result<bool, Refusal> {
    let Outcome { policy, tally, notes } = outcome;
    let Policy { services, ids, .. } = policy;
    let service = services.get_mut(name).ok_or_else(|| Refusal::NoSuchService(name.clone()))?;
    let mut edited = Service::clone(service);
    change(&mut Edit { entries: &mut edited.entries, ids, tally, notes })?;
    let changed = tally.added + tally.updated + tally.removed > 0;
    if changed {
        *service = Arc::new(edited);
    }
    Ok(changed)
}

/// A list under change.
pub(super) struct Edit<'a> {
    entries: &'a mut Entries,
    ids: &'a mut EntryIds,
    tally: &'a mut Tally,
    notes: &'a mut Vec<Note>,
}

impl Edit<'_> {
    /// Adds an entry; one that is there gets the new comment, where one is given.
    pub(super) fn add(&mut self, new: &NewEntry, author: &Arc<Author>, now: Timestamp) {
        let Some(entry) = self.entries.get(&new.key) else { return self.put(new, author, now) };
        let comment = new.comment.clone().or_else(|| entry.comment.clone());
        let unchanged = comment == entry.comment;
        self.put(&NewEntry { comment, ..*new }, author, now);
        self.notes.push(if unchanged { Note::Unchanged(new.key) } else { Note::Updated(new.key) });
    }

    /// Makes an entry just so, whether it was there or not.
    fn put(&mut self, new: &NewEntry, author: &Arc<Author>, now: Timestamp) {
        let Some(entry) = self.entries.get(&new.key) else {
            let entry = Entry {
                id: self.ids.take(),
                comment: new.comment.clone(),
                added_by: Arc::clone(author),
                added_at: now,
                expires_at: None,
            };
            self.entries.insert(new.key, entry);
            self.tally.added += 1;
            return;
        };
        let mut updated = entry.clone();
        updated.comment.clone_from(&new.comment);
        if updated == *entry {
            self.tally.unchanged += 1;
        } else {
            self.entries.insert(new.key, updated);
            self.tally.updated += 1;
        }
    }

    pub(super) fn remove(&mut self, name: &Name, keys: &[EntryKey]) -> Result<(), Refusal> {
        let keys: BTreeSet<EntryKey> = keys.iter().copied().collect();
        let missing: Vec<EntryKey> =
            keys.iter().copied().filter(|key| self.entries.get(key).is_none()).collect();
        if !missing.is_empty() {
            return Err(Refusal::NoSuchEntries { name: name.clone(), keys: missing });
        }
        for key in &keys {
            self.drop_entry(key);
        }
        Ok(())
    }

    pub(super) fn replace(&mut self, entries: &[NewEntry], author: &Arc<Author>, now: Timestamp) {
        let mut wanted: Vec<EntryKey> = entries.iter().map(|new| new.key).collect();
        wanted.sort_unstable();
        let gone: Vec<EntryKey> = self
            .entries
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| wanted.binary_search(key).is_err())
            .collect();
        for key in &gone {
            self.drop_entry(key);
        }
        for new in entries {
            self.put(new, author, now);
        }
    }

    fn drop_entry(&mut self, key: &EntryKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.ids.give_back(entry.id);
            self.tally.removed += 1;
        }
    }
}
