//! The way to the kernel's maps, with patience where the kernel is short of memory for a moment.

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

/// Updates that are refused before the kernel is asked, to see what becomes of a change: for tests.
#[derive(Clone, Copy, Debug)]
pub struct Refusals {
    /// So many updates are let through before.
    pub after: u64,
    /// So many are refused; then all are let through again.
    pub count: u64,
    /// What is answered, such as `ENOMEM`.
    pub code: i32,
}

/// Every update of a map, and every map that is made, goes through here.
#[derive(Clone, Debug, Default)]
pub(super) struct Updates(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// How many have been tried.
    tried: AtomicU64,
    /// The first one that is refused, and the first one after it that is not.
    from: AtomicU64,
    to: AtomicU64,
    code: AtomicI32,
}

impl Updates {
    /// How many have been tried.
    pub(super) fn tried(&self) -> u64 {
        self.0.tried.load(Ordering::SeqCst)
    }

    /// Refuses some of those to come, instead of what was to be refused before.
    pub(super) fn refuse(&self, refusals: Refusals) {
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

    fn once<T>(&self, update: &mut impl FnMut() -> Result<T, MapError>) -> Result<T, MapError> {
        let state = &*self.0;
        let number = state.tried.fetch_add(1, Ordering::Relaxed);
        if number < state.to.load(Ordering::Relaxed) && number >= state.from.load(Ordering::Relaxed)
        {
            let io_error = io::Error::from_raw_os_error(state.code.load(Ordering::Relaxed));
            return Err(SyscallError { call: "bpf_map_update_elem", io_error }.into());
        }
        update()
    }
}

fn is_passing(error: &MapError) -> bool {
    let code = os_error(error).and_then(io::Error::raw_os_error);
    matches!(code, Some(libc::ENOMEM | libc::EBUSY | libc::EAGAIN | libc::EDEADLK | libc::EINTR))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(code: i32) -> MapError {
        SyscallError { call: "test", io_error: io::Error::from_raw_os_error(code) }.into()
    }

    #[test]
    fn a_passing_failure_is_tried_again() {
        let mut answers = vec![Ok(()), Err(failing(libc::EBUSY)), Err(failing(libc::ENOMEM))];
        Updates::default().patiently(|| answers.pop().unwrap()).unwrap();
        assert!(answers.is_empty());
    }

    #[test]
    fn a_lasting_failure_is_reported_at_once() {
        let mut calls = 0;
        let result = Updates::default().patiently(|| {
            calls += 1;
            Err::<(), _>(failing(libc::E2BIG))
        });
        assert!(result.is_err());
        assert_eq!(calls, 1);
    }

    #[test]
    fn just_those_are_refused_that_are_to_be() {
        let updates = Updates::default();
        updates.refuse(Refusals { after: 1, count: 2, code: libc::EPERM });
        let mut made = 0;
        let mut update = || {
            made += 1;
            Ok(())
        };
        let done: Vec<bool> = (0..5).map(|_| updates.patiently(&mut update).is_ok()).collect();
        assert_eq!(done, [true, false, false, true, true]);
        assert_eq!((made, updates.tried()), (3, 5));
    }

    #[test]
    fn patience_ends() {
        let mut calls = 0;
        let result = Updates::default().patiently(|| {
            calls += 1;
            Err::<(), _>(failing(libc::ENOMEM))
        });
        assert!(result.is_err());
        assert_eq!(calls, ATTEMPTS);
    }
}
