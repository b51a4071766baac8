//! Waiting for a condition instead of sleeping.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Asks every few milliseconds until there is an answer.
///
/// # Errors
///
/// There is none in time. The error names what was waited for.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = condition() {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("{what} did not come within {within:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}
