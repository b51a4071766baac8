//! What a file looks like from outside, and reading it whole.

use std::{
    fs::{self, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, SystemTime},
};

use nix::{errno::Errno, libc};
use thiserror::Error;

use super::{Options, lease::Writers};

/// Read in one go, in bytes; a writer waits no longer than that takes.
const CHUNK: u64 = 1 << 20;

/// Why there is no content of a file. Ends a sentence that begins with its path.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(in crate::daemon) enum FollowError {
    /// Also a link that leads nowhere, or a missing directory.
    #[error("is missing")]
    Missing,
    #[error("is {0}, not a regular file")]
    NotRegular(&'static str),
    /// Permissions, or a fault of the file system.
    #[error("cannot be read: {}", .0.desc())]
    Unreadable(Errno),
    #[error("is larger than {0} bytes, the most that a followed file may be")]
    TooLarge(u64),
    #[error(
        "is held open for writing and so may be half-written: it is taken when its writer closes it"
    )]
    Held,
    #[error("keeps changing: it is taken when it stays the same for a few seconds")]
    Changing,
}

impl From<io::Error> for FollowError {
    fn from(error: io::Error) -> Self {
        match Errno::try_from(error).unwrap_or(Errno::EIO) {
            Errno::ENOENT => Self::Missing,
            errno => Self::Unreadable(errno),
        }
    }
}

/// What changes when a file does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Of content, name, owner or mode, in seconds and nanoseconds; not for a program to choose.
    changed: (i64, i64),
    mode: u32,
}

impl Stamp {
    /// Looks at the file without opening it: opening a device may do something.
    pub(super) fn of(path: &Path, limit: u64) -> Result<Self, FollowError> {
        Self::new(&fs::metadata(path)?, limit)
    }

    fn new(metadata: &Metadata, limit: u64) -> Result<Self, FollowError> {
        let kind = metadata.file_type();
        let table = [
            (kind.is_dir(), "a directory"),
            (kind.is_fifo(), "a FIFO"),
            (kind.is_socket(), "a socket"),
            (!kind.is_file(), "a device"),
        ];
        if let Some((_, kind)) = table.into_iter().find(|(is, _)| *is) {
            return Err(FollowError::NotRegular(kind));
        }
        if metadata.size() > limit {
            return Err(FollowError::TooLarge(limit));
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
        })
    }

    /// Whether the file was last changed at least this long ago, by the clock of whoever keeps it.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanos) = self.changed;
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let changed = seconds + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        changed + age <= now
    }

    pub(super) const fn is_writable_by_all(&self) -> bool {
        self.mode & 0o002 != 0
    }
}

/// What came of reading a file.
#[derive(Debug)]
pub(super) enum Taken {
    /// All of it, and its stamp.
    Whole(Stamp, Vec<u8>),
    /// Somebody has it open for writing.
    Held,
    /// It changed while it was read.
    Changed,
    /// It is not known whether somebody is writing it.
    Unsure,
}

