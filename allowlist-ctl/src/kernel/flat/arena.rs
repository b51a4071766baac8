//! Memory in units of one kind, in blocks of a few: what is taken, and what is free.

use std::{iter, mem, ops::Range};

use crate::kernel::{
    error::SyncError,
    mapped::{Memory, Plain},
};

/// The most units of a block.
pub(super) const LONGEST: u32 = 64;

/// Where an arena's memory comes from, in chunks of one size.
pub(in crate::kernel) trait Supply<T>: Send {
    /// Units of a chunk.
    fn chunk(&self) -> u32;

    /// The chunk with a number.
    ///
    /// # Errors
    /// [`SyncError`], where there is no more memory.
    fn give(&mut self, number: u32) -> Result<Memory<T>, SyncError>;

    /// Has a chunk taken back, which nothing refers to any more.
    fn take_back(&mut self, number: u32);
}

/// Memory that grows as it is needed.
pub(super) struct Arena<T> {
    supply: Box<dyn Supply<T>>,
    chunks: Vec<Option<Memory<T>>>,
    free: Free,
    /// Units that were free when it was last trimmed.
    scattered: usize,
}

impl<T: Plain> Arena<T> {
    pub(super) fn new(supply: impl Supply<T> + 'static) -> Self {
        Self { supply: Box::new(supply), chunks: Vec::new(), free: Free::default(), scattered: 0 }
    }

    /// Writes values into a new block, and returns its place: never 0.
    ///
    /// # Errors
    /// [`SyncError`], where there is no more memory.
    pub(super) fn put(&mut self, values: &[T]) -> Result<u32, SyncError> {
        let length = u32::try_from(values.len()).unwrap_or(u32::MAX);
        debug_assert!((1..=LONGEST).contains(&length), "no block has {length} units");
        let at = match self.free.take(length) {
            Some(at) => at,
            None => self.make_room(length)?,
        };
        self.scattered = self.scattered.min(self.free.units());
        for (at, value) in (at..).zip(values) {
            let (chunk, offset) = self.place(at);
            if let Some(Some(chunk)) = self.chunks.get_mut(chunk) {
                chunk.write(offset, value);
            }
        }
        Ok(at)
    }

    /// The value at a place of a block.
    pub(super) fn get(&self, at: u32) -> Option<T> {
        let (chunk, offset) = self.place(at);
        self.chunks.get(chunk)?.as_ref().map(|chunk| chunk.get(offset))
    }

    /// The values of a block.
    pub(super) fn block(&self, at: u32, length: u32) -> impl Iterator<Item = T> + '_ {
        (at..).take(length as usize).filter_map(|at| self.get(at))
    }

    /// Has a block for others, which no program may come upon any more.
    pub(super) fn give_back(&mut self, at: u32, length: u32) {
        self.free.give(at..at + length);
    }

    /// Bytes in blocks.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        let units = self.chunks.iter().flatten().count() * self.supply.chunk() as usize;
        // Place 0 is nobody's.
        let taken = units.saturating_sub(1).saturating_sub(self.free.units());
        (taken * mem::size_of::<T>()) as u64
    }

    /// Sees to it that the next few blocks need no new chunk.
    ///
    /// # Errors
    /// [`SyncError`], where there is no more memory.
    pub(super) fn prepare(&mut self) -> Result<(), SyncError> {
        if self.free.units() < LONGEST as usize * 64 { self.grow() } else { Ok(()) }
    }

    /// Gives chunks back that have no block, but for so many of them and the first one.
    pub(super) fn trim(&mut self, mut spare: usize) {
        let chunk = self.supply.chunk();
        // Where that many units were free and no chunk was, it takes another chunk's worth to be worth a look.
        if spare > 0 && self.free.units() < (1 + spare) * chunk as usize + self.scattered {
            return;
        }
        self.free.coalesce();
        let chunks = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        for number in (1..chunks).rev() {
            let units = number * chunk..(number + 1) * chunk;
            let is_there = self.chunks[number as usize].is_some();
            if !is_there || !self.free.covers(&units) {
                continue;
            }
            if spare > 0 {
                spare -= 1;
                continue;
            }
            self.free.cut(&units);
            self.chunks[number as usize] = None;
            self.supply.take_back(number);
        }
        while let Some(None) = self.chunks.last() {
            self.chunks.pop();
        }
        self.scattered = self.free.units();
    }

    /// All units, in the order of their places.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<T>
    where
        T: Default,
    {
        let units = 0..u32::try_from(self.chunks.len()).unwrap() * self.supply.chunk();
        units.map(|at| self.get(at).unwrap_or_default()).collect()
    }

    fn place(&self, at: u32) -> (usize, usize) {
        let chunk = self.supply.chunk();
        ((at / chunk) as usize, (at % chunk) as usize)
    }

    fn make_room(&mut self, length: u32) -> Result<u32, SyncError> {
        let all = self.chunks.len() * self.supply.chunk() as usize;
        if self.free.units() > all / 4 {
            self.free.coalesce();
            if let Some(at) = self.free.take(length) {
                return Ok(at);
            }
        }
        self.grow()?;
        self.free.take(length).ok_or(SyncError::PoolFull)
    }

    fn grow(&mut self) -> Result<(), SyncError> {
        let gap = self.chunks.iter().position(Option::is_none);
        let index = gap.unwrap_or(self.chunks.len());
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let given = self.supply.give(number)?;
        match self.chunks.get_mut(index) {
            Some(place) => *place = Some(given),
            None => self.chunks.push(Some(given)),
        }
        let chunk = self.supply.chunk();
        // Place 0 means "none".
        self.free.give((number * chunk).max(1)..(number + 1) * chunk);
        Ok(())
    }
}

