//! Ids of entries.

use std::mem;

use imbl::Vector;
use jiff::{SignedDuration, Timestamp};

/// The ids that are taken: as few and as small as possible, for the kernel keeps arrays by id.
#[derive(Clone, Debug, Default)]
pub struct EntryIds {
    highest: u32,
    free: Vector<u32>,
    /// Given back lately: the second ones before the first.
    resting: [Vector<u32>; 2],
    turned_at: Option<Timestamp>,
}

impl EntryIds {
    /// So long an id is nobody's before it is somebody else's: what it matched last is known to the second.
    const REST: SignedDuration = SignedDuration::from_secs(2);

    /// The pool in which exactly `taken` are taken.
    pub fn from_taken(taken: impl Iterator<Item = u32>) -> Self {
        let mut taken: Vec<u32> = taken.collect();
        taken.sort_unstable();
        let highest = taken.last().copied().unwrap_or(0);
        let mut next = taken.into_iter().peekable();
        let free = (1..=highest).filter(|id| next.next_if_eq(id).is_none()).collect();
        Self { highest, free, ..Self::default() }
    }

    /// Those that can be taken at once.
    pub fn free(&self) -> impl Iterator<Item = u32> + '_ {
        self.free.iter().copied()
    }

    /// The greatest id that was ever taken.
    #[must_use]
    pub const fn highest(&self) -> u32 {
        self.highest
    }

    /// Lets those be taken that have rested by then; to be called before a change.
    pub fn pass_time(&mut self, now: Timestamp) {
        // A clock that was set back starts anew.
        let is_time = self.turned_at.is_none_or(|turned| {
            let rested = now.duration_since(turned);
            rested >= Self::REST || rested.is_negative()
        });
        if is_time {
            let [late, early] = &mut self.resting;
            self.free.append(mem::take(early));
            *early = mem::take(late);
            self.turned_at = Some(now);
        }
    }

    /// Takes an id; never 0.
    pub fn take(&mut self) -> u32 {
        self.free.pop_front().unwrap_or_else(|| {
            self.highest += 1;
            self.highest
        })
    }

    /// Gives an id back.
    pub fn give_back(&mut self, id: u32) {
        self.resting[0].push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_used_again_when_they_have_rested_and_never_twice() {
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut ids = EntryIds::from_taken([2, 5].into_iter());
        assert_eq!(ids.free().collect::<Vec<u32>>(), [1, 3, 4]);
        ids.pass_time(after(2));
        let taken: Vec<u32> = (0..6).map(|_| ids.take()).collect();
        assert_eq!(taken, [1, 3, 4, 6, 7, 8]);
        ids.give_back(7);
        // Given back just after a turn, and just before one.
        ids.pass_time(after(3));
        ids.give_back(3);
        ids.pass_time(after(4));
        assert_eq!(ids.take(), 9);
        ids.pass_time(after(5));
        assert_eq!(ids.take(), 10);
        ids.pass_time(after(6));
        assert_eq!([ids.take(), ids.take(), ids.take()], [7, 3, 11]);
        // The clock was set back.
        ids.give_back(10);
        ids.pass_time(after(1));
        ids.pass_time(after(2));
        assert_eq!(ids.take(), 12);
        ids.pass_time(after(3));
        assert_eq!(ids.take(), 10);
    }

    #[test]
    fn starts_and_changes_in_turns_take_no_more_and_more() {
        let mut taken: Vec<u32> = Vec::new();
        for start in 0..20 {
            let mut ids = EntryIds::from_taken(taken.iter().copied());
            ids.pass_time(Timestamp::from_second(start).unwrap());
            // All of a list is replaced.
            taken.drain(..).for_each(|id| ids.give_back(id));
            taken.extend((0..100).map(|_| ids.take()));
            assert!(ids.highest() <= 200, "{} after {start} starts", ids.highest());
        }
    }
}
