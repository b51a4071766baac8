//! The revisions that are kept, and how many.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError, unreadable};
use crate::policy::{Author, Policy};

/// So many rows are removed at once, so that nobody waits long.
const BATCH: usize = 5000;

/// How many revisions are kept: those that hold by each of the limits. The current one is always kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepRevisions {
    /// How many, the current one included.
    pub count: u64,
    /// For how many days.
    pub days: u32,
    /// How many entries that are no longer current, over all of them.
    pub entries: u64,
}

/// A kept revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub time: Timestamp,
    /// Who made it.
    pub by: Author,
    /// The command that made it.
    pub what: String,
}

impl Store {
    /// The kept revisions, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn revisions(&self) -> Result<Vec<Revision>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Revision>> {
            let mut rows = self.connection.prepare(
                "SELECT number, time, uid, name, what
                 FROM revision JOIN author ON author.id = revision.author ORDER BY number DESC",
            )?;
            rows.query_map([], |row| {
                Ok(Revision {
                    number: row.get(0)?,
                    time: Timestamp::from_second(row.get(1)?).unwrap_or_default(),
                    by: Author { uid: row.get(2)?, name: row.get(3)? },
                    what: row.get(4)?,
                })
            })?
            .collect()
        };
        read().map_err(|source| unreadable(&self.path, source))
    }

    /// When the policy was last changed: of a new store, when it was made.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn last_change(&self) -> Result<Option<Timestamp>, StoreError> {
        self.connection
            .query_one("SELECT max(number), time FROM revision", [], |row| row.get(1))
            .map(|time: Option<i64>| time.and_then(|time| Timestamp::from_second(time).ok()))
            .map_err(|source| unreadable(&self.path, source))
    }

    /// The policy at a kept revision; `None` where it is not kept.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn policy_at(&self, revision: u64) -> Result<Option<Policy>, StoreError> {
        let count = "SELECT count(*) FROM revision WHERE number = ?1";
        let kept: u64 = self
            .connection
            .query_row(count, [revision], |row| row.get(0))
            .map_err(|source| unreadable(&self.path, source))?;
        if kept == 0 { Ok(None) } else { self.load(Some(revision)).map(Some) }
    }

    /// Removes some of what is no longer kept; `true` where there is more. A pending change keeps what it goes back to.
    ///
    /// # Errors
    /// [`StoreError::Write`]; nothing is removed then.
    pub fn prune_revisions(&mut self, keep: KeepRevisions) -> Result<bool, StoreError> {
        let pending = self.pending()?.map(|pending| pending.back_to);
        prune(&mut self.connection, keep, pending).map_err(|source| self.write_error(source))
    }
}

fn prune(
    connection: &mut Connection,
    keep: KeepRevisions,
    pending: Option<u64>,
) -> rusqlite::Result<bool> {
    let floor = floor(connection, keep)?.min(pending.unwrap_or(u64::MAX));
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM revision WHERE number < ?1", [floor])?;
    let more_entries = prune_past(&transaction, floor)? | prune_batches(&transaction, floor)?;
    let lists = transaction.execute(
        "DELETE FROM past_list WHERE rowid IN
         (SELECT rowid FROM past_list WHERE until <= ?1 LIMIT ?2)",
        params![floor, BATCH],
    )?;
    transaction.execute(
        "DELETE FROM batch WHERE until <= ?1
         AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.batch = batch.id)",
        [floor],
    )?;
    transaction.commit()?;
    Ok(more_entries || lists >= BATCH)
}

// Entries are removed up to a place in the order in which they lie. Named one by one, SQLite would look for them among
// all that there are.

/// Removes some of the single entries that were current only before a revision; `true` where there are more. A row is of
/// the revisions before its `until`.
fn prune_past(connection: &Connection, floor: u64) -> rusqlite::Result<bool> {
    let end = "SELECT until, list, prefix FROM past_entry WHERE until <= ?1
               ORDER BY until, list, prefix LIMIT 1 OFFSET ?2";
    let end = connection.prepare_cached(end)?.query_row(params![floor, BATCH], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get::<_, Vec<u8>>(2)?))
    });
    if let Some(end) = end.optional()? {
        let up_to = "DELETE FROM past_entry WHERE (until, list, prefix) < (?1, ?2, ?3)";
        connection.prepare_cached(up_to)?.execute(end)?;
        return Ok(true);
    }
    connection.prepare_cached("DELETE FROM past_entry WHERE until <= ?1")?.execute([floor])?;
    Ok(false)
}

/// Removes some of the entries of batches that were current only before a revision; `true` where there are more.
fn prune_batches(connection: &Connection, floor: u64) -> rusqlite::Result<bool> {
    let mut batches =
        connection.prepare_cached("SELECT id FROM batch WHERE until <= ?1 ORDER BY id")?;
    let batches = batches.query_map([floor], |row| row.get(0))?;
    let mut removed = 0;
    for batch in batches.collect::<rusqlite::Result<Vec<i64>>>()? {
        let end = "SELECT prefix FROM entry WHERE batch = ?1 ORDER BY prefix LIMIT 1 OFFSET ?2";
        let end = connection
            .prepare_cached(end)?
            .query_row(params![batch, BATCH - removed], |row| row.get::<_, Vec<u8>>(0));
        if let Some(end) = end.optional()? {
            let up_to = "DELETE FROM entry WHERE batch = ?1 AND prefix < ?2";
            connection.prepare_cached(up_to)?.execute((batch, end))?;
            return Ok(true);
        }
        let all = "DELETE FROM entry WHERE batch = ?1";
        removed += connection.prepare_cached(all)?.execute([batch])?;
    }
    Ok(false)
}

/// The oldest revision to be kept.
fn floor(connection: &Connection, keep: KeepRevisions) -> rusqlite::Result<u64> {
    let age = SignedDuration::from_hours(24 * i64::from(keep.days));
    let since = Timestamp::now().saturating_sub(age).map_or(0, Timestamp::as_second);
    // The oldest that is young enough: one with a wrong time, made before the clock was set, takes no others with it.
    let young: u64 = connection.query_row(
        "SELECT coalesce(min(number), (SELECT max(number) FROM revision))
         FROM revision WHERE time >= ?1",
        [since],
        |row| row.get(0),
    )?;
    let mut rows =
        connection.prepare_cached("SELECT number, moved FROM revision ORDER BY number DESC")?;
    let mut rows = rows.query([])?;
    let (mut floor, mut count, mut entries) = (young, 0, 0);
    while let Some(row) = rows.next()? {
        let (number, moved): (u64, u64) = (row.get(0)?, row.get(1)?);
        count += 1;
        if count > 1 && (count > keep.count || entries > keep.entries) {
            break;
        }
        floor = number;
        entries += moved;
    }
    Ok(floor.max(young))
}

#[cfg(test)]
mod tests;