/// Units that are free: blocks by their length, and longer runs.
#[derive(Debug)]
struct Free {
    blocks: [Vec<u32>; LONGEST as usize + 1],
    runs: Vec<Range<u32>>,
    units: usize,
}

impl Default for Free {
    fn default() -> Self {
        Self { blocks: [const { Vec::new() }; LONGEST as usize + 1], runs: Vec::new(), units: 0 }
    }
}

impl Free {
    fn units(&self) -> usize {
        self.units
    }

    /// Takes a block: one of this length, else the beginning of a run, else of the shortest longer block.
    fn take(&mut self, length: u32) -> Option<u32> {
        let at = self.find(length)?;
        self.units -= length as usize;
        Some(at)
    }

    fn find(&mut self, length: u32) -> Option<u32> {
        if let Some(at) = self.blocks[length as usize].pop() {
            return Some(at);
        }
        while let Some(run) = self.runs.last_mut() {
            if run.len() >= length as usize {
                let at = run.start;
                run.start += length;
                return Some(at);
            }
            let rest = run.clone();
            self.runs.pop();
            self.keep(rest);
        }
        for longer in length + 1..=LONGEST {
            if let Some(at) = self.blocks[longer as usize].pop() {
                self.keep(at + length..at + longer);
                return Some(at);
            }
        }
        None
    }

    fn give(&mut self, range: Range<u32>) {
        self.units += range.len();
        self.keep(range);
    }

    fn keep(&mut self, range: Range<u32>) {
        match range.len() {
            0 => {}
            length if length <= LONGEST as usize => self.blocks[length].push(range.start),
            _ => self.runs.push(range),
        }
    }

    /// Joins what lies side by side.
    fn coalesce(&mut self) {
        let blocks = (0..).zip(&mut self.blocks).flat_map(|(length, blocks)| {
            let blocks = mem::take(blocks);
            blocks.into_iter().zip(iter::repeat(length)).map(|(at, length)| at..at + length)
        });
        let mut ranges: Vec<Range<u32>> = blocks.chain(mem::take(&mut self.runs)).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Option<Range<u32>> = None;
        for range in ranges {
            match &mut joined {
                Some(before) if before.end == range.start => before.end = range.end,
                _ => {
                    if let Some(done) = joined.replace(range) {
                        self.keep(done);
                    }
                }
            }
        }
        if let Some(done) = joined {
            self.keep(done);
        }
    }

    /// Whether a run covers all of these.
    fn covers(&self, units: &Range<u32>) -> bool {
        self.runs.iter().any(|run| run.start <= units.start && units.end <= run.end)
    }

