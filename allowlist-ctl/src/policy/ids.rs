//! Ids of entries.

use imbl::Vector;

/// The ids that are taken: as few and as small as possible, for the kernel keeps arrays by id.
#[derive(Clone, Debug, Default)]
pub struct EntryIds {
    highest: u32,
    free: Vector<u32>,
}

impl EntryIds {
    /// The pool in which exactly `taken` are taken.
    pub fn from_taken(taken: impl Iterator<Item = u32>) -> Self {
        let mut taken: Vec<u32> = taken.collect();
        taken.sort_unstable();
        let highest = taken.last().copied().unwrap_or(0);
        let mut next = taken.into_iter().peekable();
        let free = (1..=highest).filter(|id| next.next_if_eq(id).is_none()).collect();
        Self { highest, free }
    }

    /// The greatest id that was ever taken.
    #[must_use]
    pub const fn highest(&self) -> u32 {
        self.highest
    }

    /// Takes an id; never 0.
    pub fn take(&mut self) -> u32 {
        self.free.pop_back().unwrap_or_else(|| {
            self.highest += 1;
            self.highest
        })
    }

    /// Gives an id back.
    pub fn give_back(&mut self, id: u32) {
        self.free.push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_used_again_and_never_twice() {
        let mut ids = EntryIds::from_taken([2, 5].into_iter());
        let mut taken: Vec<u32> = (0..4).map(|_| ids.take()).collect();
        taken.sort_unstable();
        assert_eq!(taken, [1, 3, 4, 6]);
        ids.give_back(3);
        assert_eq!(ids.take(), 3);
        assert_eq!(ids.take(), 7);
    }
}
