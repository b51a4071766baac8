//! The packet's bytes: all `unsafe` access to them is here.

use allowlist_common::packet::Packet;
use aya_ebpf::programs::XdpContext;

/// Headers are read below this offset; the deepest that the parser walks end well before it, save extension
/// headers made to be long, and those count as cut off.
const MAX_OFFSET: usize = 1023;

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
}

impl Packet for Frame {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset > MAX_OFFSET {
            return None;
        }
        let bytes = self.start + offset;
        if bytes + N > self.end {
            return None;
        }
        // SAFETY: `start..end` is the packet's memory, and `bytes..bytes + N` was found to lie inside it.
        Some(unsafe { *(bytes as *const [u8; N]) })
    }
}
