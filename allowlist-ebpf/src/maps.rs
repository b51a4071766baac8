//! The maps.
//!
//! Maps "of a CPU" have a slot for each, to which references are made here. Drivers, and the stack in generic mode, run
//! a program with bottom halves off and to its end, the programs that it goes on with included: nobody else is at this
//! CPU's slots meanwhile. A test run may be interrupted by a packet on its CPU, which then has the slots to itself, and
//! after which the test run finds in them what that packet left: numbers as good as its own, of which one may be lost. Only
//! tests and benchmarks have the programs that use these slots run so (`Kernel::judge`); the one that explains uses none.

use allowlist_common::{
    abi::{
        Counter, Drop, EVENTS_BYTES, Explanation, HITS_PAGE, HITS_PAGES, Judged, PolicyTable,
        Ruling, SERVICES, SIGHTINGS as MOST_SIGHTINGS, Sighting, Source, TRIE_ENTRIES, TRIES,
        Unmatched, next, tried,
    },
    flat::{CHUNKS, ELEMENTS_CHUNK, Element, ROOTS, Root, WORDS_CHUNK, Word},
};
use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, ArrayOfMaps, LpmTrie, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
    macros::btf_map,
    programs::XdpContext,
};

use crate::{aftermath::Handover, clock};

/// What a map in an array of maps holds, as an array of one.
///
/// Kernels from 5.15 to 6.2 put a map in such an array only where they know as much about timers in its values as of
/// the map that is described here: "none" for a structure that they have a description of, "cannot tell" for the maps
/// that the daemon makes, which have none. Of an array they cannot tell either.
type Inner<T> = [T; 1];

type Trie<const BYTES: usize> = LpmTrie<[u8; BYTES], Inner<Ruling>, { TRIE_ENTRIES as usize }>;

/// A map that the daemon writes through its memory.
type Flat<T> = Array<Inner<T>, 1, { BPF_F_MMAPABLE as usize }>;

type Table = Flat<PolicyTable>;

/// The policy in force; one pointer, swapped as a whole. The daemon writes single words of it through its memory.
#[btf_map]
static ROOT: ArrayOfMaps<Table, 1> = ArrayOfMaps::new();

/// The policy on trial, or the last one that was.
#[btf_map]
static TRIAL: ArrayOfMaps<Table, 1> = ArrayOfMaps::new();

#[btf_map]
static TRIED: PerCpuArray<u64, { tried::SLOTS as usize }> = PerCpuArray::new();

#[btf_map]
static SIGHTINGS: LruHashMap<Source, Sighting, MOST_SIGHTINGS> = LruHashMap::new();

#[btf_map]
static EXPLANATION: Array<Explanation, 1> = Array::new();

#[btf_map]
pub(crate) static TRIES_V4: ArrayOfMaps<Trie<4>, { TRIES as usize }> = ArrayOfMaps::new();

#[btf_map]
pub(crate) static TRIES_V6: ArrayOfMaps<Trie<16>, { TRIES as usize }> = ArrayOfMaps::new();

#[btf_map]
pub(crate) static FLAT_ROOTS: ArrayOfMaps<Flat<Root>, { ROOTS as usize }> = ArrayOfMaps::new();

#[btf_map]
pub(crate) static FLAT_ELEMENTS: ArrayOfMaps<
    Flat<[Element; ELEMENTS_CHUNK as usize]>,
    { CHUNKS as usize },
> = ArrayOfMaps::new();

#[btf_map]
pub(crate) static FLAT_WORDS: ArrayOfMaps<Flat<[Word; WORDS_CHUNK as usize]>, { CHUNKS as usize }> =
    ArrayOfMaps::new();

#[btf_map]
static SERVICE_COUNTS: PerCpuArray<Counter, { SERVICES * Judged::SLOTS as usize }> =
    PerCpuArray::new();

#[btf_map]
static OTHER_COUNTS: PerCpuArray<Counter, { Unmatched::SLOTS as usize }> = PerCpuArray::new();

#[btf_map]
static HITS: ArrayOfMaps<Array<u32, { HITS_PAGE as usize }>, { HITS_PAGES as usize }> =
    ArrayOfMaps::new();

#[btf_map]
pub(crate) static EVENTS: RingBuf<Drop, EVENTS_BYTES> = RingBuf::new();

#[btf_map]
static EVENT_BUDGET: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_map]
static EVENTS_LOST: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_map]
static HANDOVER: PerCpuArray<Handover, 1> = PerCpuArray::new();

/// The programs that go on with a packet, by [`next`].
#[btf_map]
static NEXT: ProgramArray<{ next::SLOTS as usize }> = ProgramArray::new();

