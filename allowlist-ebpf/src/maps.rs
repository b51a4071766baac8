//! The maps, and the lookups over them.

use allowlist_common::{
    abi::{
        BootSeconds, Counter, Judged, Node, PolicyTable, SERVICES, TRIE_ENTRIES, TRIES, Unmatched,
    },
    decide::Sources,
};
use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, LpmTrie, PerCpuArray, lpm_trie::Key},
    helpers::bpf_ktime_get_boot_ns,
    macros::btf_map,
};

type Trie<const BYTES: usize> = LpmTrie<[u8; BYTES], Node, { TRIE_ENTRIES as usize }>;

/// The policy in force; one pointer, swapped as a whole.
#[btf_map]
static ROOT: ArrayOfMaps<Array<PolicyTable, 1>, 1> = ArrayOfMaps::new();

#[btf_map]
static TRIES_V4: ArrayOfMaps<Trie<4>, { TRIES as usize }> = ArrayOfMaps::new();

#[btf_map]
static TRIES_V6: ArrayOfMaps<Trie<16>, { TRIES as usize }> = ArrayOfMaps::new();

#[btf_map]
pub(crate) static SERVICE_COUNTS: PerCpuArray<Counter, { SERVICES * Judged::SLOTS as usize }> =
    PerCpuArray::new();

#[btf_map]
pub(crate) static OTHER_COUNTS: PerCpuArray<Counter, { Unmatched::SLOTS as usize }> =
    PerCpuArray::new();

/// The policy in force.
#[inline(always)]
pub(crate) fn policy() -> Option<&'static PolicyTable> {
    ROOT.get_value(0, &0)
}

/// The pools of tries.
pub(crate) struct KernelTries;

impl Sources for KernelTries {
    #[inline(always)]
    fn lookup_v4(&self, trie: u32, prefix_len: u32, address: [u8; 4]) -> Option<Node> {
        TRIES_V4.get(trie)?.get(&Key::new(prefix_len, address)).copied()
    }

    #[inline(always)]
    fn lookup_v6(&self, trie: u32, prefix_len: u32, address: [u8; 16]) -> Option<Node> {
        TRIES_V6.get(trie)?.get(&Key::new(prefix_len, address)).copied()
    }

    #[inline(always)]
    fn now(&self) -> BootSeconds {
        // SAFETY: the helper takes nothing and cannot fail.
        let nanoseconds = unsafe { bpf_ktime_get_boot_ns() };
        BootSeconds::try_from(nanoseconds / 1_000_000_000).unwrap_or(BootSeconds::MAX)
    }
}
