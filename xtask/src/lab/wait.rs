//! Waiting for a condition instead of sleeping.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// By how many times longer than usual everything may take: in a virtual machine without hardware for it, say.
const PATIENCE: &str = "ALLOWLIST_PATIENCE";

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
    let within = within * env::var(PATIENCE).ok().and_then(|times| times.parse().ok()).unwrap_or(1);
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
