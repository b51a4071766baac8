//! The memory of a map: an array that user space and the programs see alike, written without system calls.

use std::{mem, num::NonZeroUsize, ptr::NonNull};

use allowlist_common::{
    abi::PolicyTable,
    flat::{Element, Word},
};
use aya::maps::{MapData, MapError};
use aya_obj::generated::{BPF_F_MMAPABLE, bpf_map_type};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::retry::Calls;

/// Arrays are looked up by an index of 32 bits.
const KEY_SIZE: u32 = 4;

/// What may be kept in the memory of a map.
///
/// # Safety
/// Zeros are a value of the type, it has no padding, and it owns nothing.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: plain numbers.
unsafe impl Plain for u64 {}
// SAFETY: a plain number.
unsafe impl Plain for Word {}
// SAFETY: four plain numbers that fill it.
unsafe impl Plain for Element {}
// SAFETY: arrays of structures of plain numbers, laid out without padding.
unsafe impl Plain for PolicyTable {}

/// The memory of an array map of one value, which is `length` times `T`; all zeros at first.
pub(super) struct Memory<T> {
    first: NonNull<T>,
    length: usize,
}

// SAFETY: the memory is the kernel's and belongs to no thread.
unsafe impl<T: Send> Send for Memory<T> {}

/// Makes a map that nobody reads yet.
///
/// # Errors
/// The kernel's refusal.
pub(super) fn make<T>(name: &str, length: usize, calls: &Calls) -> Result<MapData, MapError> {
    let size = u32::try_from(bytes::<T>(length).get()).unwrap_or(u32::MAX);
    let kind = bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    let layout = || aya_obj::Map::new_from_params(kind, KEY_SIZE, size, 1, BPF_F_MMAPABLE);
    calls.patiently(|| MapData::create(layout(), name, None))
}

/// The same with its memory, which keeps it.
///
/// # Errors
/// The kernel's refusal to make or map it.
pub(super) fn make_mapped<T: Plain>(
    name: &str,
    length: usize,
    calls: &Calls,
) -> Result<(MapData, Memory<T>), MapError> {
    let map = make::<T>(name, length, calls)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let bytes = bytes::<T>(length);
    // SAFETY: a new mapping at an address of the kernel's choice; it is as long as the map's only value.
    let first = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, map.fd(), 0) };
    let first = first.map_err(|errno| MapError::IoError(errno.into()))?.cast();
    Ok((map, Memory { first, length }))
}

impl<T: Plain> Memory<T> {
    /// Such memory without a map.
    #[cfg(test)]
    pub(super) fn of_no_map(length: usize) -> Self {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE;
        // SAFETY: a new mapping of zeros at an address of the kernel's choice.
        let first =
            unsafe { nix::sys::mman::mmap_anonymous(None, bytes::<T>(length), access, flags) };
        Self { first: first.unwrap().cast(), length }
    }

    /// Where a value stands; it lives as long as `self`.
    pub(super) fn at(&self, index: usize) -> *mut T {
        assert!(index < self.length, "there is no value {index} among {}", self.length);
        // SAFETY: inside the mapping, as was just seen.
        unsafe { self.first.as_ptr().add(index) }
    }

    /// A value that no program writes.
    pub(super) fn get(&self, index: usize) -> T {
        // SAFETY: an aligned value inside the mapping: one that was written there, or zeros, which are a value of
        // what is plain.
        unsafe { self.at(index).read() }
    }

    /// Writes a value that no program reads yet.
    pub(super) fn write(&mut self, index: usize, value: &T) {
        // SAFETY: an aligned place inside the mapping, which nobody else writes and where no value is.
        unsafe { self.at(index).copy_from_nonoverlapping(value, 1) }
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: the whole mapping that was made; nothing refers to it any more.
        let unmapped = unsafe { munmap(self.first.cast(), bytes::<T>(self.length).get()) };
        if let Err(errno) = unmapped {
            tracing::warn!("cannot unmap the memory of a map: {errno}");
        }
    }
}

/// Bytes of so many values.
fn bytes<T>(length: usize) -> NonZeroUsize {
    NonZeroUsize::new(mem::size_of::<T>() * length).unwrap_or(NonZeroUsize::MIN)
}
