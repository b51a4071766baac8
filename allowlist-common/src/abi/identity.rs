//! Which store the policy in force is from.

/// The store that the policy in force is from, and its revision: the only value of the array map that is pinned as
/// `store` beside the directories of the ABI versions.
///
/// Every release reads what every other one pinned, so this layout never changes: the store's id, then the revision in
/// the byte order of the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct StoreIdentity {
    /// Random, made with the store.
    pub id: [u8; 16],
    /// Revision of the policy that the store had on disk when it was last put in force: never more than the store has.
    pub revision: u64,
}

impl StoreIdentity {
    /// Length of the value.
    pub const BYTES: usize = 24;

    /// The value.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (id, revision) = bytes.split_at_mut(self.id.len());
        id.copy_from_slice(&self.id);
        revision.copy_from_slice(&self.revision.to_ne_bytes());
        bytes
    }

    /// Reads the value.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (mut id, mut revision) = ([0; 16], [0; 8]);
        id.copy_from_slice(&bytes[..16]);
        revision.copy_from_slice(&bytes[16..]);
        Self { id, revision: u64::from_ne_bytes(revision) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_one_that_every_release_has() {
        let identity = StoreIdentity { id: *b"0123456789abcdef", revision: 0x0102_0304_0506_0708 };
        let mut expected = b"0123456789abcdef".to_vec();
        expected.extend(0x0102_0304_0506_0708_u64.to_ne_bytes());
        assert_eq!(identity.to_bytes().as_slice(), expected);
        assert_eq!(StoreIdentity::from_bytes(&identity.to_bytes()), identity);
        assert_eq!(size_of::<StoreIdentity>(), StoreIdentity::BYTES);
    }
}
