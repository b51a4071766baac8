//! Which sources a service admits: the lists that decide together, and what each prefix of theirs decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use allowlist_common::abi::{BootSeconds, Ruling};
use jiff::Timestamp;

use super::{Entries, Entry, EntryKey, Kind, ListNumber, Origin, Prefix, entry::BootClock};

/// The lists that decide about a service's sources: its own, its groups' and trusted's, without the empty ones.
///
/// Where two lists have entries of one prefix, they share a node: it says what the last of them to end says, so that
/// the others' ends and removals change nothing.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<ListNumber, Entries>);

/// What decides about an address.
#[derive(Clone, Copy, Debug)]
pub struct Deciding<'a> {
    /// The list of the entry.
    pub list: ListNumber,
    /// Prefix, kind and origin.
    pub key: &'a EntryKey,
    /// The entry.
    pub entry: &'a Entry,
}

impl Sources {
    /// The sources of these lists.
    pub fn of(lists: impl Iterator<Item = (ListNumber, Entries)>) -> Self {
        Self(lists.filter(|(_, entries)| !entries.is_empty()).collect())
    }

    /// The numbers of the lists: services with the same ones admit the same sources.
    pub fn lists(&self) -> impl Iterator<Item = ListNumber> {
        self.0.keys().copied()
    }

    /// Whether there are entries, and all of them deny.
    #[must_use]
    pub fn is_nothing_but_excepts(&self) -> bool {
        let mut entries = self.0.values().flat_map(Entries::iter).peekable();
        entries.peek().is_some() && entries.all(|(key, _)| key.kind == Kind::Except)
    }

    /// Whether any entry ends.
    #[must_use]
    pub fn have_ends(&self) -> bool {
        self.0.values().any(Entries::have_ends)
    }

    /// What the trie says for a prefix; `None` where no list has an entry of it.
    #[must_use]
    pub fn node(&self, prefix: Prefix, clock: &BootClock) -> Option<Ruling> {
        fold(prefix, self.0.values().flat_map(|entries| entries.at(prefix)), clock)
    }

    /// The prefixes in one that are longer than it, and of at most `longest` bits, in order.
    #[must_use]
    pub fn within(&self, prefix: Prefix, longest: u8) -> BTreeSet<Prefix> {
        let mut found = BTreeSet::new();
        for entries in self.0.values() {
            let mut from = Some(prefix);
            while let Some(first) = from.take() {
                for (key, _) in entries.from(EntryKey::manual(first, Kind::Allow)) {
                    if !prefix.contains(&key.prefix) {
                        break;
                    }
                    if key.prefix.bits() > longest {
                        // Behind what is deeper, of which there may be much.
                        from = key.prefix.after(longest);
                        break;
                    }
                    if key.prefix != prefix {
                        found.insert(key.prefix);
                    }
                }
            }
        }
        found
    }

