//! The Internet checksum (RFC 1071).

/// A sum of 16-bit words, not yet folded.
#[derive(Clone, Copy)]
pub(crate) struct Sum(u32);

impl Sum {
    pub(crate) const ZERO: Self = Self(0);

    /// Adds one word.
    #[inline(always)]
    pub(crate) const fn word(self, word: u16) -> Self {
        Self(self.0 + word as u32)
    }

    /// Adds bytes, two by two in network order; an odd last one is left out.
    #[inline(always)]
    pub(crate) fn bytes<const N: usize>(self, bytes: &[u8; N]) -> Self {
        let mut sum = self;
        let mut index = 0;
        while index + 1 < N {
            sum = sum.word(u16::from_be_bytes([bytes[index], bytes[index + 1]]));
            index += 2;
        }
        sum
    }

    /// Adds a sum of 32-bit words in the byte order of the host.
    #[inline(always)]
    pub(crate) const fn native(self, sum: u32) -> Self {
        // The sum of swapped words is the swapped sum (RFC 1071, section 2 B).
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        self.word(u16::from_be((folded & 0xffff) as u16))
    }

    /// The checksum: the complement of the folded sum. Sums of up to 65,536 words fold in two steps.
    #[inline(always)]
    pub(crate) const fn checksum(self) -> u16 {
        let once = (self.0 & 0xffff) + (self.0 >> 16);
        !(((once & 0xffff) + (once >> 16)) as u16)
    }
}
