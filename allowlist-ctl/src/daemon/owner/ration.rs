//! How much of something that may happen again and again is recorded: some of it a minute, and the rest in one row.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_mins(1);

/// What happened in the last minute, by whoever or whatever has a share of its own.
#[derive(Debug)]
pub(super) struct Ration<K, T> {
    limit: u32,
    windows: BTreeMap<K, Window<T>>,
}

#[derive(Debug)]
struct Window<T> {
    since: Instant,
    recorded: u32,
    more: u32,
    last: T,
}

impl<K: Ord, T: Clone> Ration<K, T> {
    /// So many are recorded one by one in a minute.
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, windows: BTreeMap::new() }
    }

    /// Whether this is to be recorded now; else it is counted.
    pub(super) fn takes(&mut self, of: K, what: &T, now: Instant) -> bool {
        let new = || Window { since: now, recorded: 0, more: 0, last: what.clone() };
        let window = self.windows.entry(of).or_insert_with(new);
        if window.recorded < self.limit {
            window.recorded += 1;
            return true;
        }
        window.more += 1;
        window.last = what.clone();
        false
    }

    /// What was counted in the minutes that are over: the last of each, and how many they were.
    pub(super) fn over(&mut self, now: Instant) -> Vec<(T, u32)> {
        let over = |_: &K, window: &mut Window<T>| now.duration_since(window.since) >= WINDOW;
        summed(self.windows.extract_if(.., over).map(|(_, window)| window))
    }

    /// What was counted, though the minutes are not over.
    pub(super) fn all(&mut self) -> Vec<(T, u32)> {
        summed(std::mem::take(&mut self.windows).into_values())
    }
}

fn summed<T>(windows: impl Iterator<Item = Window<T>>) -> Vec<(T, u32)> {
    windows.filter(|window| window.more > 0).map(|window| (window.last, window.more)).collect()
}
