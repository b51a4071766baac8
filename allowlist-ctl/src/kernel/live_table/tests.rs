use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use allowlist_common::{
    abi::{BootSeconds, MONITOR, REJECT, Ruling, WATCHED},
    decide::{self, Sources, Verdict},
    parse::{Aside, Family, Flow, Protocol},
};

use super::*;

const SERVICE: u16 = 3;
const PORT: u16 = 6379;
/// Tries by number: the empty one, two that admit a source each, and one that admits both.
const ADMITTED: [&[u8]; 4] = [&[], &[1], &[2], &[1, 2]];

/// A table of one service on a strict interface.
fn table(flags: u32, trie: u32, guarded: u32) -> Box<PolicyTable> {
    let mut table = Box::new(PolicyTable::EMPTY);
    table.services[usize::from(SERVICE)] = ServiceRow { trie_v4: trie, trie_v6: trie, flags };
    let row = &mut table.rows[0];
    (row.guarded, row.strict, row.strict_services[0]) = (guarded, 1, SERVICE);
    row.pages[PortRow::page_index(Protocol::Tcp, PORT)] = 1;
    table.pages[1][usize::from(PORT & 0xff)] = SERVICE;
    table
}

/// The table as a packet meets it whose loads see so many of the stores each.
struct Race<'a> {
    table: &'a PolicyTable,
    stores: &'a [Store],
    seen: RefCell<VecDeque<usize>>,
    loads: Cell<usize>,
}

impl Sources for Race<'_> {
    fn load(&self, word: &u32) -> u32 {
        self.loads.set(self.loads.get() + 1);
        let offset = std::ptr::from_ref(word).addr() - std::ptr::from_ref(self.table).addr();
        let seen = self.seen.borrow_mut().pop_front().unwrap_or(0);
        let stored = self.stores[..seen].iter().rev().find(|store| store.offset == offset);
        stored.map_or(*word, |store| store.value)
    }

    fn lookup_v4(&self, trie: u32, _: u32, address: [u8; 4]) -> Option<Ruling> {
        let allow = u32::from(address[3]);
        let is_admitted = ADMITTED[trie as usize].contains(&address[3]);
        let until = BootSeconds::MAX;
        is_admitted.then_some(Ruling { allow, allow_until: until, ..Ruling::default() })
    }

    fn lookup_v6(&self, trie: u32, length: u32, address: [u8; 16]) -> Option<Ruling> {
        self.lookup_v4(trie, length, [0, 0, 0, address[15]])
    }

    fn now(&self) -> BootSeconds {
        0
    }
}

/// A packet that the parser set aside or not, of a family, from a source by its last byte.
type Packet = (Result<(), Aside>, Family, u8);

fn packets() -> Vec<Packet> {
    let mut packets = Vec::new();
    for parsed in [Ok(()), Err(Aside::LaterFragment), Err(Aside::BadIpHeader)] {
        for family in [Family::V4, Family::V6] {
            packets.extend([1, 2, 9].map(|source| (parsed, family, source)));
        }
    }
    packets
}

/// The verdict about a packet whose loads see so many stores each, and how many loads it made.
fn verdict(
    table: &PolicyTable,
    stores: &[Store],
    seen: &[usize],
    (parsed, family, source): Packet,
) -> (Verdict, usize) {
    let mut flow = Flow { family, protocol: Protocol::Tcp, port: PORT, ..Flow::EMPTY };
    flow.source[if matches!(family, Family::V4) { 3 } else { 15 }] = source;
    let seen = RefCell::new(seen.iter().copied().collect());
    let race = Race { table, stores, seen, loads: Cell::new(0) };
    (decide::decide(table, &race, 7, parsed, &flow), race.loads.get())
}

