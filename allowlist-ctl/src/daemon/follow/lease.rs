//! Whether somebody has a file open for writing.

use std::{fs::File, os::fd::AsRawFd as _};

use nix::{
    errno::Errno,
    libc,
    sys::statfs::{self, FsType, fstatfs},
};

/// `F_SETSIG` of `fcntl(2)`, which libc does not have.
const F_SETSIG: libc::c_int = 10;

/// File systems that others may write to without this kernel's knowledge: a lease says nothing there, or is never given.
const SHARED: [FsType; 13] = [
    statfs::AFS_SUPER_MAGIC,
    statfs::CODA_SUPER_MAGIC,
    statfs::FUSE_SUPER_MAGIC,
    statfs::NFS_SUPER_MAGIC,
    statfs::OCFS2_SUPER_MAGIC,
    statfs::SMB_SUPER_MAGIC,
    FsType(0xff53_4d42), // CIFS
    FsType(0xfe53_4d42), // SMB2 and later
    FsType(0x00c3_6400), // Ceph
    FsType(0x0102_1997), // 9P
    FsType(0x0116_1970), // GFS2
    FsType(0x0bd0_0bd0), // Lustre
    FsType(0x6b41_4653), // the kernel's own AFS
];

/// Who has a file open for writing.
#[derive(Debug)]
pub(super) enum Writers<'a> {
    /// Nobody, and nobody will while the lease is held.
    Nobody(Lease<'a>),
    Somebody,
    Unknown,
}

/// A read lease (`fcntl(2)`, `F_SETLEASE`); given back when the file is closed.
///
/// Who opens the file for writing meanwhile waits until it is given back, for as long as `/proc/sys/fs/lease-break-time`.
#[derive(Debug)]
pub(super) struct Lease<'a>(&'a File);

impl<'a> Writers<'a> {
    /// Asks the kernel for a lease on a file that is open for reading only.
    pub(super) fn of(file: &'a File) -> Self {
        if fstatfs(file).is_ok_and(|fs| SHARED.contains(&fs.filesystem_type())) {
            return Self::Unknown;
        }
        // Whoever wants to write sends the holder of the lease a signal: by default SIGIO, which would end the process.
        // SIGURG is ignored unless asked for.
        match fcntl(file, F_SETSIG, libc::SIGURG)
            .and_then(|_| fcntl(file, libc::F_SETLEASE, libc::F_RDLCK))
        {
            Ok(_) => Self::Nobody(Lease(file)),
            Err(Errno::EAGAIN) => Self::Somebody,
            // EACCES: neither the owner nor CAP_LEASE. EINVAL: the file system has no leases.
            Err(_) => Self::Unknown,
        }
    }
}

impl Lease<'_> {
    /// Whether nobody has asked to write since it was given.
    pub(super) fn is_held(&self) -> bool {
        fcntl(self.0, libc::F_GETLEASE, 0) == Ok(libc::F_RDLCK)
    }
}

fn fcntl(file: &File, command: libc::c_int, argument: libc::c_int) -> nix::Result<libc::c_int> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed; the commands above take an integer or nothing.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) })
}

#[cfg(test)]
mod tests {
    use std::{
        fs::OpenOptions,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn a_lease_is_had_while_nobody_writes_and_ends_when_somebody_wants_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        let writer = File::create(&path).unwrap();
        let file = File::open(&path).unwrap();
        assert!(matches!(Writers::of(&file), Writers::Somebody));
        drop(writer);
        let Writers::Nobody(lease) = Writers::of(&file) else { panic!("no lease") };
        assert!(lease.is_held());
        // Opening it for writing waits, and the signal that it sends does not end this process.
        let waiting = thread::spawn(move || OpenOptions::new().append(true).open(path).map(drop));
        let start = Instant::now();
        while lease.is_held() {
            assert!(start.elapsed() < Duration::from_secs(20), "the lease is not broken");
            thread::yield_now();
        }
        drop(file);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn where_there_are_no_leases_writers_are_unknown() {
        let file = File::open("/proc/self/status").unwrap();
        // A lease is refused or given by kind of file system; never is somebody said to write.
        assert!(!matches!(Writers::of(&file), Writers::Somebody));
    }
}
