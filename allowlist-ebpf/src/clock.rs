//! The kernel's clocks.

use allowlist_common::abi::BootSeconds;
use aya_ebpf::{
    Global,
    helpers::{bpf_ktime_get_boot_ns, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
};

const NANOSECONDS: u64 = 1_000_000_000;

/// 1 where the kernel has the coarse clock (Linux 5.11); the daemon finds out by trying.
#[unsafe(no_mangle)]
static COARSE_CLOCK: Global<u8> = Global::new(1);

/// Seconds since boot, time asleep included.
#[inline(always)]
pub(crate) fn boot_seconds() -> BootSeconds {
    // SAFETY: the helper takes nothing and cannot fail.
    seconds(unsafe { bpf_ktime_get_boot_ns() })
}

/// Nanoseconds of the monotonic clock, exact to a tick.
#[inline(always)]
pub(crate) fn nanoseconds() -> u64 {
    if COARSE_CLOCK.load() == 0 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_ktime_get_ns() }
    } else {
        // SAFETY: as above.
        unsafe { bpf_ktime_get_coarse_ns() }
    }
}

/// Whole seconds; those that fit last 136 years.
#[inline(always)]
pub(crate) fn seconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / NANOSECONDS).unwrap_or(u32::MAX)
}
