//! The way to the kernel, with patience where it is short of memory for a moment.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use aya::{maps::MapError, sys::SyscallError};

/// Attempts in all; with the pauses below, about two seconds.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Calls that are refused before the kernel is asked, to see what becomes of a start or a change: for tests.
#[derive(Clone, Copy, Debug)]
pub struct Refusals {
    /// So many calls are let through before.
    pub after: u64,
    /// So many are refused; then all are let through again.
    pub count: u64,
    /// What is answered, such as `ENOMEM`.
    pub code: i32,
}

/// Whatever makes something in the kernel or changes it goes through here: maps and their updates, programs, links, and
/// pins. The maps of the object, which aya makes in one go, are one call.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// How many have been tried.
    tried: AtomicU64,
    /// The first one that is refused, and the first one after it that is not.
    from: AtomicU64,
    to: AtomicU64,
    code: AtomicI32,
}

impl Calls {
    /// How many have been tried.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.0.tried.load(Ordering::SeqCst)
    }

    /// Refuses some of those to come, instead of what was to be refused before.
    pub fn refuse(&self, refusals: Refusals) {
        let from = self.tried().saturating_add(refusals.after);
        self.0.code.store(refusals.code, Ordering::SeqCst);
        self.0.from.store(from, Ordering::SeqCst);
        self.0.to.store(from.saturating_add(refusals.count), Ordering::SeqCst);
    }

    /// Does `update` until it succeeds, fails for good, or has failed too often.
    ///
    /// Kernels from 6.13 on answer ENOMEM to updates of a trie while memory is at hand, because the list of free
    /// nodes of a CPU is filled with a delay; EBUSY, EAGAIN and EDEADLK come from locks that were taken.
    ///
    /// # Errors
    /// The last error.
    pub(super) fn patiently<T>(
        &self,
        mut update: impl FnMut() -> Result<T, MapError>,
    ) -> Result<T, MapError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.once(&mut update) {
                Err(error) if is_passing(&error) => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                result => return result,
            }
        }
        self.once(&mut update)
    }

    /// Asks the kernel once.
    ///
    /// # Errors
    /// Its refusal.
    pub(super) fn once<T, E: From<SyscallError>>(
        &self,
        ask: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match self.refusal() {
            Some(io_error) => Err(SyscallError { call: "bpf", io_error }.into()),
            None => ask(),
        }
    }

    /// The same where the answer is the system's own.
    ///
    /// # Errors
    /// Its refusal.
    pub(super) fn ask<T>(&self, ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.refusal().map_or_else(ask, Err)
    }

    /// Counts a call, and says what it is refused with where it is to be.
    fn refusal(&self) -> Option<io::Error> {
        let state = &*self.0;
        let number = state.tried.fetch_add(1, Ordering::Relaxed);
        let to_be_refused = state.from.load(Ordering::Relaxed)..state.to.load(Ordering::Relaxed);
        to_be_refused
            .contains(&number)
            .then(|| io::Error::from_raw_os_error(state.code.load(Ordering::Relaxed)))
    }
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// The caller may not.
    Denied,
    /// There is no memory.
    Memory,
    /// There are no descriptors.
    Files,
    /// Something is in the way that should not last.
    Passing,
    /// The kernel does not know how.
    Lacking,
    /// Nothing of these.
    Other,
}

impl Meaning {
    pub(super) fn of(error: &io::Error) -> Self {
        use libc::{
            EACCES, EAGAIN, EBUSY, EDEADLK, EINTR, EINVAL, EMFILE, ENFILE, ENOMEM, ENOSYS,
            EOPNOTSUPP, EPERM,
        };
        match error.raw_os_error() {
            Some(EPERM | EACCES) => Self::Denied,
            Some(ENOMEM) => Self::Memory,
            Some(EMFILE | ENFILE) => Self::Files,
            Some(EBUSY | EAGAIN | EDEADLK | EINTR) => Self::Passing,
            Some(EINVAL | ENOSYS | EOPNOTSUPP) => Self::Lacking,
            _ => Self::Other,
        }
    }
}

/// Whether the kernel does not say what is pinned somewhere, where another time it would.
pub(super) fn tells_nothing(error: &io::Error) -> bool {
    use Meaning::{Denied, Files, Memory, Passing};
    matches!(Meaning::of(error), Denied | Memory | Files | Passing)
        || error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

fn is_passing(error: &MapError) -> bool {
    let meaning = os_error(error).map(Meaning::of);
    matches!(meaning, Some(Meaning::Memory | Meaning::Passing))
}

/// Pins something.
///
/// # Errors
/// The kernel's answer.
pub(super) fn pin<T>(
    calls: &Calls,
    pin: impl FnOnce() -> Result<T, aya::pin::PinError>,
) -> io::Result<T> {
    calls.once(pin).map_err(|error| match error {
        aya::pin::PinError::SyscallError(SyscallError { io_error, .. }) => io_error,
        error => io::Error::other(error),
    })
}

/// The kernel's answer behind an error of a map.
pub(super) fn os_error(error: &MapError) -> Option<&io::Error> {
    match error {
        MapError::SyscallError(error) => Some(&error.io_error),
        MapError::CreateError { io_error, .. } => Some(io_error),
        MapError::IoError(error) => Some(error),
        _ => None,
    }
}

/// The same error once more.
pub(super) fn copy(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(code: i32) -> MapError {
        SyscallError { call: "test", io_error: io::Error::from_raw_os_error(code) }.into()
    }

    #[test]
    fn a_passing_failure_is_tried_again() {
        let mut answers = vec![Ok(()), Err(failing(libc::EBUSY)), Err(failing(libc::ENOMEM))];
        Calls::default().patiently(|| answers.pop().unwrap()).unwrap();
        assert!(answers.is_empty());
    }

    #[test]
    fn a_lasting_failure_is_reported_at_once() {
        let mut calls = 0;
        let result = Calls::default().patiently(|| {
            calls += 1;
            Err::<(), _>(failing(libc::E2BIG))
        });
        assert!(result.is_err());
        assert_eq!(calls, 1);
    }

    #[test]
    fn just_those_are_refused_that_are_to_be() {
        let calls = Calls::default();
        calls.refuse(Refusals { after: 1, count: 2, code: libc::EPERM });
        let mut made = 0;
        let mut update = || {
            made += 1;
            Ok(())
        };
        let done: Vec<bool> = (0..5).map(|_| calls.patiently(&mut update).is_ok()).collect();
        assert_eq!(done, [true, false, false, true, true]);
        assert_eq!((made, calls.tried()), (3, 5));
    }

    #[test]
    fn patience_ends() {
        let mut calls = 0;
        let result = Calls::default().patiently(|| {
            calls += 1;
            Err::<(), _>(failing(libc::ENOMEM))
        });
        assert!(result.is_err());
        assert_eq!(calls, ATTEMPTS);
    }
}
