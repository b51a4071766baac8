//! The maps of the flat engine: root tables, and chunks of elements and words.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    mem,
    sync::atomic::{AtomicU64, Ordering},
};

use allowlist_common::flat::{FLAT, ROOT_SLOTS, Slot};
use aya::maps::{ArrayOfMaps, Map, MapData, MapError};

use super::arena::Supply;
use crate::kernel::{
    budget::{Budget, Reservation},
    error::SyncError,
    mapped::{Memory, Plain, make, make_mapped},
    retry::Calls,
    slots::Slots,
};

/// Bytes of a root table.
const BYTES: usize = mem::size_of::<u64>() * ROOT_SLOTS;

/// A root table in a slot of its own.
pub(super) struct RootTable {
    slot: u32,
    memory: Memory<u64>,
    _reserved: Reservation,
}

impl RootTable {
    /// Its number, as services have it.
    pub(super) fn number(&self) -> u32 {
        self.slot | FLAT
    }

    /// A slot.
    pub(super) fn load(&self, index: usize) -> Slot {
        Slot::from_u64(self.place(index).load(Ordering::Relaxed))
    }

    /// All slots.
    pub(super) fn slots(&self) -> Vec<Slot> {
        (0..ROOT_SLOTS).map(|index| self.load(index)).collect()
    }

    /// Stores a slot as a whole; whatever was written before is seen by whoever comes by it.
    pub(super) fn store(&self, index: usize, slot: Slot) {
        self.place(index).store(slot.to_u64(), Ordering::Release);
    }

    fn place(&self, index: usize) -> &AtomicU64 {
        // SAFETY: an aligned u64 in the memory, which lives as long as `self`; everybody who writes it does so here.
        unsafe { AtomicU64::from_ptr(self.memory.at(index)) }
    }
}

/// Where root tables are.
enum Place {
    Kernel {
        slots: Box<Slots<MapData>>,
        calls: Calls,
    },
    /// In this process, where no program reads them.
    #[cfg(test)]
    Process,
}

/// The root tables.
pub(in crate::kernel) struct Roots {
    place: Place,
    /// An empty table: putting one in its slot takes an RCU grace period, which nobody should have to wait for.
    spare: Option<RootTable>,
    /// Tables whose slots still have their maps.
    dying: Vec<RootTable>,
    tables: usize,
    budget: Budget,
}

impl Roots {
    /// The tables in an array of maps.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(in crate::kernel) fn new(map: Map, budget: Budget, calls: Calls) -> Result<Self, MapError> {
        let empty = make::<u64>("flat_root", ROOT_SLOTS, &calls)?;
        let slots = Slots::new(ArrayOfMaps::try_from(map)?, empty, calls.clone())?;
        Ok(Self {
            place: Place::Kernel { slots: Box::new(slots), calls },
            spare: None,
            dying: Vec::new(),
            tables: 0,
            budget,
        })
    }

    #[cfg(test)]
    pub(super) fn in_process() -> Self {
        let budget = Budget::new(u64::MAX);
        Self { place: Place::Process, spare: None, dying: Vec::new(), tables: 0, budget }
    }

    /// An empty table.
    ///
    /// # Errors
    /// [`SyncError`]
    pub(super) fn take(&mut self) -> Result<RootTable, SyncError> {
        let table = match self.spare.take() {
            Some(spare) => spare,
            None => self.make()?,
        };
        self.tables += 1;
        Ok(table)
    }

    fn make(&mut self) -> Result<RootTable, SyncError> {
        let reserved = self.budget.reserve(BYTES as u64)?;
        let (memory, slot) = match &mut self.place {
            Place::Kernel { slots, calls } => {
                let (map, memory) = make_mapped("flat_root", ROOT_SLOTS, calls)?;
                (memory, slots.put(&map)?)
            }
            #[cfg(test)]
            Place::Process => (Memory::of_no_map(ROOT_SLOTS), 0),
        };
        Ok(RootTable { slot, memory, _reserved: reserved })
    }

    /// Takes a table back, which no program may come upon any more.
    pub(super) fn give_back(&mut self, table: RootTable) {
        self.tables -= 1;
        if self.spare.is_none() {
            (0..ROOT_SLOTS).for_each(|index| table.store(index, Slot::default()));
            self.spare = Some(table);
            return;
        }
        self.retire(table);
    }

    /// Gives up the empty table that is kept.
    pub(super) fn give_up_spare(&mut self) {
        if let Some(spare) = self.spare.take() {
            self.retire(spare);
        }
    }

    fn retire(&mut self, table: RootTable) {
        match &mut self.place {
            Place::Kernel { slots, .. } => slots.retire(table.slot),
            #[cfg(test)]
            Place::Process => {}
        }
        self.dying.push(table);
    }

    /// Lets go of the tables that were given back, but for one.
    pub(super) fn tidy(&mut self) {
        let are_free = match &mut self.place {
            Place::Kernel { slots, .. } => slots.free_retired(),
            #[cfg(test)]
            Place::Process => true,
        };
        if are_free {
            self.dying.clear();
        }
    }

    /// Whether there is any table.
    pub(super) fn are_used(&self) -> bool {
        self.tables > 0
    }

    /// Bytes of the tables.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        (self.tables * BYTES) as u64
    }

    /// Waits until all programs that are running have ended; `false` where that is not known.
    pub(super) fn wait_for_programs(&mut self) -> bool {
        match &mut self.place {
            Place::Kernel { slots, .. } => slots.wait_for_programs(),
            #[cfg(test)]
            Place::Process => true,
        }
    }
}

/// Chunks of elements or words, in an array of maps.
pub(in crate::kernel) struct Chunks<T> {
    array: ArrayOfMaps<MapData, MapData>,
    length: u32,
    /// The chunk with number 0, which is also where there is none any more.
    first: Option<MapData>,
    reserved: BTreeMap<u32, Reservation>,
    budget: Budget,
    calls: Calls,
    of: PhantomData<T>,
}

impl<T> Chunks<T> {
    /// Chunks of so many.
    ///
    /// # Errors
    /// Where the map is none of maps.
    pub(in crate::kernel) fn new(
        map: Map,
        length: u32,
        budget: Budget,
        calls: Calls,
    ) -> Result<Self, MapError> {
        let array = ArrayOfMaps::try_from(map)?;
        let reserved = BTreeMap::new();
        Ok(Self { array, length, first: None, reserved, budget, calls, of: PhantomData })
    }
}

impl<T: Plain + Send> Supply<T> for Chunks<T> {
    fn chunk(&self) -> u32 {
        self.length
    }

    fn give(&mut self, number: u32) -> Result<Memory<T>, SyncError> {
        if number >= self.array.len() {
            return Err(SyncError::PoolFull);
        }
        let bytes = mem::size_of::<T>() * self.length as usize;
        let reservation = self.budget.reserve(bytes as u64)?;
        let (map, memory) = make_mapped("flat_chunk", self.length as usize, &self.calls)?;
        self.calls.patiently(|| self.array.set(number, &map, 0))?;
        if number == 0 {
            self.first = Some(map);
        }
        self.reserved.insert(number, reservation);
        Ok(memory)
    }

    fn take_back(&mut self, number: u32) {
        let Some(first) = &self.first else { return };
        if self.calls.patiently(|| self.array.set(number, first, 0)).is_ok() {
            self.reserved.remove(&number);
        }
    }
}
