//! The boot clock, by which entries end in the kernel.

use allowlist_common::abi::BootSeconds;
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

use crate::policy::entry::BootClock;

/// How wall-clock time and the boot clock relate now.
#[must_use]
pub fn boot_clock() -> BootClock {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(SignedDuration::ZERO, |time| {
        SignedDuration::new(time.tv_sec(), i32::try_from(time.tv_nsec()).unwrap_or(0))
    });
    let booted_at = Timestamp::now().saturating_sub(since_boot);
    BootClock {
        booted_at: booted_at.unwrap_or(Timestamp::UNIX_EPOCH),
        now: BootSeconds::try_from(since_boot.as_secs()).unwrap_or(0),
    }
}
