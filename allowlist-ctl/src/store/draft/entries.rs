//! Writing the entries of a list.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use rusqlite::{CachedStatement, OptionalExtension as _, Transaction, params};

use super::author;
use crate::{
    policy::{Author, Entries, Entry, EntryKey, ListNumber},
    store::encode,
};

/// So many entries of a whole list are written by one statement: to begin and end one for each takes longer than writing.
const ROWS: usize = 50;
/// Where the parameters of a row begin, behind the batch and the revision, which all have in common.
const FIRST: usize = 3;
const COLUMNS: usize = 8;

/// Has all entries of a list belong to the past, where they are.
pub(super) fn end_batch(
    transaction: &Transaction<'_>,
    list: ListNumber,
    until: u64,
) -> rusqlite::Result<()> {
    let end = "UPDATE batch SET until = ?2 WHERE list = ?1 AND until IS NULL";
    transaction.prepare_cached(end)?.execute(params![list, until]).map(drop)
}

/// The batch of a list's entries, made where it is missing.
fn current_batch(transaction: &Transaction<'_>, list: ListNumber) -> rusqlite::Result<i64> {
    let find = "SELECT id FROM batch WHERE list = ?1 AND until IS NULL";
    let found = transaction.prepare_cached(find)?.query_row([list], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    transaction.prepare_cached("INSERT INTO batch (list) VALUES (?1)")?.execute([list])?;
    Ok(transaction.last_insert_rowid())
}

/// Writes the entries of one list.
pub(super) struct EntryWriter<'a> {
    transaction: &'a Transaction<'a>,
    list: ListNumber,
    batch: i64,
    revision: u64,
    keep: CachedStatement<'a>,
    delete: CachedStatement<'a>,
    /// In the place of an entry that was kept for the past, or new.
    insert: CachedStatement<'a>,
    authors: HashMap<Arc<Author>, i64>,
}

impl<'a> EntryWriter<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        list: ListNumber,
        revision: u64,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            transaction,
            list,
            batch: current_batch(transaction, list)?,
            revision,
            keep: transaction.prepare_cached(
                "INSERT INTO past_entry
                 SELECT ?6, prefix, kind, origin, id, comment, author, added_at, expires_at, since, ?5
                 FROM entry WHERE batch = ?1 AND prefix = ?2 AND kind = ?3 AND origin = ?4",
            )?,
            delete: transaction.prepare_cached(
                "DELETE FROM entry WHERE batch = ?1 AND prefix = ?2 AND kind = ?3 AND origin = ?4",
            )?,
            insert: transaction.prepare_cached(&insertion("INSERT OR REPLACE", 1))?,
            authors: HashMap::new(),
        })
    }

    /// Writes what differs, and returns how many entries are not what they were.
    pub(super) fn write(&mut self, before: &Entries, after: &Entries) -> rusqlite::Result<usize> {
        let gone = before.difference(after).filter(|(_, was, _)| was.is_some()).count();
        if gone > before.len() / 2 {
            // What stays goes with the rest, and comes again: that is the same history, and nothing has to move.
            end_batch(self.transaction, self.list, self.revision)?;
            self.batch = current_batch(self.transaction, self.list)?;
            self.write_whole(after)?;
            return Ok(before.len());
        }
        if before.is_empty() {
            self.write_whole(after)?;
            return Ok(0);
        }
        let mut moved = 0;
        for (key, was, is) in before.difference(after) {
            let place =
                (encode::prefix(key.prefix), encode::kind(key.kind), encode::origin(key.origin));
            if was.is_some() {
                let (batch, revision) = (self.batch, self.revision);
                let values = params![batch, place.0, place.1, place.2, revision, self.list];
                self.keep.execute(values)?;
                moved += 1;
            }
            match is {
                Some(entry) => {
                    let author = self.author(&entry.added_by)?;
                    bind_batch(&mut self.insert, self.batch, self.revision)?;
                    bind_entry(&mut self.insert, 0, key, entry, author)?;
                    self.insert.raw_execute()?;
                }
                None => {
                    self.delete.execute(params![self.batch, place.0, place.1, place.2])?;
                }
            }
        }
        Ok(moved)
    }

    /// Writes all entries of a batch that has none yet.
    fn write_whole(&mut self, entries: &Entries) -> rusqlite::Result<()> {
        let (mut left, mut entries) = (entries.len(), entries.iter());
        while left > 0 {
            let rows = if left < ROWS { 1 } else { ROWS };
            let mut insert = self.transaction.prepare_cached(&insertion("INSERT", rows))?;
            bind_batch(&mut insert, self.batch, self.revision)?;
            while left >= rows {
                for (row, (key, entry)) in entries.by_ref().take(rows).enumerate() {
                    let author = self.author(&entry.added_by)?;
                    bind_entry(&mut insert, row, key, entry, author)?;
                }
                insert.raw_execute()?;
                left -= rows;
            }
        }
        Ok(())
    }

    fn author(&mut self, who: &Arc<Author>) -> rusqlite::Result<i64> {
        if let Some(id) = self.authors.get(who) {
            return Ok(*id);
        }
        let id = author(self.transaction, who)?;
        self.authors.insert(Arc::clone(who), id);
        Ok(id)
    }
}

