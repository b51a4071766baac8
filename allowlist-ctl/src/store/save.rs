//! Writing the difference between two policies.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use rusqlite::{CachedStatement, Connection, Transaction, params};

use super::{Store, StoreError, encode};
use crate::policy::{Author, Entries, Entry, EntryKey, Name, Policy, Service};

/// A revision that is written but not committed; dropping it undoes it.
pub struct Pending<'a> {
    transaction: Transaction<'a>,
    path: PathBuf,
}

impl Pending<'_> {
    /// Commits the revision: on return it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Write`]; the revision before stays.
    pub fn commit(self) -> Result<(), StoreError> {
        let Self { transaction, path } = self;
        transaction.commit().map_err(|source| StoreError::Write { path, source })
    }
}

impl Store {
    /// Writes what differs between two policies into a transaction.
    ///
    /// # Errors
    /// [`StoreError::Write`]; nothing is written then.
    pub fn write(&mut self, before: &Policy, after: &Policy) -> Result<Pending<'_>, StoreError> {
        let path = self.path.clone();
        match begin(&mut self.connection, before, after) {
            Ok(transaction) => Ok(Pending { transaction, path }),
            Err(source) => Err(StoreError::Write { path, source }),
        }
    }
}

fn begin<'a>(
    connection: &'a mut Connection,
    before: &Policy,
    after: &Policy,
) -> rusqlite::Result<Transaction<'a>> {
    let transaction = connection.transaction()?;
    write_difference(&transaction, before, after)?;
    Ok(transaction)
}

fn write_difference(
    transaction: &Transaction<'_>,
    before: &Policy,
    after: &Policy,
) -> rusqlite::Result<()> {
    transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'revision'", [after.revision])?;
    let kept = |name: &Name| {
        let number = |policy: &Policy| policy.services.get(name).map(|service| service.number);
        number(before) == number(after)
    };
    for (name, service) in before.services.iter().filter(|(name, _)| !kept(name)) {
        tracing::debug!(service = %name, "removed from the store");
        transaction.execute("DELETE FROM service WHERE number = ?1", [service.number])?;
    }
    let none = Service::default();
    for (name, service) in &after.services {
        let before = before.services.get(name).filter(|_| kept(name));
        if before.is_some_and(|before| Arc::ptr_eq(before, service)) {
            continue;
        }
        if before.is_none_or(|before| !before.is_configured_as(service)) {
            write_service(transaction, name, service)?;
        }
        let before = before.map_or(&none, AsRef::as_ref);
        EntryWriter::new(transaction, service.number)?.write(&before.entries, &service.entries)?;
    }
    Ok(())
}

fn write_service(
    transaction: &Transaction<'_>,
    name: &Name,
    service: &Service,
) -> rusqlite::Result<()> {
    let number = service.number;
    transaction.execute(
        "INSERT INTO service (number, name, mode, action, when_empty)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (number) DO UPDATE
         SET mode = excluded.mode, action = excluded.action, when_empty = excluded.when_empty",
        params![
            number,
            name.as_str(),
            encode::word(service.mode),
            encode::word(service.action),
            encode::word(service.when_empty)
        ],
    )?;
    transaction.execute("DELETE FROM service_port WHERE service = ?1", [number])?;
    for ports in &service.ports {
        transaction.execute(
            "INSERT INTO service_port VALUES (?1, ?2)",
            params![number, ports.to_string()],
        )?;
    }
    transaction.execute("DELETE FROM service_interface WHERE service = ?1", [number])?;
    for interface in &service.interfaces {
        transaction
            .execute("INSERT INTO service_interface VALUES (?1, ?2)", params![number, interface])?;
    }
    transaction.execute("DELETE FROM service_address WHERE service = ?1", [number])?;
    for prefix in &service.addresses {
        transaction.execute(
            "INSERT INTO service_address VALUES (?1, ?2)",
            params![number, encode::prefix(*prefix)],
        )?;
    }
    Ok(())
}

/// Writes the entries of one service.
struct EntryWriter<'a> {
    transaction: &'a Transaction<'a>,
    service: u16,
    insert: CachedStatement<'a>,
    delete: CachedStatement<'a>,
    authors: HashMap<Arc<Author>, i64>,
}

impl<'a> EntryWriter<'a> {
    fn new(transaction: &'a Transaction<'a>, service: u16) -> rusqlite::Result<Self> {
        Ok(Self {
            transaction,
            service,
            insert: transaction.prepare_cached(
                "INSERT OR REPLACE INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            delete: transaction.prepare_cached(
                "DELETE FROM entry WHERE service = ?1 AND prefix = ?2 AND kind = ?3",
            )?,
            authors: HashMap::new(),
        })
    }

    fn write(&mut self, before: &Entries, after: &Entries) -> rusqlite::Result<()> {
        if after.is_empty() {
            return self
                .transaction
                .execute("DELETE FROM entry WHERE service = ?1", [self.service])
                .map(drop);
        }
        for (key, _, after) in before.difference(after) {
            if let Some(entry) = after {
                self.insert(key, entry)?;
            } else {
                let (prefix, kind) = (encode::prefix(key.prefix), encode::kind(key.kind));
                self.delete.execute(params![self.service, prefix, kind])?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, key: &EntryKey, entry: &Entry) -> rusqlite::Result<()> {
        let author = self.author(&entry.added_by)?;
        self.insert.execute(params![
            self.service,
            encode::prefix(key.prefix),
            encode::kind(key.kind),
            entry.id,
            entry.comment.as_deref(),
            author,
            entry.added_at.as_second(),
            entry.expires_at.map(jiff::Timestamp::as_second),
        ])?;
        Ok(())
    }

    fn author(&mut self, author: &Arc<Author>) -> rusqlite::Result<i64> {
        if let Some(id) = self.authors.get(author) {
            return Ok(*id);
        }
        let who = params![author.uid, author.name];
        self.transaction
            .execute("INSERT OR IGNORE INTO author (uid, name) VALUES (?1, ?2)", who)?;
        let id = self.transaction.query_row(
            "SELECT id FROM author WHERE uid = ?1 AND name = ?2",
            who,
            |row| row.get(0),
        )?;
        self.authors.insert(Arc::clone(author), id);
        Ok(id)
    }
}
