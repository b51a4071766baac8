//! Writing: what belongs together goes into one transaction.

mod entries;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use self::entries::{EntryWriter, end_batch};
use super::{
    Store, StoreError,
    audit::{self, Appended, Record},
    encode,
    pending::PendingChange,
    unwritable,
};
use crate::policy::{
    Author, Entries, ListNumber, Name, Policy,
    difference::{GroupTerms, ServiceTerms},
};

/// What is written but not committed; dropping it undoes it.
pub struct Draft<'a> {
    transaction: Transaction<'a>,
    path: PathBuf,
}

/// Who made a revision, when and by which command.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub author: Arc<Author>,
    /// The command, such as `add redis`.
    pub what: String,
}

impl Store {
    /// Begins to write.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn draft(&mut self) -> Result<Draft<'_>, StoreError> {
        self.check_there()?;
        let path = self.path.clone();
        match self.connection.transaction() {
            Ok(transaction) => Ok(Draft { transaction, path }),
            Err(source) => Err(unwritable(&path, source)),
        }
    }
}

impl Draft<'_> {
    /// Writes what differs between two policies: a new revision.
    ///
    /// # Errors
    /// [`StoreError::Write`], as all of these.
    pub fn policy(&self, before: &Policy, after: &Policy, stamp: &Stamp) -> Result<(), StoreError> {
        self.checked(write_difference(&self.transaction, before, after, stamp))
    }

    /// Remembers that an interface was attached or detached by command; `None` forgets it.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn interface(&self, name: &str, attached: Option<bool>) -> Result<(), StoreError> {
        let written = match attached {
            Some(attached) => self
                .transaction
                .execute("INSERT OR REPLACE INTO interface VALUES (?1, ?2)", (name, attached)),
            None => self.transaction.execute("DELETE FROM interface WHERE name = ?1", [name]),
        };
        self.checked(written.map(drop))
    }

    /// Remembers what was last taken from a followed file.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn followed(&self, path: &str, hash: &[u8; 32]) -> Result<(), StoreError> {
        let written = self
            .transaction
            .execute("INSERT OR REPLACE INTO followed VALUES (?1, ?2)", (path, hash.as_slice()));
        self.checked(written.map(drop))
    }

    /// Forgets what was last taken from a followed file, so that it is taken again.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn forget_followed(&self, path: &str) -> Result<(), StoreError> {
        self.checked(
            self.transaction.execute("DELETE FROM followed WHERE path = ?1", [path]).map(drop),
        )
    }

    /// Sets the change that is taken back unless it is confirmed.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn pending(&self, pending: Option<&PendingChange>) -> Result<(), StoreError> {
        self.checked(self.transaction.execute("DELETE FROM pending", []).and_then(|_| {
            pending.map_or(Ok(()), |pending| {
                let author = author(&self.transaction, &pending.by)?;
                pending.insert(&self.transaction, author)
            })
        }))
    }

    /// Makes it another store than the one it was a branch of, which goes on elsewhere perhaps.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn identity(&self, id: [u8; 16]) -> Result<(), StoreError> {
        let written =
            self.transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'store_id'", [id]);
        self.checked(written.map(drop))
    }

    /// Appends to the audit trail.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn audit(&self, record: &Record) -> Result<Appended, StoreError> {
        self.checked(audit::append(&self.transaction, record))
    }

    /// Commits: on return it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Write`]; what was before stays.
    pub fn commit(self) -> Result<(), StoreError> {
        let Self { transaction, path } = self;
        transaction.commit().map_err(|source| unwritable(&path, source))
    }

    fn checked<T>(&self, written: rusqlite::Result<T>) -> Result<T, StoreError> {
        written.map_err(|source| unwritable(&self.path, source))
    }
}

/// A list as the database has it, but for its entries.
#[derive(Eq, PartialEq)]
struct Row {
    name: Name,
    kind: &'static str,
    settings: String,
}

/// The lists of a policy by number, with their entries.
fn rows(policy: &Policy) -> HashMap<ListNumber, (Row, Entries)> {
    let services = policy.services.iter().map(|(name, service)| {
        let settings = encode::json(&ServiceTerms::from(service.as_ref()));
        let row = Row { name: name.clone(), kind: encode::SERVICE, settings };
        (service.number, (row, service.entries.clone()))
    });
    let groups = policy.groups.iter().map(|(name, group)| {
        let settings = encode::json(&GroupTerms::from(group.as_ref()));
        let row = Row { name: name.clone(), kind: encode::GROUP, settings };
        (group.number, (row, group.entries.clone()))
    });
    services.chain(groups).collect()
}

fn write_difference(
    transaction: &Transaction<'_>,
    before: &Policy,
    after: &Policy,
    stamp: &Stamp,
) -> rusqlite::Result<()> {
    let revision = after.revision;
    let (before, after) = (rows(before), rows(after));
    let mut moved = 0;
    // A number may go from one list to another: what goes is written before what comes, names included.
    for (number, (row, entries)) in &before {
        let next = after.get(number).map(|(row, _)| row);
        if next != Some(row) {
            move_list(transaction, *number, revision)?;
        }
        if next.is_none_or(|next| next.name != row.name || next.kind != row.kind) {
            end_batch(transaction, *number, revision)?;
            moved += entries.len();
        }
    }
    let none = Entries::default();
    for (number, (row, entries)) in &after {
        let was = before.get(number);
        if was.map(|(row, _)| row) != Some(row) {
            let Row { name, kind, settings } = row;
            let values = params![number, name.as_str(), kind, settings, revision];
            transaction.execute("INSERT INTO list VALUES (?1, ?2, ?3, ?4, ?5)", values)?;
        }
        let same = was.filter(|(was, _)| was.name == row.name && was.kind == row.kind);
        let before = same.map_or(&none, |(_, entries)| entries);
        moved += EntryWriter::new(transaction, *number, revision)?.write(before, entries)?;
    }
    let author = author(transaction, &stamp.author)?;
    transaction.execute(
        "INSERT INTO revision VALUES (?1, ?2, ?3, ?4, ?5)",
        params![revision, stamp.time.as_second(), author, stamp.what, moved],
    )?;
    transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'revision'", [revision]).map(drop)
}

fn move_list(
    transaction: &Transaction<'_>,
    number: ListNumber,
    until: u64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO past_list SELECT *, ?2 FROM list WHERE number = ?1",
        params![number, until],
    )?;
    transaction.execute("DELETE FROM list WHERE number = ?1", [number]).map(drop)
}

/// The row of an author, made where it is missing.
fn author(connection: &Connection, author: &Author) -> rusqlite::Result<i64> {
    let who = params![author.uid, author.name];
    let find = "SELECT id FROM author WHERE uid = ?1 AND name = ?2";
    let found = connection.prepare_cached(find)?.query_row(who, |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    connection.execute("INSERT INTO author (uid, name) VALUES (?1, ?2)", who)?;
    Ok(connection.last_insert_rowid())
}