/// The statement that writes so many rows.
fn insertion(verb: &str, rows: usize) -> String {
    let row = |row: usize| {
        let column = |column: usize| format!("?{}", FIRST + row * COLUMNS + column);
        format!("(?1, {}, ?2)", (0..COLUMNS).map(column).collect::<Vec<_>>().join(", "))
    };
    format!("{verb} INTO entry VALUES {}", (0..rows).map(row).collect::<Vec<_>>().join(", "))
}

fn bind_batch(insert: &mut CachedStatement<'_>, batch: i64, revision: u64) -> rusqlite::Result<()> {
    insert.raw_bind_parameter(1, batch)?;
    insert.raw_bind_parameter(2, revision)
}

fn bind_entry(
    insert: &mut CachedStatement<'_>,
    row: usize,
    key: &EntryKey,
    entry: &Entry,
    author: i64,
) -> rusqlite::Result<()> {
    let first = FIRST + row * COLUMNS;
    insert.raw_bind_parameter(first, encode::prefix(key.prefix))?;
    insert.raw_bind_parameter(first + 1, encode::kind(key.kind))?;
    insert.raw_bind_parameter(first + 2, encode::origin(key.origin))?;
    insert.raw_bind_parameter(first + 3, entry.id)?;
    insert.raw_bind_parameter(first + 4, entry.comment.as_deref())?;
    insert.raw_bind_parameter(first + 5, author)?;
    insert.raw_bind_parameter(first + 6, entry.added_at.as_second())?;
    insert.raw_bind_parameter(first + 7, entry.expires_at.map(Timestamp::as_second))
}

#[cfg(test)]
mod tests {
    use crate::{
        policy::{change::Change, lines},
        store::{
            Store,
            tests::{changed, protect, save, shown},
        },
    };

    #[test]
    fn a_list_of_any_length_comes_back_as_it_was_written() {
        for length in [1, super::ROWS - 1, super::ROWS, super::ROWS + 1, 3 * super::ROWS + 7] {
            let directory = tempfile::tempdir().unwrap();
            let (mut store, empty) = Store::open(directory.path()).unwrap();
            let protected = changed(&empty, &protect("redis", "tcp/6379"));
            save(&mut store, &empty, &protected);
            let line = |n: usize| match n % 3 {
                0 => format!("10.0.{n}.0/24"),
                1 => format!("!10.0.{n}.7 # number {n}"),
                _ => format!("2001:db8:{n:x}::/48 until=2026-12-01T00:00Z"),
            };
            let text: Vec<String> = (0..length).map(line).collect();
            let entries = lines::parse(&text.join("\n")).unwrap();
            let change = Change::Replace { name: "redis".parse().unwrap(), entries };
            let policy = changed(&protected, &change);
            save(&mut store, &protected, &policy);
            drop(store);
            let (_, found) = Store::open(directory.path()).unwrap();
            assert_eq!(shown(&found), shown(&policy), "{length} entries");
        }
    }
}
