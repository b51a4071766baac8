//! The policy on disk: one SQLite database, one transaction a revision.

pub mod audit;
mod copy;
mod draft;
mod encode;
mod found;
mod load;
mod lock;
mod pending;
mod revisions;
mod rights;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use allowlist_common::abi::StoreIdentity;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use self::{copy::Copying, rights::Rights};

pub use self::{
    copy::{CopyError, GoodCopy},
    draft::{Draft, Stamp},
    found::Found,
    lock::lock_directory,
    pending::{Deadline, PendingChange},
    revisions::{KeepRevisions, Revision},
    rights::quoted,
};
use crate::policy::{Policy, difference::GroupTerms};

/// Version of the schema; a database of a newer one is refused.
const SCHEMA_VERSION: i32 = 1;
/// "alow": tells our databases from others.
const APPLICATION_ID: i32 = 0x616c_6f77;
const FILE: &str = "allowlist.db";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or written.
    #[error("cannot write the state directory {path}: {source}{}", Rights::of_directory(.path, .source))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another daemon uses the directory.
    #[error("another allowlistd uses {0}: stop it first, or give this one a directory of its own")]
    Locked(PathBuf),
    /// The database was written by a newer release.
    #[error(
        "{path} has format {found}, and this release knows formats up to {SCHEMA_VERSION}: install the release that wrote it, or a newer one"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// The file is another program's database.
    #[error("{0} is not an allowlist database: move it away or choose another state directory")]
    Foreign(PathBuf),
    /// The database holds something that cannot be.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file was taken away under the daemon, which would write where nobody reads.
    #[error(
        "{0} was removed or replaced while in use: put it back as it was, or start allowlistd again"
    )]
    Gone(PathBuf),
    /// Writing failed.
    #[error("cannot write {path}: {source}{}", Rights::of_database(.path, .source))]
    Write {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// The open database.
pub struct Store {
    /// Before the connection, which it reads and which must not be closed under it.
    copying: Copying,
    connection: Connection,
    path: PathBuf,
    id: [u8; 16],
    /// Device and number of the file.
    file: (u64, u64),
    _lock: File,
}

impl Store {
    /// Opens the store in a directory, making both where they are missing, and reads the policy.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then.
    pub fn open(directory: &Path) -> Result<(Self, Policy), StoreError> {
        Found::look(directory)?.open()
    }

    /// Whether the file that is open is still the one that the next start will find.
    ///
    /// # Errors
    /// [`StoreError::Gone`] where it is not.
    pub fn check_there(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.path) {
            Ok(about) if (about.dev(), about.ino()) == self.file => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                let path = self.path.parent().unwrap_or(&self.path).to_owned();
                Err(StoreError::Directory { path, source })
            }
            _ => Err(StoreError::Gone(self.path.clone())),
        }
    }

    /// Which store it is, where its policy is at a revision.
    #[must_use]
    pub const fn identity(&self, revision: u64) -> StoreIdentity {
        StoreIdentity { id: self.id, revision }
    }

    /// Takes another identity, so that a copy of it which is elsewhere is another store from now on; `record` says so.
    ///
    /// # Errors
    /// [`StoreError`]; it is the one that it was then.
    pub fn adopt(&mut self, record: &audit::Record) -> Result<audit::Appended, StoreError> {
        let id = self
            .connection
            .query_row("SELECT randomblob(16)", [], |row| row.get(0))
            .map_err(|source| self.write_error(source))?;
        let draft = self.draft()?;
        draft.identity(id)?;
        let appended = draft.audit(record)?;
        draft.commit()?;
        self.id = id;
        Ok(appended)
    }

    /// Writes something that nobody reads, to see whether that goes; `thoroughly` reads everything before.
    ///
    /// # Errors
    /// [`StoreError`] says what is in the way.
    pub fn probe(&mut self, thoroughly: bool) -> Result<(), StoreError> {
        if thoroughly {
            found::check(&self.connection, &self.path)?;
        }
        self.check_there()?;
        let now = Timestamp::now().as_microsecond();
        let written =
            self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('probed', ?1)", [now]);
        written.map(drop).map_err(|source| self.write_error(source))
    }

    /// Interfaces that were attached (`true`) or detached (`false`) by command.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn interfaces(&self) -> Result<BTreeMap<String, bool>, StoreError> {
        let read = || -> rusqlite::Result<_> {
            let mut rows = self.connection.prepare("SELECT name, attached FROM interface")?;
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        read().map_err(|source| unreadable(&self.path, source))
    }

    /// What was last taken from a followed file: its SHA-256.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn followed(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .query_row("SELECT hash FROM followed WHERE path = ?1", [path], |row| row.get(0))
            .optional()
            .map_err(|source| unreadable(&self.path, source))
    }

    /// Rows of the audit trail.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn audit(&self, filter: &audit::Filter) -> Result<Vec<audit::Row>, StoreError> {
        audit::read(&self.connection, filter).map_err(|source| unreadable(&self.path, source))
    }

    /// Whether the audit trail is as it was written.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn verify_audit(&self) -> Result<audit::Verification, StoreError> {
        audit::verify(&self.connection).map_err(|source| unreadable(&self.path, source))
    }

    /// Takes off some of the oldest rows of the audit trail, as [`audit::prune`] does.
    ///
    /// # Errors
    /// [`StoreError::Write`]; nothing is taken off then.
    pub fn prune_audit(
        &mut self,
        keep: u64,
        older_than: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        audit::prune(&self.connection, keep, older_than, Timestamp::now())
            .map_err(|source| self.write_error(source))
    }

    /// Moves what was written into the main file; to be called when nobody waits.
    ///
    /// # Errors
    /// [`StoreError::Write`]; nothing is lost then.
    pub fn tidy(&self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|source| self.write_error(source))
    }

    /// The database's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write_error(&self, source: rusqlite::Error) -> StoreError {
        unwritable(&self.path, source)
    }
}

