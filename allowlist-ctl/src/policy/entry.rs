//! Entries: prefixes that a list allows or excepts.

mod ending;
mod written;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use allowlist_common::abi::{BootSeconds, NEVER, Ruling};
use imbl::OrdMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::ending::Ending;
pub(super) use self::written::parse_each_key;
pub use self::written::{
    InvalidEntry, NewEntry, parse_comment, parse_end, parse_keys, whole_seconds,
};
use super::Prefix;

/// Longest comment, in bytes.
pub const MAX_COMMENT: usize = 500;

/// What an entry says about its prefix.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The prefix is admitted.
    #[default]
    Allow,
    /// The prefix is denied, inside a larger one that is admitted.
    Except,
}

/// Where an entry came from. What keeps entries in step with a source touches those of its own origin only.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody added it by command.
    #[default]
    Manual,
    /// It is in the file that its group follows.
    File,
}

/// What makes an entry of a list the same entry.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryKey {
    /// The prefix.
    pub prefix: Prefix,
    /// Allow or except.
    pub kind: Kind,
    /// Where it came from: a list may have it from several origins.
    pub origin: Origin,
}

impl EntryKey {
    /// The key of an entry that somebody adds by command.
    #[must_use]
    pub const fn manual(prefix: Prefix, kind: Kind) -> Self {
        Self { prefix, kind, origin: Origin::Manual }
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.kind == Kind::Except { "!" } else { "" };
        write!(f, "{mark}{}", self.prefix)
    }
}

/// Who made a change.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// User id.
    pub uid: u32,
    /// The user's name, or the uid as text where it has none.
    pub name: String,
}

/// An entry of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Id by which the kernel names the entry.
    pub id: u32,
    /// The operator's note.
    pub comment: Option<Arc<str>>,
    /// Who added it.
    pub added_by: Arc<Author>,
    /// When it was added.
    pub added_at: Timestamp,
    /// From when on it no longer decides.
    pub expires_at: Option<Timestamp>,
}

/// A list of entries in the order of their prefixes.
///
/// Copies share what they have in common, so a change costs what it changes.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    entries: OrdMap<EntryKey, Entry>,
    /// Those that end, by their ends.
    ending: Ending,
}

impl Entry {
    /// Whether it no longer decides.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether it ends no earlier than another one.
    #[must_use]
    pub fn outlasts(&self, other: &Self) -> bool {
        let end = |entry: &Self| entry.expires_at.unwrap_or(Timestamp::MAX);
        end(self) >= end(other)
    }
}

impl Entries {
    /// The list of these entries, which come in order.
    pub fn from_sorted(entries: impl Iterator<Item = (EntryKey, Entry)>) -> Self {
        let entries = packed(entries);
        let ending = entries
            .iter()
            .filter_map(|(key, entry)| entry.expires_at.map(|end| (end, *key)))
            .collect();
        Self { entries, ending }
    }

    /// A list without entries.
    #[must_use]
    pub fn none() -> &'static Self {
        static NONE: LazyLock<Entries> = LazyLock::new(Entries::default);
        &NONE
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any entry ends.
    #[must_use]
    pub fn have_ends(&self) -> bool {
        !self.ending.is_empty()
    }

    /// How many entries no longer decide.
    #[must_use]
    pub fn count_expired(&self, now: Timestamp) -> usize {
        self.ending.count_over(now)
    }

    /// How many entries no longer decide, and when the next one will not.
    #[must_use]
    pub fn ends(&self, now: Timestamp) -> (usize, Option<Timestamp>) {
        (self.ending.count_over(now), self.ending.next(now))
    }

    /// The entry with this key.
    #[must_use]
    pub fn get(&self, key: &EntryKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Puts an entry, and returns the one that was there.
    pub fn insert(&mut self, key: EntryKey, entry: Entry) -> Option<Entry> {
        let end = entry.expires_at;
        let before = self.entries.insert(key, entry);
        self.note_end(key, before.as_ref(), end);
        before
    }

    /// Takes an entry away.
    pub fn remove(&mut self, key: &EntryKey) -> Option<Entry> {
        let before = self.entries.remove(key);
        self.note_end(*key, before.as_ref(), None);
        before
    }

    fn note_end(&mut self, key: EntryKey, before: Option<&Entry>, end: Option<Timestamp>) {
        if let Some(end) = before.and_then(|entry| entry.expires_at) {
            self.ending.remove(&(end, key));
        }
        if let Some(end) = end {
            self.ending.insert((end, key));
        }
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryKey, &Entry)> {
        self.entries.iter()
    }

    /// What differs from this list in `next`: the key, the entry here, the entry there.
    pub fn difference<'a>(
        &'a self,
        next: &'a Self,
    ) -> impl Iterator<Item = (&'a EntryKey, Option<&'a Entry>, Option<&'a Entry>)> {
        self.entries.diff(&next.entries).map(|item| match item {
            imbl::ordmap::DiffItem::Add(key, new) => (key, None, Some(new)),
            imbl::ordmap::DiffItem::Update { old: (key, old), new: (_, new) } => {
                (key, Some(old), Some(new))
            }
            imbl::ordmap::DiffItem::Remove(key, old) => (key, Some(old), None),
        })
    }

