//! The table in force, and the small changes that are made in it in place.
//!
//! Swapping the root waits until every running program has left the old table, some ten milliseconds. What differs
//! in one service's row only (its first entry, its last one, a new trie) is written into the memory that the
//! program reads: field by field, in an order in which a packet meets the row as it was or as it will be.

use std::sync::atomic::{AtomicU32, Ordering};

use allowlist_common::abi::{MONITOR, OPEN, PolicyTable, ServiceRow};
use aya::maps::{MapData, MapError};

use super::{
    mapped::{Memory, make_mapped},
    retry::Calls,
};

/// A service with one of these drops nobody.
const PASSES_ALL: u32 = OPEN | MONITOR;

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

    /// Makes the table this one in place; `false` where it differs in more than one service's row.
    pub(super) fn become_in_place(&mut self, next: &PolicyTable) -> bool {
        let mut changed = (0..).zip(self.table.services.iter().zip(&next.services));
        let Some((number, (before, after))) = changed.find(|(_, (before, after))| before != after)
        else {
            return false;
        };
        let (before, after) = (*before, *after);
        let mut reached = self.table.clone();
        reached.services[number] = after;
        for (row, next) in reached.rows.iter_mut().zip(&next.rows) {
            row.guarded = next.guarded;
        }
        if *reached != *next {
            return false;
        }
        if after.flags & PASSES_ALL == 0 {
            // The tries first, for an open service does not ask them, and one that is monitored drops nobody whatever
            // they say; then what guards it; then the service.
            self.store_tries(number, after);
            self.store_guards(next);
            self.store(|table| &raw const table.services[number].flags, after.flags);
        } else {
            // The service first: with the new tries and the old flags it could drop who passes before and after.
            self.store(|table| &raw const table.services[number].flags, after.flags);
            self.store_guards(next);
            self.store_tries(number, after);
        }
        debug_assert_ne!(before, after);
        self.table = reached;
        true
    }

    fn store_tries(&self, number: usize, row: ServiceRow) {
        self.store(|table| &raw const table.services[number].trie_v4, row.trie_v4);
        self.store(|table| &raw const table.services[number].trie_v6, row.trie_v6);
    }

    fn store_guards(&self, next: &PolicyTable) {
        for (index, row) in next.rows.iter().enumerate() {
            if self.table.rows[index].guarded != row.guarded {
                self.store(|table| &raw const table.rows[index].guarded, row.guarded);
            }
        }
    }

    /// Stores a word where it stands in the copy of the table here.
    fn store(&self, field: impl Fn(&PolicyTable) -> *const u32, value: u32) {
        let offset = field(&self.table).addr() - std::ptr::from_ref(self.table.as_ref()).addr();
        // SAFETY: the offset is that of an aligned u32 inside the table, which the memory holds for as long as
        // `self` lives; everybody who writes it does so here.
        let word = unsafe { AtomicU32::from_ptr(self.memory.at(0).byte_add(offset).cast()) };
        word.store(value, Ordering::SeqCst);
    }
}
