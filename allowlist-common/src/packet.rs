//! The seam between the parser and a packet's bytes.

/// A packet that can be read at any offset from the start of its Ethernet header.
pub trait Packet {
    /// The `N` bytes at `offset`, or `None` where any of them lies outside the packet.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Packet for [u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}