/// Reads a file unless somebody writes it. Where that is not known it is read if `trusted`.
pub(super) fn take(path: &Path, trusted: bool, options: &Options) -> Result<Taken, FollowError> {
    // Against a FIFO, device or another's lease that has come since the file was looked at.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Taken::Held),
        file => file?,
    };
    Stamp::new(&file.metadata()?, options.limit)?;
    let writers = if options.leases { Writers::of(&file) } else { Writers::Unknown };
    match writers {
        Writers::Somebody => return Ok(Taken::Held),
        Writers::Unknown if !trusted => return Ok(Taken::Unsure),
        Writers::Unknown | Writers::Nobody(_) => {}
    }
    // Of the time in which nobody writes, or else to be compared.
    let before = Stamp::new(&file.metadata()?, options.limit)?;
    let mut content = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0));
    let mut left = options.limit.saturating_add(1);
    while left > 0 {
        let read = (&file).take(left.min(CHUNK)).read_to_end(&mut content)?;
        if matches!(&writers, Writers::Nobody(lease) if !lease.is_held()) {
            return Ok(Taken::Changed);
        }
        if read == 0 {
            break;
        }
        left = left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
    }
    if left == 0 {
        return Err(FollowError::TooLarge(options.limit));
    }
    let same = || Stamp::new(&file.metadata()?, options.limit).map(|after| after == before);
    // Under a lease nobody can have written, and to replace the file or set its times is no harm.
    if matches!(writers, Writers::Unknown) && !same()? {
        return Ok(Taken::Changed);
    }
    Ok(Taken::Whole(before, content))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::Write as _,
        os::unix::net::UnixListener,
        sync::atomic::{AtomicBool, Ordering},
        thread,
        time::Instant,
    };

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    const LIMIT: u64 = 10;

    #[test]
    fn what_cannot_be_followed_is_said_and_never_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::write(at("large"), [b'x'; 11]).unwrap();
        std::os::unix::fs::symlink("self", at("self")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        let table = [
            ("none", "is missing"),
            ("none/list", "is missing"),
            ("directory", "is a directory, not a regular file"),
            ("fifo", "is a FIFO, not a regular file"),
            ("socket", "is a socket, not a regular file"),
            ("/dev/zero", "is a device, not a regular file"),
            ("large", "is larger than 10 bytes, the most that a followed file may be"),
            ("large/list", "cannot be read: Not a directory"),
            ("self", "cannot be read: Too many symbolic links encountered"),
        ];
        let options = Options { limit: LIMIT, ..Options::default() };
        for (name, expected) in table {
            let error = Stamp::of(&at(name), LIMIT).unwrap_err();
            assert_eq!(error.to_string(), expected, "{name}");
            if name != "socket" {
                // It may take the place of a file between a look and opening it.
                assert_eq!(take(&at(name), true, &options).unwrap_err(), error, "{name}");
            }
        }
    }

    #[test]
    fn a_file_is_read_to_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        for leases in [true, false] {
            let options = Options { limit: LIMIT, leases, ..Options::default() };
            for content in ["", "0123456789"] {
                fs::write(&path, content).unwrap();
                let Taken::Whole(stamp, read) = take(&path, true, &options).unwrap() else {
                    panic!("not taken");
                };
                assert_eq!(read, content.as_bytes());
                assert_eq!(Ok(stamp), Stamp::of(&path, LIMIT));
            }
            assert_eq!(matches!(take(&path, false, &options), Ok(Taken::Unsure)), !leases);
        }
    }

    #[test]
    fn a_file_that_lies_about_its_size_is_bounded() {
        // Its size is said to be 0.
        let path = Path::new("/proc/self/status");
        let options = Options { limit: LIMIT, ..Options::default() };
        assert_eq!(take(path, true, &options).unwrap_err(), FollowError::TooLarge(LIMIT));
    }

    #[test]
    fn a_file_that_is_held_open_for_writing_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        let writer = File::create(&path).unwrap();
        let options = Options::default();
        assert!(matches!(take(&path, true, &options), Ok(Taken::Held)));
        drop(writer);
        assert!(matches!(take(&path, false, &options), Ok(Taken::Whole(..))));
    }

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        fs::write(&path, vec![b'x'; 32 << 20]).unwrap();
        for leases in [true, false] {
            let options = Options { leases, ..Options::default() };
            let done = AtomicBool::new(false);
            let write = || {
                while !done.load(Ordering::Relaxed) {
                    let file = OpenOptions::new().write(true).open(&path).unwrap();
                    (&file).write_all(b"y").unwrap();
                    drop(file);
                    thread::yield_now();
                }
            };
            let read = || {
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(20) {
                    if matches!(take(&path, true, &options).unwrap(), Taken::Changed) {
                        return true;
                    }
                }
                false
            };
            let found = thread::scope(|scope| {
                scope.spawn(write);
                let found = read();
                done.store(true, Ordering::Relaxed);
                found
            });
            assert!(found, "leases: {leases}");
        }
    }

    #[test]
    fn a_stamp_knows_its_age() {
        let file = tempfile::tempfile().unwrap();
        let new = Stamp::new(&file.metadata().unwrap(), LIMIT).unwrap();
        assert!(new.is_older_than(Duration::ZERO));
        assert!(!new.is_older_than(Duration::from_hours(1)));
        let old = Stamp { changed: (new.changed.0 - 7200, 0), ..new.clone() };
        assert!(old.is_older_than(Duration::from_hours(1)));
        let later = Stamp { changed: (new.changed.0 + 7200, 0), ..new };
        assert!(!later.is_older_than(Duration::ZERO));
    }
}
