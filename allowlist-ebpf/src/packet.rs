//! The packet's bytes: all `unsafe` access to them is here.

use core::hint::black_box;

use allowlist_common::packet::{Packet, REACH};
use aya_ebpf::{
    helpers::{bpf_csum_diff, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len},
    programs::XdpContext,
};

/// Index of the interface that a packet came in on.
#[inline(always)]
pub(crate) fn ifindex(ctx: &XdpContext) -> u32 {
    // SAFETY: the context is the kernel's, valid for this run of the program.
    unsafe { (*ctx.ctx).ingress_ifindex }
}

/// Length of a packet in bytes, in however many buffers it is.
///
/// For programs that take several buffers; kernels without them do not know the helper.
#[inline(always)]
pub(crate) fn length_of_all_buffers(ctx: &XdpContext) -> u64 {
    // SAFETY: the context is the kernel's; the helper only reads it.
    unsafe { bpf_xdp_get_buff_len(ctx.ctx) }
}

/// The linear part of a packet.
pub(crate) struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end() }
    }

    /// Length of the linear part in bytes.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// Writes bytes at an offset; `None` where any of them would lie outside the packet.
    #[inline(always)]
    pub(crate) fn write<const N: usize>(&self, offset: usize, bytes: &[u8; N]) -> Option<()> {
        // Opaque, so that the compiler writes through the pointer that was compared, and not through one that it
        // works out again and that the verifier knows nothing about.
        let place = self.place::<N>(black_box(offset))?;
        // SAFETY: `place` was found to lie inside the packet's memory, which is ours to write.
        unsafe { *(place as *mut [u8; N]) = *bytes };
        Some(())
    }

    /// The sum of the 32-bit words of `N` bytes, as the Internet checksum wants it, in the byte order of the host.
    #[inline(always)]
    pub(crate) fn sum<const N: usize>(&self, offset: usize) -> Option<u32> {
        // Opaque, so that what is compared is what is added: Linux 5.10 learns nothing about another copy on the stack.
        let place = self.place::<N>(black_box(offset))? as *mut u32;
        let length = u32::try_from(N).ok()?;
        // SAFETY: the bytes at `place` were found to lie inside the packet; the helper only reads them.
        let sum = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, place, length, 0) };
        u32::try_from(sum).ok()
    }

    #[inline(always)]
    fn place<const N: usize>(&self, offset: usize) -> Option<usize> {
        if offset >= REACH {
            return None;
        }
        let place = self.start + offset;
        if place + N > self.end { None } else { Some(place) }
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let place = self.place::<N>(offset)?;
        // SAFETY: `place` was found to lie inside the packet's memory.
        Some(unsafe { *(place as *const [u8; N]) })
    }
}

/// Cuts a packet in one buffer, or makes room before it; frames made before no longer hold.
#[inline(always)]
pub(crate) fn resize(
    ctx: &XdpContext,
    frame: &Frame,
    more_head: i32,
    length: usize,
) -> Option<Frame> {
    let cut = i32::try_from(length).ok()? - i32::try_from(frame.len()).ok()? - more_head;
    // SAFETY: the context is the kernel's; the helpers check what they are asked.
    unsafe {
        if bpf_xdp_adjust_tail(ctx.ctx, cut) != 0 {
            return None;
        }
        if more_head != 0 && bpf_xdp_adjust_head(ctx.ctx, -more_head) != 0 {
            return None;
        }
    }
    // Opaque: the compiler knows that the context's fields are 32 bits wide, and would compare them by shifting,
    // which the verifier does not allow for pointers.
    Some(Frame { start: black_box(ctx.data()), end: black_box(ctx.data_end()) })
}
