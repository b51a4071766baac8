//! The ends of entries, and how many are over.

use std::{
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use imbl::OrdSet;
use jiff::Timestamp;

use super::EntryKey;

type End = (Timestamp, EntryKey);

/// Entries that end, by their ends. How many are over is counted on from the last time, for there may be a million of them,
/// and somebody asks every second.
#[derive(Debug, Default)]
pub(super) struct Ending {
    ends: OrdSet<End>,
    counted: Mutex<Counted>,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    number: usize,
    /// The latest end that was counted: all up to it are. It may be gone since.
    last: Option<End>,
}

impl Clone for Ending {
    fn clone(&self) -> Self {
        Self { ends: self.ends.clone(), counted: Mutex::new(*self.counted()) }
    }
}

impl FromIterator<End> for Ending {
    fn from_iter<I: IntoIterator<Item = End>>(ends: I) -> Self {
        Self { ends: ends.into_iter().collect(), counted: Mutex::default() }
    }
}

impl Ending {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn insert(&mut self, end: End) {
        let is_new = self.ends.insert(end).is_none();
        let mut counted = self.counted();
        if is_new && counted.last.is_some_and(|last| end <= last) {
            counted.number += 1;
        }
    }

    pub(super) fn remove(&mut self, end: &End) {
        let was_there = self.ends.remove(end).is_some();
        let mut counted = self.counted();
        if was_there && counted.last.is_some_and(|last| *end <= last) {
            counted.number -= 1;
        }
    }

    /// How many are over.
    pub(super) fn count_over(&self, now: Timestamp) -> usize {
        self.count_on(now).number
    }

    /// The first one that is not over.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let from = self.count_on(now).last.map_or(Bound::Unbounded, Bound::Excluded);
        self.ends.range((from, Bound::Unbounded)).next().map(|(end, _)| *end)
    }

    fn count_on(&self, now: Timestamp) -> Counted {
        let mut counted = self.counted();
        // The clock was set back.
        if counted.last.is_some_and(|(last, _)| last > now) {
            *counted = Counted::default();
        }
        let from = counted.last.map_or(Bound::Unbounded, Bound::Excluded);
        for end in self.ends.range((from, Bound::Unbounded)).take_while(|(end, _)| *end <= now) {
            counted.number += 1;
            counted.last = Some(*end);
        }
        *counted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Kind, Origin};

    fn end(time: u8, entry: u8) -> End {
        let prefix = format!("10.0.0.{entry}").parse().unwrap();
        let key = EntryKey { prefix, kind: Kind::Allow, origin: Origin::Manual };
        (Timestamp::from_second(time.into()).unwrap(), key)
    }

    /// Something done to the ends.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8),
        Remove(u8, u8),
        Count(u8),
        Clone,
    }

    fn step() -> impl Strategy<Value = Step> {
        let (time, entry) = (0_u8..8, 0_u8..4);
        prop_oneof![
            (time.clone(), entry.clone()).prop_map(|(time, entry)| Step::Insert(time, entry)),
            (time.clone(), entry).prop_map(|(time, entry)| Step::Remove(time, entry)),
            time.prop_map(Step::Count),
            Just(Step::Clone),
        ]
    }

    proptest! {
        #[test]
        fn what_is_counted_on_is_what_is_there(steps in prop::collection::vec(step(), 0..60)) {
            let mut ending = Ending::default();
            for step in steps {
                match step {
                    Step::Insert(time, entry) => ending.insert(end(time, entry)),
                    Step::Remove(time, entry) => ending.remove(&end(time, entry)),
                    Step::Clone => ending = ending.clone(),
                    Step::Count(time) => {
                        let now = Timestamp::from_second(time.into()).unwrap();
                        let over = ending.ends.iter().filter(|(end, _)| *end <= now).count();
                        prop_assert_eq!(ending.count_over(now), over);
                        let next = ending.ends.iter().map(|(end, _)| *end).find(|end| *end > now);
                        prop_assert_eq!(ending.next(now), next);
                    }
                }
            }
        }
    }
}
