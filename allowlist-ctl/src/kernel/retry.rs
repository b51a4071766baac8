//! Patience with a kernel that is short of memory for a moment.

use std::{io, thread, time::Duration};

use aya::maps::MapError;

/// Attempts in all; with the pauses below, about two seconds.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Does `update` until it succeeds, fails for good, or has failed too often.
///
/// Kernels from 6.13 on answer ENOMEM to updates of a trie while memory is at hand, because the list of free
/// nodes of a CPU is filled with a delay; EBUSY, EAGAIN and EDEADLK come from locks that were taken.
///
/// # Errors
/// The last error.
pub(super) fn patiently(mut update: impl FnMut() -> Result<(), MapError>) -> Result<(), MapError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match update() {
            Err(error) if is_passing(&error) => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
    update()
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
    use aya::sys::SyscallError;

    use super::*;

    fn failing(code: i32) -> MapError {
        SyscallError { call: "test", io_error: io::Error::from_raw_os_error(code) }.into()
    }

    #[test]
    fn a_passing_failure_is_tried_again() {
        let mut answers = vec![Ok(()), Err(failing(libc::EBUSY)), Err(failing(libc::ENOMEM))];
        patiently(|| answers.pop().unwrap()).unwrap();
        assert!(answers.is_empty());
    }

    #[test]
    fn a_lasting_failure_is_reported_at_once() {
        let mut calls = 0;
        let result = patiently(|| {
            calls += 1;
            Err(failing(libc::E2BIG))
        });
        assert!(result.is_err());
        assert_eq!(calls, 1);
    }

    #[test]
    fn patience_ends() {
        let mut calls = 0;
        let result = patiently(|| {
            calls += 1;
            Err(failing(libc::ENOMEM))
        });
        assert!(result.is_err());
        assert_eq!(calls, ATTEMPTS);
    }
}
