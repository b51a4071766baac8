//! One daemon a directory.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// Locks a directory for as long as the answer is kept; `None` where another process holds it.
///
/// # Errors
/// What the file system answered.
pub fn lock_directory(directory: &Path) -> io::Result<Option<File>> {
    let file = File::open(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
