//! How many answers are sent.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

use crate::clock;

/// Answers for each CPU in a second; what is denied beyond them is dropped without one.
const REJECTS_PER_SECOND: u32 = 1000;

/// How many answers this CPU sent in a second.
#[repr(C)]
struct Rejects {
    second: u32,
    sent: u32,
}

#[btf_map]
static REJECTS: PerCpuArray<Rejects, 1> = PerCpuArray::new();

/// Whether this CPU may send another answer in this second.
#[inline(always)]
pub(crate) fn take_reject() -> bool {
    let second = clock::seconds(clock::nanoseconds());
    let Some(rejects) = REJECTS.get_ptr_mut(0) else { return false };
    // SAFETY: as for the other maps of a CPU (see `maps`): the slot is this CPU's own while the program runs, and is aligned
    // numbers; no two references to it are kept at once.
    let rejects = unsafe { &mut *rejects };
    if rejects.second != second {
        rejects.second = second;
        rejects.sent = 0;
    }
    rejects.sent += 1;
    rejects.sent <= REJECTS_PER_SECOND
}
