//! The boot clock, by which entries end in the kernel.

use allowlist_common::abi::BootSeconds;
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

use crate::policy::entry::BootClock;

/// How wall-clock time and the boot clock relate now.
#[must_use]
pub fn boot_clock() -> BootClock {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| time.tv_sec());
    let booted_at = Timestamp::now().saturating_sub(SignedDuration::from_secs(since_boot));
    BootClock {
        booted_at: booted_at.unwrap_or(Timestamp::UNIX_EPOCH),
        now: BootSeconds::try_from(since_boot).unwrap_or(0),
    }
}
