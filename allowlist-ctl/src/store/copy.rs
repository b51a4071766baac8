//! The last good copy of the store, for the day on which the database is damaged.
//!
//! It is made beside the work: some pages whenever nobody waits, through the one connection that there is. What is
//! changed meanwhile SQLite writes into both. Then the copy is checked, and only then takes the place of the one before.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    ptr::NonNull,
    thread::{self, JoinHandle},
};

use allowlist_common::abi::StoreIdentity;
use jiff::Timestamp;
use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, OpenFlags, ffi};

use super::{
    Store, StoreError,
    found::{beside, check, connect, identity},
};

/// So many pages are copied at once, about a millisecond's worth.
const PAGES: i32 = 64;

/// A whole copy of a store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GoodCopy {
    /// Where it is.
    pub path: PathBuf,
    /// Which store it is of, and at which revision.
    pub identity: StoreIdentity,
    /// When it was made.
    pub made: Timestamp,
}

/// Why there is no new copy; the one before is kept.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The disk is too small for it.
    #[error("a copy of the store takes {needed} bytes, and {path} has {free} to spare")]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// It cannot be written.
    #[error("cannot write the copy {path}: {source}")]
    Write {
        /// The copy.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite cannot make it.
    #[error("cannot copy the store to {path}: {source}")]
    Copy {
        /// The copy.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// It is not whole, and so the store itself may not be.
    #[error("the copy of the store is not whole, and the one before is kept: {0}")]
    NotWhole(#[from] StoreError),
}

/// A copy that is being made.
#[derive(Default)]
pub(super) enum Copying {
    /// None.
    #[default]
    Nothing,
    /// Its pages are copied.
    Pages(Pages),
    /// It is checked, on a thread of its own.
    Check(JoinHandle<Result<GoodCopy, CopyError>>),
}

impl GoodCopy {
    /// Where the copy of a database is.
    #[must_use]
    pub fn path(database: &Path) -> PathBuf {
        beside(database, ".good")
    }

    /// The copy of a database; `None` where there is none that can be read.
    #[must_use]
    pub fn of(database: &Path) -> Option<Self> {
        let path = Self::path(database);
        let about = fs::metadata(&path).ok()?;
        let made = Timestamp::try_from(about.modified().ok()?).ok()?;
        let made = Timestamp::from_second(made.as_second()).ok()?;
        let connection =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        Some(Self { identity: identity(&connection).ok()?, path, made })
    }
}

impl Store {
    /// Whether a copy is being made.
    #[must_use]
    pub fn is_copying(&self) -> bool {
        !matches!(self.copying, Copying::Nothing)
    }

    /// Begins to make a copy, instead of one that is being made.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn begin_copy(&mut self) -> Result<(), CopyError> {
        self.copying = Copying::Nothing;
        let path = unfinished(&self.path);
        self.check_room()?;
        let written = |source| CopyError::Write { path: path.clone(), source };
        remove(&path).map_err(written)?;
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).open(&path).map_err(written)?;
        self.copying = Copying::Pages(Pages::begin(&self.connection, path)?);
        Ok(())
    }

    /// Goes on making the copy; returns it when it is whole, and in the place of the one before.
    ///
    /// # Errors
    /// [`CopyError`]; it is given up then.
    pub fn continue_copy(&mut self) -> Result<Option<GoodCopy>, CopyError> {
        match std::mem::take(&mut self.copying) {
            Copying::Nothing => Ok(None),
            Copying::Pages(mut pages) => {
                if pages.copy_some()? {
                    let (made, database) = (pages.finish()?, self.path.clone());
                    self.copying = Copying::Check(thread::spawn(move || keep(&made, &database)));
                } else {
                    self.copying = Copying::Pages(pages);
                }
                Ok(None)
            }
            Copying::Check(checked) if checked.is_finished() => {
                checked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(Some)
            }
            Copying::Check(running) => {
                self.copying = Copying::Check(running);
                Ok(None)
            }
        }
    }

    /// Checks that the disk has room for a copy and as much again, so that changes have some left.
    fn check_room(&self) -> Result<(), CopyError> {
        let directory = self.path.parent().unwrap_or(&self.path);
        let written = |source| CopyError::Write { path: directory.to_owned(), source };
        let needed = fs::metadata(&self.path).map_err(written)?.len();
        let about = statvfs(directory).map_err(|errno| written(errno.into()))?;
        let free = about.blocks_available().saturating_mul(about.fragment_size());
        if free / 2 >= needed {
            return Ok(());
        }
        Err(CopyError::NoRoom { path: directory.to_owned(), needed, free })
    }
}

