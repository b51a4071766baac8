//! Waiting for a condition instead of sleeping.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Set where a machine is slow: a virtual one without hardware for it, say.
const PATIENCE: &str = "ALLOWLIST_PATIENCE";

/// By how many times longer than usual everything may take; `ALLOWLIST_PATIENCE` says so.
pub(super) fn patience() -> u32 {
    env::var(PATIENCE).ok().and_then(|times| times.parse().ok()).unwrap_or(1).max(1)
}

/// The pause of those who would keep a processor busy: none, but on a slow machine they would be all that it does.
#[must_use]
pub fn pace() -> Duration {
    Duration::from_millis(u64::from(patience() - 1))
}

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
    let within = within * patience();
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = condition() {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("{what} did not come within {within:?}");
        }
        thread::sleep(Duration::from_millis(2) * patience());
    }
}