    /// Takes these out of the run that covers them.
    fn cut(&mut self, units: &Range<u32>) {
        let covers = |run: &Range<u32>| run.start <= units.start && units.end <= run.end;
        if let Some(index) = self.runs.iter().position(covers) {
            let run = self.runs.swap_remove(index);
            self.units -= units.len();
            self.keep(run.start..units.start);
            self.keep(units.end..run.end);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Memory of this process, so many chunks at most.
    pub(in crate::kernel::flat) struct Process {
        pub(in crate::kernel::flat) chunk: u32,
        pub(in crate::kernel::flat) most: u32,
        pub(in crate::kernel::flat) given: Arc<AtomicU32>,
    }

    impl<T: Plain> Supply<T> for Process {
        fn chunk(&self) -> u32 {
            self.chunk
        }

        fn give(&mut self, _: u32) -> Result<Memory<T>, SyncError> {
            if self.given.fetch_add(1, Ordering::Relaxed) >= self.most {
                self.given.fetch_sub(1, Ordering::Relaxed);
                return Err(SyncError::PoolFull);
            }
            Ok(Memory::of_no_map(self.chunk as usize))
        }

        fn take_back(&mut self, _: u32) {
            self.given.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn arena(chunk: u32, most: u32) -> (Arena<u64>, Arc<AtomicU32>) {
        let given = Arc::new(AtomicU32::new(0));
        (Arena::new(Process { chunk, most, given: Arc::clone(&given) }), given)
    }

    #[test]
    fn what_is_given_back_is_joined_and_used_again() {
        let (mut arena, given) = arena(256, 1);
        let ones: Vec<u32> = (0..255).map(|value| arena.put(&[value]).unwrap()).collect();
        assert!(arena.put(&[0]).is_err());
        assert_eq!(arena.used(), 255 * 8);
        for at in ones {
            arena.give_back(at, 1);
        }
        let block = arena.put(&[7; 64]).unwrap();
        assert_eq!(arena.block(block, 64).collect::<Vec<u64>>(), [7; 64]);
        assert_eq!(given.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn chunks_without_blocks_are_given_back_but_for_one() {
        let (mut arena, given) = arena(128, 10);
        let blocks: Vec<u32> = (0..20).map(|_| arena.put(&[1; 60]).unwrap()).collect();
        assert_eq!(given.load(Ordering::Relaxed), 10);
        let kept = blocks[0];
        for at in &blocks[1..] {
            arena.give_back(*at, 60);
        }
        arena.trim(1);
        assert_eq!(given.load(Ordering::Relaxed), 2);
        arena.trim(0);
        assert_eq!(given.load(Ordering::Relaxed), 1);
        assert_eq!(arena.block(kept, 60).collect::<Vec<u64>>(), [1; 60]);
        let more: Vec<u32> = (0..15).map(|_| arena.put(&[2; 64]).unwrap()).collect();
        assert!(more.iter().all(|at| arena.get(*at) == Some(2)));
        assert_eq!(arena.get(kept), Some(1));
    }

    proptest! {
        #[test]
        fn no_two_blocks_share_a_unit(steps in vec((1u32..=LONGEST, any::<bool>(), any::<usize>()), 1..300)) {
            let (mut arena, _) = arena(128, 1000);
            let mut blocks: Vec<(u32, u32)> = Vec::new();
            for (length, is_put, which) in steps {
                if is_put || blocks.is_empty() {
                    let value = u64::from(length) << 32 | blocks.len() as u64;
                    let at = arena.put(&vec![value; length as usize]).unwrap();
                    prop_assert!(at != 0);
                    blocks.push((at, length));
                } else {
                    let (at, length) = blocks.swap_remove(which % blocks.len());
                    arena.give_back(at, length);
                }
                if which % 50 == 0 {
                    arena.trim(1);
                }
                let mut units: Vec<u32> = blocks.iter().flat_map(|(at, length)| *at..at + length).collect();
                let all = units.len();
                prop_assert!(units.iter().all(|at| arena.get(*at).is_some()));
                units.sort_unstable();
                units.dedup();
                prop_assert_eq!(units.len(), all);
            }
        }
    }
}