/// Every way in which so many loads, one after the other, can see so many stores, and in any order unless it is kept.
fn schedules(loads: usize, stores: usize, is_ordered: bool) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..loads {
        let later = |seen: Vec<usize>| {
            let from = seen.last().copied().filter(|_| is_ordered).unwrap_or(0);
            (from..=stores).map(move |next| [seen.as_slice(), &[next]].concat())
        };
        all = all.into_iter().flat_map(later).collect();
    }
    all
}

#[test]
fn a_change_in_place_is_met_as_before_or_as_after_by_every_packet() {
    let flags = [0, OPEN, MONITOR, OPEN | MONITOR, REJECT, MONITOR | WATCHED];
    let mut states = Vec::new();
    for flags in flags {
        states.extend([0, 1, 2, 3].map(|trie| (flags, trie)));
    }
    // Another service may guard the interface, too.
    let guard = |flags: u32, other: u32| other | u32::from(flags & (OPEN | MONITOR) == 0);
    let (mut in_place, mut met) = (0, 0);
    for (before, after) in states.iter().flat_map(|one| states.iter().map(move |two| (one, two))) {
        for other in [0, 1] {
            let now = table(before.0, before.1, guard(before.0, other));
            let next = table(after.0, after.1, guard(after.0, other));
            let mut reached = now.clone();
            let Some(stores) = stores(&mut reached, &next) else { continue };
            assert_eq!(reached, next, "{before:?}, {after:?}");
            in_place += 1;
            let is_ordered = before.0 & OPEN != 0 && before.1 != after.1;
            for packet in packets() {
                let (old, _) = verdict(&now, &[], &[], packet);
                let (new, _) = verdict(&next, &[], &[], packet);
                for seen in schedules(3, stores.len(), is_ordered) {
                    let (verdict, loads) = verdict(&now, &stores, &seen, packet);
                    assert!(loads <= 3, "{packet:?}: {loads} loads");
                    met += 1;
                    assert!(
                        is_either(verdict, old, new),
                        "{before:?}, {after:?}, {packet:?}, {seen:?}: {verdict:?} of {stores:?}"
                    );
                }
            }
        }
    }
    assert!(in_place > 200 && met > in_place * 18, "{in_place} changes, {met} packets");
}

/// Whether a verdict is one of two; by what counter an unreadable packet passes is not asked, for it belongs to no
/// service.
fn is_either(verdict: Verdict, old: Verdict, new: Verdict) -> bool {
    verdict == old
        || verdict == new
        || verdict.service == 0 && {
            [old, new].iter().any(|one| one.service == 0 && one.passes() == verdict.passes())
        }
}

#[test]
fn what_is_changed_often_is_changed_in_place() {
    let table_of = |flags, trie| table(flags, trie, u32::from(flags & (OPEN | MONITOR) == 0));
    for (what, before, after, expected) in [
        ("nothing", (0, 1), (0, 1), false),
        ("a first entry", (OPEN, 0), (0, 1), IS_ORDERED),
        ("a first entry, monitored", (OPEN | MONITOR, 0), (MONITOR, 1), IS_ORDERED),
        ("a last entry", (0, 1), (OPEN, 0), false),
        ("a last entry, monitored", (MONITOR, 1), (OPEN | MONITOR, 0), false),
        ("a last entry beside trusted's", (0, 3), (OPEN, 3), true),
        ("a new trie", (0, 1), (0, 2), true),
        ("a new trie, monitored", (MONITOR, 1), (MONITOR, 2), true),
        ("mode monitor", (0, 1), (MONITOR | WATCHED, 1), true),
        ("mode enforce", (MONITOR | WATCHED, 1), (0, 1), true),
        ("mode enforce with other entries", (MONITOR, 1), (0, 2), false),
        ("another answer", (0, 1), (REJECT, 1), true),
        ("another answer with other entries", (0, 1), (REJECT, 2), false),
    ] {
        let (mut now, next) = (table_of(before.0, before.1), table_of(after.0, after.1));
        assert_eq!(stores(&mut now, &next).is_some(), expected, "{what}");
    }
}