    /// The trie's nodes in order.
    pub fn nodes<'a>(
        &'a self,
        clock: &'a BootClock,
    ) -> impl Iterator<Item = (Prefix, Ruling)> + 'a {
        let mut lists: Vec<_> = self.0.values().map(|entries| entries.iter().peekable()).collect();
        std::iter::from_fn(move || {
            let heads = lists.iter_mut().filter_map(|list| list.peek().map(|(key, _)| key.prefix));
            let prefix = heads.min()?;
            let of_prefix = lists.iter_mut().flat_map(|list| {
                std::iter::from_fn(move || list.next_if(|(key, _)| key.prefix == prefix))
            });
            fold(prefix, of_prefix, clock).map(|node| (prefix, node))
        })
    }

    /// The prefixes that differ from `next`, in order within a list; one may come more than once.
    pub fn difference<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = Prefix> + 'a {
        let pairs = self.0.iter().map(|(number, entries)| (entries, next.list(*number)));
        let added = next.0.iter().filter(|(number, _)| !self.0.contains_key(number));
        let added = added.map(|(_, entries)| (Entries::none(), entries));
        pairs
            .chain(added)
            .flat_map(|(before, after)| before.difference(after).map(|(key, ..)| key.prefix))
    }

    /// Whether every source that is admitted here is admitted in `next`, now and later.
    #[must_use]
    pub fn only_widen_to(&self, next: &Self) -> bool {
        let pairs = self.0.iter().map(|(number, entries)| (entries, next.list(*number)));
        let added = next.0.iter().filter(|(number, _)| !self.0.contains_key(number));
        let added = added.map(|(_, entries)| (Entries::none(), entries));
        pairs.chain(added).flat_map(|(before, after)| before.difference(after)).all(
            |(key, before, after)| match (key.kind, before, after) {
                (Kind::Allow, Some(before), Some(after)) => after.outlasts(before),
                (Kind::Except, Some(before), Some(after)) => before.outlasts(after),
                (Kind::Allow, before, _) => before.is_none(),
                (Kind::Except, _, after) => after.is_none(),
            },
        )
    }

    /// The lists whose entries differ from those in `next`.
    pub fn changed_lists<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = ListNumber> + 'a {
        self.0
            .iter()
            .filter(|(number, entries)| entries.difference(next.list(**number)).next().is_some())
            .map(|(number, _)| *number)
            .chain(next.0.keys().copied().filter(|number| !self.0.contains_key(number)))
    }

    fn list(&self, number: ListNumber) -> &Entries {
        self.0.get(&number).unwrap_or(Entries::none())
    }

    /// The entry that decides about an address at a moment; `None` where no entry covers it.
    #[must_use]
    pub fn deciding(&self, address: IpAddr, now: Timestamp) -> Option<Deciding<'_>> {
        self.deciding_within(address, if address.is_ipv4() { 32 } else { 128 }, now)
    }

    /// The entry that would decide if there were none of a more specific prefix than one of `bits`.
    #[must_use]
    pub fn deciding_within(
        &self,
        address: IpAddr,
        mut bits: u8,
        now: Timestamp,
    ) -> Option<Deciding<'_>> {
        loop {
            let covering = self.0.values().filter_map(|entries| covering(entries, address, bits));
            let prefix = covering.max_by_key(Prefix::bits)?;
            let live = self.0.iter().flat_map(|(list, entries)| {
                entries.at(prefix).map(|(key, entry)| Deciding { list: *list, key, entry })
            });
            let live = live.filter(|deciding| !deciding.entry.is_expired(now));
            // The one that the kernel names: an except before an allow, then the last to end, then the first list.
            let end = |entry: &Entry| entry.expires_at.unwrap_or(Timestamp::MAX);
            let order = |deciding: &Deciding<'_>| (deciding.key.kind, end(deciding.entry));
            let first =
                live.reduce(|best, next| if order(&next) > order(&best) { next } else { best });
            if first.is_some() {
                return first;
            }
            bits = prefix.bits().checked_sub(1)?;
        }
    }

    /// Whether an address is admitted at a moment.
    #[must_use]
    pub fn admits(&self, address: IpAddr, now: Timestamp) -> bool {
        self.deciding(address, now).is_some_and(|deciding| deciding.key.kind == Kind::Allow)
    }

    /// The same lists with nothing but the excepts that decide at a moment.
    #[must_use]
    pub fn excepts(&self, now: Timestamp) -> Self {
        let of = |entries: &Entries| {
            let excepts = entries
                .iter()
                .filter(|(key, entry)| key.kind == Kind::Except && !entry.is_expired(now));
            Entries::from_sorted(excepts.map(|(key, entry)| (*key, entry.clone())))
        };
        Self::of(self.0.iter().map(|(number, entries)| (*number, of(entries))))
    }

    /// The excepts that deny part of a prefix, or all of it, though it is allowed; some of them where they are many.
    pub fn excepts_within(
        &self,
        prefix: Prefix,
        now: Timestamp,
    ) -> impl Iterator<Item = (ListNumber, &EntryKey)> {
        /// So many entries of a list are looked at: this is for a note to the operator.
        const LOOKED_AT: usize = 10_000;
        self.0.iter().flat_map(move |(number, entries)| {
            entries
                .from(EntryKey::manual(prefix, Kind::Allow))
                .take(LOOKED_AT)
                .take_while(move |(key, _)| prefix.contains(&key.prefix))
                .filter(move |(key, entry)| key.kind == Kind::Except && !entry.is_expired(now))
                .map(|(key, _)| (*number, key))
        })
    }
}

/// The most specific prefix of at most `bits` that covers an address.
///
/// The last prefix before the address either covers it, or they part at some bit; what covers the address is no
/// longer than that.
fn covering(entries: &Entries, address: IpAddr, mut bits: u8) -> Option<Prefix> {
    loop {
        let prefix = Prefix::around(address, bits)?;
        let key = EntryKey { prefix, kind: Kind::Except, origin: Origin::File };
        let found = entries.last_until(&key)?.prefix;
        if found.covers(address) {
            return Some(found);
        }
        bits = found.common_bits(&prefix)?;
    }
}

/// The node of one prefix's entries; `None` where there are none.
///
/// Of several that say the same, the one that ends last stands for all; of those that end at once, the first.
fn fold<'a>(
    prefix: Prefix,
    entries: impl Iterator<Item = (&'a EntryKey, &'a Entry)>,
    clock: &BootClock,
) -> Option<Ruling> {
    let mut node = Ruling { prefix_len: prefix.bits().into(), ..Ruling::default() };
    for (key, entry) in entries {
        let (id, until) = match key.kind {
            Kind::Allow => (&mut node.allow, &mut node.allow_until),
            Kind::Except => (&mut node.except, &mut node.except_until),
        };
        let end: BootSeconds = clock.end(entry.expires_at);
        if end > *until {
            (*id, *until) = (entry.id, end);
        }
    }
    (node.allow != 0 || node.except != 0).then_some(node)
}

#[cfg(test)]
mod tests;
