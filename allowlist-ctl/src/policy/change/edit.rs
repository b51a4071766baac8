//! Changes inside one list of entries.

mod replace;

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{Note, Outcome, Refusal, Tally};
use crate::policy::{
    Author, Entries, Entry, EntryIds, EntryKey, Group, Name, Origin, Policy, Service,
    entry::NewEntry,
};

/// Edits the entries of one list; whether that changed anything.
pub(super) fn edit(
    outcome: &mut Outcome,
    name: &Name,
    change: impl FnOnce(&mut Edit<'_>) -> Result<(), Refusal>,
) -> Result<bool, Refusal> {
    if outcome.policy.entries(name).is_none() {
        return Err(Refusal::NoSuchList(outcome.policy.unknown_list(name)));
    }
    let Outcome { policy, tally, notes, restored } = outcome;
    let Policy { services, groups, ids, .. } = policy;
    let before = tally.changed();
    let edited = |entries: &Entries| -> Result<Option<Entries>, Refusal> {
        let mut entries = entries.clone();
        change(&mut Edit { entries: &mut entries, ids, tally, notes, restored })?;
        Ok((tally.changed() != before).then_some(entries))
    };
    let entries = if let Some(service) = services.get_mut(name) {
        edited(&service.entries)?.map(|entries| {
            *service = Arc::new(Service { entries, ..Service::clone(service) });
        })
    } else if let Some(group) = groups.get_mut(name) {
        edited(&group.entries)?.map(|entries| {
            *group = Arc::new(Group { entries, ..Group::clone(group) });
        })
    } else {
        None
    };
    Ok(entries.is_some())
}

/// A list under change.
pub(super) struct Edit<'a> {
    entries: &'a mut Entries,
    ids: &'a mut EntryIds,
    tally: &'a mut Tally,
    notes: &'a mut Vec<Note>,
    restored: &'a mut Vec<u32>,
}

impl Edit<'_> {
    /// Adds an entry; one that is there gets the new end, and the new comment where one is given.
    pub(super) fn add(&mut self, new: &NewEntry, author: &Arc<Author>, now: Timestamp) {
        let Some(entry) = self.entries.get(&new.key).cloned() else {
            return self.put(new, author, now);
        };
        let comment = new.comment.clone().or_else(|| entry.comment.clone());
        self.put(&NewEntry { comment, ..*new }, author, now);
        if let Some(updated) = self.entries.get(&new.key) {
            self.notes.push(Note::of_update(new.key, &entry, updated));
        }
    }

    /// Makes an entry just so, whether it was there or not.
    fn put(&mut self, new: &NewEntry, author: &Arc<Author>, now: Timestamp) {
        let before = self.entries.get(&new.key);
        if before.is_some_and(|entry| is_just(entry, new)) {
            self.tally.unchanged += 1;
            return;
        }
        let before = before.cloned();
        let entry = self.made(new, before.as_ref(), author, now);
        self.entries.insert(new.key, entry);
    }

    /// The entry that a new one makes of the one that was there.
    fn made(
        &mut self,
        new: &NewEntry,
        before: Option<&Entry>,
        author: &Arc<Author>,
        now: Timestamp,
    ) -> Entry {
        let (comment, expires_at) = (comment_of(new).cloned(), new.expires_at);
        if let Some(entry) = before {
            self.tally.updated += 1;
            return Entry { comment, expires_at, ..entry.clone() };
        }
        self.tally.added += 1;
        Entry {
            id: self.ids.take(),
            comment,
            added_by: Arc::clone(author),
            added_at: now,
            expires_at,
        }
    }

    /// Removes entries: all of them, or none where one is not there.
    pub(super) fn remove(&mut self, name: &Name, keys: &[EntryKey]) -> Result<(), Refusal> {
        let keys: BTreeSet<EntryKey> = keys.iter().copied().collect();
        let missing: Vec<EntryKey> =
            keys.iter().copied().filter(|key| self.entries.get(key).is_none()).collect();
        if !missing.is_empty() {
            let of_file = |key: &&EntryKey| {
                self.entries.get(&EntryKey { origin: Origin::File, ..**key }).is_some()
            };
            let keys: Vec<EntryKey> = missing.iter().filter(of_file).copied().collect();
            let name = name.clone();
            return Err(if keys.len() == missing.len() {
                Refusal::EntriesOfFile { name, keys }
            } else {
                Refusal::NoSuchEntries { name, keys: missing }
            });
        }
        for key in &keys {
            self.drop_entry(key);
        }
        Ok(())
    }

    /// Makes the entries those of an earlier time; those that are still there keep their ids.
    pub(super) fn restore(&mut self, target: &Entries) {
        let current = self.entries.clone();
        for (key, now, then) in current.difference(target) {
            let Some(then) = then else {
                self.drop_entry(key);
                continue;
            };
            let Some(now) = now else {
                let id = self.ids.take();
                self.restored.push(id);
                self.entries.insert(*key, Entry { id, ..then.clone() });
                self.tally.added += 1;
                continue;
            };
            let entry = Entry { id: now.id, ..then.clone() };
            if entry.added_at < now.added_at {
                // It was gone in between, and another may have had the id.
                self.restored.push(entry.id);
            }
            if entry != *now {
                self.entries.insert(*key, entry);
                self.tally.updated += 1;
            }
        }
    }

    fn drop_entry(&mut self, key: &EntryKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.note_dropped(&entry);
        }
    }

    fn note_dropped(&mut self, entry: &Entry) {
        self.ids.give_back(entry.id);
        self.tally.removed += 1;
    }
}

/// The comment that a new entry has: one that is empty takes away the one that is there.
fn comment_of(new: &NewEntry) -> Option<&Arc<str>> {
    new.comment.as_ref().filter(|comment| !comment.is_empty())
}

/// Whether an entry is just what a new one asks for.
fn is_just(entry: &Entry, new: &NewEntry) -> bool {
    entry.comment.as_ref() == comment_of(new) && entry.expires_at == new.expires_at
}
