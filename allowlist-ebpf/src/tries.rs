//! The lookups over the maps that hold what sources are looked up in.

use allowlist_common::{
    abi::{BootSeconds, Ruling},
    decide::{self, MAX_ENDED, Sources},
    flat::{self, ELEMENTS_CHUNK, Element, FLAT, Key as Address, Slot, WORDS_CHUNK, Word},
    parse::Family,
};
use aya_ebpf::btf_maps::lpm_trie::Key;

use crate::{
    clock,
    maps::{FLAT_ELEMENTS, FLAT_ROOTS, FLAT_WORDS, TRIES_V4, TRIES_V6},
};

/// What a trie in flat memory says about an address: a function of plain numbers, which the verifier follows once for all.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn in_flat_memory(root: u32, high: u64, low: u64) -> u32 {
    flat::deciding(&KernelTries::<true>, root, Address { high, low }).0
}

/// The same of a trie of the kernel.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn in_kernel_trie(trie: u32, is_v6: u32, high: u64, low: u64) -> u32 {
    let family = if is_v6 == 0 { Family::V4 } else { Family::V6 };
    let address = Address { high, low };
    decide::in_kernel_trie::<_, MAX_ENDED>(&KernelTries::<true>, trie, family, address).0
}

/// Prefixes around a source whose entries may have ended, where all is one function: the verifier follows every step.
const MAX_ENDED_IN_ONE: usize = 8;

/// The tries; looked up by a function where the kernel lets one be called beside tail calls, else in place, which it does
/// not let be done in flat memory.
pub(crate) struct KernelTries<const CALLS: bool>;

impl<const CALLS: bool> Sources for KernelTries<CALLS> {
    #[inline(always)]
    fn load(&self, word: &u32) -> u32 {
        // SAFETY: an aligned word of a table. It is volatile for the daemon may be storing it: it is neither read again
        // nor moved past another one.
        unsafe { (&raw const *word).read_volatile() }
    }

    #[inline(always)]
    fn deciding(&self, trie: u32, family: Family, address: Address) -> Word {
        if CALLS && trie & FLAT != 0 {
            Word(in_flat_memory(trie & !FLAT, address.high, address.low))
        } else if CALLS {
            let is_v6 = matches!(family, Family::V6).into();
            Word(in_kernel_trie(trie, is_v6, address.high, address.low))
        } else {
            decide::in_kernel_trie::<Self, MAX_ENDED_IN_ONE>(self, trie, family, address)
        }
    }

    #[inline(always)]
    fn lookup_v4(&self, trie: u32, prefix_len: u32, address: [u8; 4]) -> Option<Ruling> {
        TRIES_V4.get(trie)?.get(&Key::new(prefix_len, address)).map(|[node]| *node)
    }

    #[inline(always)]
    fn lookup_v6(&self, trie: u32, prefix_len: u32, address: [u8; 16]) -> Option<Ruling> {
        TRIES_V6.get(trie)?.get(&Key::new(prefix_len, address)).map(|[node]| *node)
    }

    #[inline(always)]
    fn slot(&self, root: u32, index: u16) -> Option<Slot> {
        let [table] = FLAT_ROOTS.get_value(root, &0)?;
        let slot = &raw const table[usize::from(index)];
        // SAFETY: the place is an aligned u64 of an array, which lives as long as the program runs; the daemon stores it as
        // a whole.
        Some(Slot::from_u64(unsafe { slot.read_volatile() }))
    }

    #[inline(always)]
    fn element(&self, at: u32) -> Option<&Element> {
        let [chunk] = FLAT_ELEMENTS.get_value(at / ELEMENTS_CHUNK, &0)?;
        Some(&chunk[(at % ELEMENTS_CHUNK) as usize])
    }

    #[inline(always)]
    fn word(&self, at: u32) -> Option<Word> {
        let [chunk] = FLAT_WORDS.get_value(at / WORDS_CHUNK, &0)?;
        Some(chunk[(at % WORDS_CHUNK) as usize])
    }

    #[inline(always)]
    fn now(&self) -> BootSeconds {
        clock::boot_seconds()
    }
}
