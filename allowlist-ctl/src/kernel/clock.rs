//! The boot clock, by which entries end in the kernel.

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

use crate::policy::entry::BootClock;

/// How wall-clock time and the boot clock relate now.
#[must_use]
pub fn boot_clock() -> BootClock {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(SignedDuration::ZERO, |time| SignedDuration::new(time.tv_sec(), 0));
    BootClock {
        booted_at: Timestamp::now().saturating_sub(since_boot).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}
