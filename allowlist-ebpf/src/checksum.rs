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
        self.word(u16::from_be(fold(sum)))
    }

    /// The checksum: the complement of the folded sum. Sums of up to 65,536 words fold in two steps.
    #[inline(always)]
    pub(crate) const fn checksum(self) -> u16 {
        !fold(self.0)
    }
}

/// Adds what went beyond 16 bits, twice: the first time may go beyond them again.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}
