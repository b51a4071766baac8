//! One daemon a directory.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// Locks a directory for as long as the answer is kept; `None` where another process holds it, or has removed it.
///
/// # Errors
/// What the file system answered.
pub fn lock_directory(directory: &Path) -> io::Result<Option<File>> {
    let file = File::open(directory)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Who had it may have removed it meanwhile, and the lock of what is nowhere keeps nobody out.
    let (locked, there) = (file.metadata()?, fs::metadata(directory));
    let is_it = |there: fs::Metadata| (there.dev(), there.ino()) == (locked.dev(), locked.ino());
    match there {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        there => Ok(there.is_ok_and(is_it).then_some(file)),
    }
}
