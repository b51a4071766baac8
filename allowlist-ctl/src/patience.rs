//! Waiting for a daemon that is ending: it has its locks and its socket for a moment more.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// As long as that is waited for.
pub(crate) const LONGEST: Duration = Duration::from_secs(3);
/// Between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until there is something; `None` where there was nothing all the time.
///
/// # Errors
/// Whatever one look ends with.
pub(crate) fn patiently<T, E>(
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let end = Instant::now() + LONGEST;
    loop {
        let found = look()?;
        if found.is_some() || Instant::now() >= end {
            return Ok(found);
        }
        sleep(PAUSE);
    }
}
