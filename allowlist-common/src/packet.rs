//! The seam between the parser and a packet's bytes.

/// Headers are read below this offset: what lies beyond counts as cut off.
///
/// The verifier wants a bound, and follows more paths the larger it is. A driver's buffer is no longer than a page, and
/// no honest packet has headers of four kilobytes.
pub const REACH: usize = 4096;

/// A packet that can be read at any offset from the start of its Ethernet header.
pub trait Packet {
    /// The `N` bytes at `offset`, or `None` where `offset` is not below [`REACH`] or any of the bytes lies outside the
    /// packet.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Packet for [u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset >= REACH {
            return None;
        }
        self.get(offset..)?.first_chunk().copied()
    }
}
