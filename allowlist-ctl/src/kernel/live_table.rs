//! The table in force, and the small changes that are made in it in place.
//!
//! Swapping the root waits until every running program has left the old table, some ten milliseconds. What differs
//! in one service's row only (its first entry, a new trie, its mode) is written into the memory that the program reads,
//! word by word, where each packet meets the row as it was or as it will be in whatever step. Where one could meet a
//! mixture, as with the last entry (the flags of a closed service with the empty trie of an open one), the root is
//! swapped.

use std::{
    mem::offset_of,
    sync::atomic::{AtomicU32, Ordering},
};

use allowlist_common::abi::{OPEN, PolicyTable, PortRow, ServiceRow};
use aya::maps::{MapData, MapError};

use super::{
    mapped::{Memory, make_mapped},
    retry::Calls,
};

/// Whether words that one CPU stores in one order are never seen in another one by a CPU that loads them in the opposite
/// order. Elsewhere it would take barriers that programs do not have.
const IS_ORDERED: bool =
    cfg!(any(target_arch = "x86", target_arch = "x86_64", target_arch = "s390x"));

/// A map with a table, and its memory.
pub(super) struct LiveTable {
    pub(super) map: MapData,
    memory: Memory<PolicyTable>,
    table: Box<PolicyTable>,
}

impl LiveTable {
    /// A new map with a table; nobody reads it yet.
    ///
    /// # Errors
    /// The kernel's refusal to make or map it.
    pub(super) fn new(table: Box<PolicyTable>, calls: &Calls) -> Result<Self, MapError> {
        let (map, mut memory) = make_mapped("policy_table", 1, calls)?;
        memory.write(0, &*table);
        Ok(Self { map, memory, table })
    }

    /// The table.
    pub(super) fn table(&self) -> &PolicyTable {
        &self.table
    }

    /// Makes the table this one in place; `false` where that cannot be done so that every packet meets the one or the other.
    pub(super) fn become_in_place(&mut self, next: &PolicyTable) -> bool {
        let mut table = self.table.clone();
        let Some(stores) = stores(&mut table, next) else { return false };
        for Store { offset, value } in stores {
            // SAFETY: the offset is that of an aligned u32 inside the table, which the memory holds for as long as
            // `self` lives; everybody who writes it does so here.
            let word = unsafe { AtomicU32::from_ptr(self.memory.at(0).byte_add(offset).cast()) };
            word.store(value, Ordering::SeqCst);
        }
        self.table = table;
        true
    }
}

/// A word that is stored, by its place in the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Store {
    offset: usize,
    value: u32,
}

/// Brings a copy of the table to the next one, and says what is stored for that, one word after the other; `None` where
/// more differs than one service's row and what guards it, or a packet could meet a mixture.
fn stores(table: &mut PolicyTable, next: &PolicyTable) -> Option<Vec<Store>> {
    let mut changed = (0..).zip(table.services.iter_mut().zip(&next.services));
    let (number, (row, after)) = changed.find(|(_, (row, after))| *row != *after)?;
    let before = std::mem::replace(row, *after);
    let mut guards = Vec::new();
    for (index, (row, next)) in table.rows.iter_mut().zip(&next.rows).enumerate() {
        if row.guarded != next.guarded {
            let at = offset_of!(PolicyTable, rows) + index * size_of::<PortRow>();
            row.guarded = next.guarded;
            guards.push(Store { offset: at + offset_of!(PortRow, guarded), value: next.guarded });
        }
    }
    if *table != *next || !is_never_mixed(&before, after, guards.is_empty()) {
        return None;
    }
    let at = offset_of!(PolicyTable, services) + number * size_of::<ServiceRow>();
    let word =
        |field, before, value| (before != value).then_some(Store { offset: at + field, value });
    let tries = [
        word(offset_of!(ServiceRow, trie_v4), before.trie_v4, after.trie_v4),
        word(offset_of!(ServiceRow, trie_v6), before.trie_v6, after.trie_v6),
    ];
    let flags = word(offset_of!(ServiceRow, flags), before.flags, after.flags);
    Some(tries.into_iter().flatten().chain(guards).chain(flags).collect())
}

/// Whether a packet meets a service as it was or as it will be while the tries, the guards and the flags are stored in
/// this order. It reads the flags, then the trie of its family where they do not say that the service is open, and the
/// guard last.
fn is_never_mixed(before: &ServiceRow, after: &ServiceRow, same_guards: bool) -> bool {
    let same_tries = (before.trie_v4, before.trie_v6) == (after.trie_v4, after.trie_v6);
    // The flags alone, or the guard alone, decide. A later fragment is judged by both: while a service opens or closes it
    // passes in whichever order it meets them.
    same_tries
        // The trie of its family alone.
        || (before.flags == after.flags && same_guards)
        // Who sees the old flags asks no trie, and who sees the new ones finds the rest in place.
        || (IS_ORDERED && before.flags & OPEN != 0)
}

#[cfg(test)]
mod tests;