/// Checks a copy, and puts it in the place of the one before.
fn keep(made: &Path, database: &Path) -> Result<GoodCopy, CopyError> {
    let kept = GoodCopy::path(database);
    let written = |source| CopyError::Write { path: made.to_owned(), source };
    let connection = connect(made)?;
    // So that it is one file, which can be read without writing.
    connection
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(|source| CopyError::Copy { path: made.to_owned(), source })?;
    check(&connection, made)?;
    let read = |source| CopyError::Copy { path: made.to_owned(), source };
    let identity = identity(&connection).map_err(read)?;
    connection.close().map_err(|(_, source)| read(source))?;
    File::open(made).and_then(|file| file.sync_all()).map_err(written)?;
    if let Some(before) = GoodCopy::of(database)
        && (before.identity.id != identity.id || before.identity.revision > identity.revision)
    {
        // It is of a store that was replaced by hand, and may be all that is left of it.
        fs::rename(&kept, beside(&kept, ".old")).map_err(written)?;
    }
    fs::rename(made, &kept).map_err(written)?;
    let directory = kept.parent().unwrap_or(&kept);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(written)?;
    GoodCopy::of(database).ok_or_else(|| written(io::ErrorKind::NotFound.into()))
}

/// Where the copy of a database is until it is whole.
fn unfinished(database: &Path) -> PathBuf {
    beside(database, ".copy")
}

/// Removes what a daemon left of a copy that was killed while it made one.
pub(super) fn clear(database: &Path) -> io::Result<()> {
    remove(&unfinished(database))
}

fn remove(path: &Path) -> io::Result<()> {
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-journal")] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// SQLite's own copying from one database to another. Its safe wrapper borrows both connections for as long as it
/// lasts, so that nothing could be changed meanwhile.
pub(super) struct Pages {
    backup: Option<NonNull<ffi::sqlite3_backup>>,
    /// Is to be open until the backup has ended.
    _to: Connection,
    path: PathBuf,
}

// SAFETY: a backup is bound to its connections and not to a thread; the store, which has the one connection, and this,
// which has the other, are moved as a whole.
unsafe impl Send for Pages {}

impl Pages {
    /// Begins; `from` must not be closed before this is dropped.
    fn begin(from: &Connection, path: PathBuf) -> Result<Self, CopyError> {
        let failed = |source| CopyError::Copy { path: path.clone(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let to = Connection::open_with_flags(&path, flags).map_err(failed)?;
        // What becomes of it in a crash is of no interest, and it is brought to disk at its end.
        to.pragma_update(None, "journal_mode", "OFF").map_err(failed)?;
        to.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
        // SAFETY: both handles are open, and neither is closed through them. The backup ends before `to` is closed, as
        // `drop` sees to, and before `from` is, which the store holds behind it.
        let backup = unsafe {
            ffi::sqlite3_backup_init(to.handle(), c"main".as_ptr(), from.handle(), c"main".as_ptr())
        };
        let backup = NonNull::new(backup).ok_or_else(|| {
            // SAFETY: the handle is open.
            failed(error(unsafe { ffi::sqlite3_errcode(to.handle()) }))
        })?;
        Ok(Self { backup: Some(backup), _to: to, path })
    }

    /// Copies some pages; `true` where they were the last ones.
    fn copy_some(&mut self) -> Result<bool, CopyError> {
        let Some(backup) = self.backup else { return Ok(true) };
        // SAFETY: the backup has not ended.
        match unsafe { ffi::sqlite3_backup_step(backup.as_ptr(), PAGES) } {
            ffi::SQLITE_DONE => Ok(true),
            ffi::SQLITE_OK => Ok(false),
            code => Err(CopyError::Copy { path: self.path.clone(), source: error(code) }),
        }
    }

    /// Ends the copying, and returns where the copy is.
    fn finish(mut self) -> Result<PathBuf, CopyError> {
        match self.end() {
            ffi::SQLITE_OK => Ok(self.path.clone()),
            code => Err(CopyError::Copy { path: self.path.clone(), source: error(code) }),
        }
    }

    fn end(&mut self) -> i32 {
        // SAFETY: the backup has not ended, and is not used any more.
        let end = |backup: NonNull<_>| unsafe { ffi::sqlite3_backup_finish(backup.as_ptr()) };
        self.backup.take().map_or(ffi::SQLITE_OK, end)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.backup.is_some() {
            // Given up: its room is needed for better.
            self.end();
            drop(remove(&self.path));
        }
    }
}

fn error(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

#[cfg(test)]
mod tests;