/// How many events this CPU may still report.
#[inline(always)]
pub(crate) fn event_budget() -> Option<&'static mut u64> {
    // SAFETY: the slot is this CPU's own while the program runs (see above), is an aligned u64, and is the map's as long as
    // that is there; no two references to the slot are kept at once.
    EVENT_BUDGET.get_ptr_mut(0).map(|place| unsafe { &mut *place })
}

/// Counts an event that was not reported.
#[inline(always)]
pub(crate) fn count_lost_event() {
    if let Some(lost) = EVENTS_LOST.get_ptr_mut(0) {
        // SAFETY: as for the budget of events.
        unsafe { *lost += 1 };
    }
}

/// Where this CPU's programs hand a packet over.
#[inline(always)]
pub(crate) fn handover() -> Option<&'static mut Handover> {
    // SAFETY: as for the budget of events: zeros, and whatever the program left there, are a value, and the program that
    // asks is not one that still holds a reference: a tail call ends it.
    HANDOVER.get_ptr_mut(0).map(|place| unsafe { &mut *place })
}

/// Goes on with another program, by its place in [`next`]; comes back only where there is none.
#[inline(always)]
pub(crate) fn go_on(ctx: &XdpContext, place: u32) {
    // SAFETY: the array holds programs of this object for the same kind of context.
    unsafe { NEXT.tail_call(ctx, place) };
}

/// The policy on trial, where the one in force says that there is one.
#[inline(always)]
pub(crate) fn policy_on_trial() -> Option<&'static PolicyTable> {
    TRIAL.get_value(0, &0).map(|[table]| table)
}

/// Counts a packet that was judged twice, by [`tried`].
#[inline(always)]
pub(crate) fn count_tried(index: u32) {
    if let Some(count) = TRIED.get_ptr_mut(index) {
        // SAFETY: as for the budget of events.
        unsafe { *count += 1 };
    }
}

/// Notes a packet of a source.
#[inline(always)]
pub(crate) fn note_sighting(source: &Source) {
    let now = clock::seconds(clock::nanoseconds());
    if let Some(sighting) = SIGHTINGS.get_ptr_mut(source) {
        // SAFETY: the place is the map's, aligned, and stays one of a sighting as long as the program runs. Where CPUs
        // write it at once a packet may be missed in the count, which says how busy a source is.
        unsafe {
            let packets = &raw mut (*sighting).packets;
            packets.write_volatile(packets.read_volatile() + 1);
            (&raw mut (*sighting).last).write_volatile(now);
        }
        return;
    }
    // Where it is refused, the source is noted by its next packet.
    let first = Sighting { packets: 1, first: now, last: now };
    let _ = SIGHTINGS.insert(source, first, 0);
}

/// Where the question to the program that explains is, and its answer goes.
#[inline(always)]
pub(crate) fn explanation() -> Option<&'static mut Explanation> {
    // SAFETY: the slot is the map's and aligned, and any bytes are a value. It is every CPU's, but only the program that
    // explains uses it, of which the daemon runs one at a time, and writes to it in between; one reference is made a run.
    EXPLANATION.get_ptr_mut(0).map(|place| unsafe { &mut *place })
}

/// The policy in force, which stays there while the program runs: the kernel waits for it before it frees a map.
///
/// The daemon stores words of it meanwhile, each as a whole: flags and tries of a service, and what guards an interface.
/// They are read through [`Sources::load`](allowlist_common::decide::Sources::load) alone, or, by [`observe`](crate::observe), where whichever is found will do;
/// nothing may be concluded from reading one twice.
#[inline(always)]
pub(crate) fn policy() -> Option<&'static PolicyTable> {
    ROOT.get_value(0, &0).map(|[table]| table)
}

/// Counts a packet of a service.
#[inline(always)]
pub(crate) fn count(service: u16, judged: Judged, length: u64) {
    add(&SERVICE_COUNTS, judged.counter(service), length);
}

/// Counts a packet of no service.
#[inline(always)]
pub(crate) fn count_unmatched(unmatched: Unmatched, length: u64) {
    add(&OTHER_COUNTS, unmatched.counter(), length);
}

#[inline(always)]
fn add<const N: usize>(counters: &PerCpuArray<Counter, N>, index: u32, length: u64) {
    if let Some(counter) = counters.get_ptr_mut(index) {
        // SAFETY: as for the budget of events.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += length;
        }
    }
}

/// Notes that an entry decided about a packet; written once a second, so that CPUs share what they read and
/// seldom what they write.
#[inline(always)]
pub(crate) fn note_hit(entry: u32) {
    if entry == 0 {
        return;
    }
    let Some(hit) = HITS.get_value_ptr_mut(entry / HITS_PAGE, &(entry % HITS_PAGE)) else { return };
    let now = clock::seconds(clock::nanoseconds());
    // SAFETY: the place is an aligned u32 of an array, which lives as long as the program runs; CPUs that write
    // it at once write the same second.
    unsafe {
        if hit.read_volatile() != now {
            hit.write_volatile(now);
        }
    }
}