/// Whether the database is an empty one, and not somebody else's or one of a newer release.
fn is_new(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let number = |query: &str| -> Result<i32, StoreError> {
        connection.query_row(query, [], |row| row.get(0)).map_err(|source| unreadable(path, source))
    };
    match (number("PRAGMA application_id")?, number("PRAGMA user_version")?) {
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(false),
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found })
        }
        (0, 0) if number("SELECT count(*) FROM sqlite_schema")? == 0 => Ok(true),
        _ => Err(StoreError::Foreign(path.to_owned())),
    }
}

fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Those of a change and of the audit trail.
    connection.set_prepared_statement_cache_capacity(64);
    // In KiB where negative.
    connection.pragma_update(None, "cache_size", -16 * 1024)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.execute_batch(audit::SCHEMA)?;
    transaction.execute_batch(&format!(
        "INSERT INTO meta VALUES ('store_id', randomblob(16)), ('revision', 0);
         INSERT INTO author VALUES (1, 0, 'allowlistd');
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
    ))?;
    let now = Timestamp::now().as_second();
    transaction.execute("INSERT INTO revision VALUES (0, ?1, 1, 'made the store', 0)", [now])?;
    // Only what the policy has by itself, to which nothing has been added.
    for (name, group) in &Policy::default().groups {
        let settings = encode::json(&GroupTerms::from(group.as_ref()));
        let values = (group.number, name.as_str(), encode::GROUP, settings);
        transaction.execute("INSERT INTO list VALUES (?1, ?2, ?3, ?4, 0)", values)?;
    }
    transaction.commit()
}

fn unwritable(path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => unreadable(path, source),
        _ => StoreError::Write { path: path.to_owned(), source },
    }
}

fn unreadable(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::Foreign(path.to_owned()),
        // That it could not be read says nothing of what is in it.
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory,
        ) => StoreError::Write { path: path.to_owned(), source: error },
        _ => StoreError::Damaged { path: path.to_owned(), reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