    /// The entries of one prefix.
    pub(super) fn at(&self, prefix: Prefix) -> impl Iterator<Item = (&EntryKey, &Entry)> {
        let first = EntryKey { prefix, kind: Kind::Allow, origin: Origin::Manual };
        self.entries.range(first..).take_while(move |(key, _)| key.prefix == prefix)
    }

    /// The entries from a key on, in order.
    pub(super) fn from(&self, first: EntryKey) -> impl Iterator<Item = (&EntryKey, &Entry)> {
        self.entries.range(first..)
    }

    /// The last entry up to a key, itself included.
    pub(super) fn last_until(&self, key: &EntryKey) -> Option<&EntryKey> {
        self.entries.get_prev(key).map(|(key, _)| key)
    }
}

impl IntoIterator for Entries {
    type Item = (EntryKey, Entry);
    type IntoIter =
        imbl::ordmap::ConsumingIter<EntryKey, Entry, imbl::shared_ptr::DefaultSharedPtr>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// The map of entries that come in order.
///
/// A node of the map that is full is split in the middle. Where each entry went behind the last one, no node would ever
/// become more than half full, and the map take twice the memory. So every second one is put first, which leaves half
/// full nodes behind, and then those in between, which fill them.
fn packed(mut entries: impl Iterator<Item = (EntryKey, Entry)>) -> OrdMap<EntryKey, Entry> {
    /// So many at a time, so that they and their nodes are at hand the second time.
    const RUN: usize = 1024;
    let mut map = OrdMap::new();
    let mut between = Vec::with_capacity(RUN / 2);
    loop {
        let mut is_between = false;
        for (key, entry) in entries.by_ref().take(RUN) {
            if is_between {
                between.push((key, entry));
            } else {
                map.insert(key, entry);
            }
            is_between = !is_between;
        }
        if between.is_empty() {
            return map;
        }
        for (key, entry) in between.drain(..) {
            map.insert(key, entry);
        }
    }
}

/// How wall-clock time and the boot clock of the kernel relate.
#[derive(Clone, Copy, Debug)]
pub struct BootClock {
    /// The moment at which the boot clock was 0.
    pub booted_at: Timestamp,
    /// What the boot clock says now.
    pub now: BootSeconds,
}

impl BootClock {
    /// Whether a node still has an entry that decides.
    #[must_use]
    pub const fn decides(&self, node: &Ruling) -> bool {
        self.now < node.allow_until || self.now < node.except_until
    }

    /// An entry's end on the boot clock, in whole seconds: never before its time, and less than one after it. What ended
    /// before boot ended at second 1.
    #[must_use]
    pub fn end(&self, expires_at: Option<Timestamp>) -> BootSeconds {
        let Some(expires_at) = expires_at else { return NEVER };
        let left = expires_at.duration_since(self.booted_at);
        let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
        seconds.clamp(1, i64::from(NEVER - 1)).try_into().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_never_early_and_less_than_a_second_late() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let booted_at = at("2026-11-01T00:00:00.7Z");
        let clock = BootClock { booted_at, now: 10 };
        let table = [
            (None, NEVER),
            (Some("2026-11-01T00:00:05.7Z"), 5),
            (Some("2026-11-01T00:00:05Z"), 5),
            (Some("2026-11-01T00:00:06Z"), 6),
            (Some("2026-10-01T00:00:00Z"), 1),
            (Some("9999-01-01T00:00:00Z"), NEVER - 1),
        ];
        for (end, expected) in table {
            assert_eq!(clock.end(end.map(at)), expected, "{end:?}");
        }
    }

    #[test]
    fn a_fraction_of_a_second_is_rounded_up_however_an_end_is_written() {
        for (written, expected) in [
            ("2099-12-01T00:00:00Z", "2099-12-01T00:00:00Z"),
            ("2099-12-01T00:00:00.000000001Z", "2099-12-01T00:00:01Z"),
            ("2099-12-01T00:00:59.9Z", "2099-12-01T00:01:00Z"),
            ("1960-01-01T00:00:00.5Z", "1960-01-01T00:00:01Z"),
        ] {
            let end: Timestamp = written.parse().unwrap();
            assert_eq!(whole_seconds(end).to_string(), expected, "{written}");
            assert_eq!(parse_end(written).unwrap().to_string(), expected, "{written}");
        }
    }

    #[test]
    fn a_list_of_any_length_is_made_of_what_comes_in_order() {
        let entry = |id: u32| {
            let author = Author { uid: 0, name: "root".into() };
            let expires_at = id.is_multiple_of(3).then_some(Timestamp::UNIX_EPOCH);
            let added_at = Timestamp::UNIX_EPOCH;
            Entry { id, comment: None, added_by: Arc::new(author), added_at, expires_at }
        };
        let key = |id: u32| EntryKey::manual(std::net::Ipv4Addr::from_bits(id).into(), Kind::Allow);
        for length in [0, 1, 2, 3, 1023, 1024, 1025, 1026, 2048, 5000] {
            let list = Entries::from_sorted((0..length).map(|id| (key(id), entry(id))));
            let ids: Vec<u32> = list.iter().map(|(_, entry)| entry.id).collect();
            assert_eq!(ids, (0..length).collect::<Vec<u32>>());
            assert!((0..length).all(|id| list.get(&key(id)).is_some_and(|entry| entry.id == id)));
            assert_eq!(list.count_expired(Timestamp::UNIX_EPOCH), length.div_ceil(3) as usize);
        }
    }
}
