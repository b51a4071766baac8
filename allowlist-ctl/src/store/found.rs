//! A store before it is used: what is there, whether it is whole, and which one it is.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use allowlist_common::abi::StoreIdentity;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    FILE, Store, StoreError,
    copy::{self, Copying},
    create, is_new, lock_directory, tune, unreadable,
};
use crate::{patience::patiently, policy::Policy};

/// How every SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// A store of which nothing has been made or changed yet.
pub struct Found {
    directory: PathBuf,
    path: PathBuf,
    lock: Option<File>,
    /// The database, where there is one.
    there: Option<(Connection, StoreIdentity)>,
}

impl Found {
    /// Looks at the store in a directory, and locks that for as long as the answer is kept.
    ///
    /// # Errors
    /// [`StoreError`] where it is another daemon's, somebody else's, a newer release's, or damaged.
    pub fn look(directory: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Directory { path: directory.to_owned(), source };
        let path = Self::path(directory);
        let mut found = Self { directory: directory.to_owned(), path, lock: None, there: None };
        if !fs::exists(directory).map_err(unusable)? {
            return Ok(found);
        }
        found.lock = Some(found.lock()?);
        match fs::metadata(&found.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
            // SQLite makes a database of an empty file.
            Ok(about) if about.len() == 0 => {}
            Ok(_) => found.there = found.whole()?,
        }
        Ok(found)
    }

    /// Which store it is; `None` where there is none, or one without anything in it.
    #[must_use]
    pub fn identity(&self) -> Option<StoreIdentity> {
        self.there.as_ref().map(|(_, identity)| *identity)
    }

    /// The database's file in a directory.
    #[must_use]
    pub fn path(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// Opens it, making what is missing, and reads the policy.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then.
    pub fn open(mut self) -> Result<(Store, Policy), StoreError> {
        let unusable = |source| StoreError::Directory { path: self.directory.clone(), source };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.directory).map_err(unusable)?;
        let lock = self.lock.take().map_or_else(|| self.lock(), Ok)?;
        let file = File::options().create(true).append(true).mode(0o600).open(&self.path);
        let file = file.map_err(unusable)?;
        let failed = |source| unreadable(&self.path, source);
        let (connection, identity) = match self.there.take() {
            Some((connection, identity)) => {
                connection
                    .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
                    .map_err(failed)?;
                tune(&connection).map_err(failed)?;
                (connection, identity)
            }
            None => self.make()?,
        };
        file.set_permissions(Permissions::from_mode(0o600)).map_err(unusable)?;
        copy::clear(&self.path).map_err(unusable)?;
        let about = file.metadata().map_err(unusable)?;
        let store = Store {
            copying: Copying::default(),
            connection,
            path: self.path.clone(),
            id: identity.id,
            file: (about.dev(), about.ino()),
            _lock: lock,
        };
        let policy = store.load(None)?;
        Ok((store, policy))
    }

    fn lock(&self) -> Result<File, StoreError> {
        patiently(|| lock_directory(&self.directory))
            .map_err(|source| StoreError::Directory { path: self.directory.clone(), source })?
            .ok_or_else(|| StoreError::Locked(self.directory.clone()))
    }

    /// The database with which store it is, where all of it can be read; `None` for an empty one.
    fn whole(&self) -> Result<Option<(Connection, StoreIdentity)>, StoreError> {
        let path = &self.path;
        // Says why it cannot be written, where SQLite would read it only.
        File::options()
            .append(true)
            .open(path)
            .map_err(|source| StoreError::Directory { path: self.directory.clone(), source })?;
        let connection = connect(path)?;
        let has_wal = fs::metadata(beside(path, "-wal")).is_ok_and(|about| about.len() > 0);
        if has_wal {
            // What is beside it goes into the file when this is closed, which is not for us to do yet.
            connection
                .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
                .map_err(|source| unreadable(path, source))?;
        }
        match is_new(&connection, path) {
            Ok(true) => return Ok(None),
            Ok(false) => {}
            Err(StoreError::Foreign(_)) if was_ours(path) => {
                let reason = "its first page is not what it was".to_owned();
                return Err(StoreError::Damaged { path: path.clone(), reason });
            }
            Err(error) => return Err(error),
        }
        check(&connection, path)?;
        let read = |source| unreadable(path, source);
        let length: u64 = connection
            .query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
            .map_err(read)?;
        // SQLite takes what is missing of the last page for zeros. With a WAL the file may be any length after a crash.
        if !has_wal && fs::metadata(path).is_ok_and(|about| about.len() < length) {
            let reason = format!("it is shorter than its {length} bytes");
            return Err(StoreError::Damaged { path: path.clone(), reason });
        }
        let identity = identity(&connection).map_err(read)?;
        Ok(Some((connection, identity)))
    }

    fn make(&self) -> Result<(Connection, StoreIdentity), StoreError> {
        let failed = |source| unreadable(&self.path, source);
        let mut connection = connect(&self.path)?;
        tune(&connection).map_err(failed)?;
        create(&mut connection)
            .map_err(|source| StoreError::Write { path: self.path.clone(), source })?;
        let identity = identity(&connection).map_err(failed)?;
        Ok((connection, identity))
    }
}

/// A connection to a database that is there; nothing is read or written yet.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|source| unreadable(path, source))?;
    // The directory's lock is ours, so nobody else has the database open. Said before it is read, this needs no file of
    // shared memory, for which a full disk has no room.
    connection
        .pragma_update(None, "locking_mode", "EXCLUSIVE")
        .map_err(|source| unreadable(path, source))?;
    Ok(connection)
}

/// Checks that all of a database can be read.
///
/// # Errors
/// [`StoreError::Damaged`] names the first thing that cannot.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| unreadable(path, source))?;
    if found == "ok" {
        return Ok(());
    }
    // Above it is the name that the database has inside of SQLite.
    let reason = found.lines().last().unwrap_or_default().to_owned();
    Err(StoreError::Damaged { path: path.to_owned(), reason })
}

/// Which store a database is, and its revision.
pub(super) fn identity(connection: &Connection) -> rusqlite::Result<StoreIdentity> {
    let read = "SELECT (SELECT value FROM meta WHERE key = 'store_id'),
                       (SELECT value FROM meta WHERE key = 'revision')";
    connection
        .query_row(read, [], |row| Ok(StoreIdentity { id: row.get(0)?, revision: row.get(1)? }))
}

/// The file of that ending beside a database.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Whether what is no allowlist database was one: it begins like a database as far as it goes, or there is a copy.
fn was_ours(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(100).read_to_end(&mut start));
    let length = start.len().min(MAGIC.len());
    let is_cut = read.is_ok() && start.len() < 100 && start[..length] == MAGIC[..length];
    is_cut || copy::GoodCopy::path(path).exists()
}

#[cfg(test)]
mod tests;
