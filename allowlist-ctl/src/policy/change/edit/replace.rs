//! Whole lists in the place of others.

use std::{iter::Peekable, sync::Arc, thread};

use jiff::Timestamp;

use super::{Edit, is_just};
use crate::policy::{Author, Entries, Entry, EntryKey, Origin, entry::NewEntry};

/// From so many entries on a list is sorted by two threads.
const LONG: usize = 50_000;
/// Where more than one in so many of a list's entries are edited, it is made anew.
const FEW: usize = 8;

/// An entry that is wanted, beside its key: to sort keys that lie elsewhere takes several times as long.
type Wanted<'a> = (EntryKey, &'a NewEntry);

/// What becomes of an entry of the list.
enum Step<'a> {
    /// It is another origin's.
    Stay(&'a EntryKey, &'a Entry),
    /// It is not wanted any more.
    Drop(&'a EntryKey, &'a Entry),
    /// It is wanted and just so.
    Keep(&'a EntryKey, &'a Entry),
    /// It is wanted otherwise than it was, or new.
    Put(&'a NewEntry, Option<&'a Entry>),
}

impl Edit<'_> {
    /// Makes the entries of one origin exactly these; of those that are written more than once, the last one counts.
    pub(in crate::policy::change) fn replace(
        &mut self,
        origin: Origin,
        entries: &[NewEntry],
        author: &Arc<Author>,
        now: Timestamp,
    ) {
        let (before, wanted) = (self.entries.clone(), in_order(entries));
        let steps = || steps(&before, origin, &wanted);
        let mut edited = 0;
        for step in steps() {
            match step {
                Step::Stay(..) => {}
                Step::Keep(..) => self.tally.unchanged += 1,
                Step::Drop(..) | Step::Put(..) => edited += 1,
            }
        }
        if edited > before.len() / FEW {
            let next = steps().filter_map(|step| self.take(&step, author, now));
            *self.entries = Entries::from_sorted(next);
            return;
        }
        for step in steps() {
            match step {
                Step::Stay(..) | Step::Keep(..) => {}
                Step::Drop(key, _) => self.drop_entry(key),
                Step::Put(new, was) => {
                    let entry = self.made(new, was, author, now);
                    self.entries.insert(new.key, entry);
                }
            }
        }
    }

    /// The entry after a step; `None` where it is gone.
    fn take(
        &mut self,
        step: &Step<'_>,
        author: &Arc<Author>,
        now: Timestamp,
    ) -> Option<(EntryKey, Entry)> {
        match *step {
            Step::Stay(key, entry) | Step::Keep(key, entry) => Some((*key, entry.clone())),
            Step::Put(new, was) => Some((new.key, self.made(new, was, author, now))),
            Step::Drop(_, entry) => {
                self.note_dropped(entry);
                None
            }
        }
    }
}

/// The entries in the order of their keys, each key once.
fn in_order(entries: &[NewEntry]) -> Vec<Wanted<'_>> {
    let mut wanted: Vec<Wanted<'_>> = entries.iter().map(|new| (new.key, new)).collect();
    // Those of one key stay in the order in which they are written.
    let sort = |part: &mut [Wanted<'_>]| part.sort_by_key(|(key, _)| *key);
    if wanted.len() >= LONG {
        let (first, second) = wanted.split_at_mut(entries.len() / 2);
        thread::scope(|scope| {
            scope.spawn(|| sort(first));
            sort(second);
        });
    }
    // Of halves that are in order it only has to make one.
    sort(&mut wanted);
    wanted.dedup_by(|later, kept| {
        let is_again = later.0 == kept.0;
        if is_again {
            *kept = *later;
        }
        is_again
    });
    wanted
}

/// What becomes of each entry of a list and of each that is wanted, in the order of their keys.
fn steps<'a>(
    before: &'a Entries,
    origin: Origin,
    wanted: &'a [Wanted<'a>],
) -> impl Iterator<Item = Step<'a>> {
    let (mut before, mut wanted) = (before.iter().peekable(), wanted.iter().peekable());
    std::iter::from_fn(move || next_step(&mut before, origin, &mut wanted))
}

fn next_step<'a>(
    before: &mut Peekable<impl Iterator<Item = (&'a EntryKey, &'a Entry)>>,
    origin: Origin,
    wanted: &mut Peekable<impl Iterator<Item = &'a Wanted<'a>>>,
) -> Option<Step<'a>> {
    let next = wanted.peek().map(|(key, _)| *key);
    if let Some((key, entry)) = before.next_if(|(key, _)| next.is_none_or(|next| **key < next)) {
        let is_of_others = key.origin != origin;
        return Some(if is_of_others { Step::Stay(key, entry) } else { Step::Drop(key, entry) });
    }
    let (wanted_key, new) = wanted.next()?;
    let Some((key, entry)) = before.next_if(|(key, _)| *key == wanted_key) else {
        return Some(Step::Put(new, None));
    };
    Some(if is_just(entry, new) { Step::Keep(key, entry) } else { Step::Put(new, Some(entry)) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::policy::{
        EntryIds, Kind,
        change::{Note, Tally},
    };

    /// What is said of an entry: its place, which file it is of, its comment.
    type Written = (u16, bool, u8);

    fn new((place, of_file, comment): Written) -> NewEntry {
        let prefix = std::net::Ipv4Addr::from_bits(place.into()).into();
        let origin = if of_file { Origin::File } else { Origin::Manual };
        let comment = (comment > 0).then(|| comment.to_string().into());
        NewEntry { key: EntryKey { prefix, kind: Kind::Allow, origin }, comment, expires_at: None }
    }

    fn written() -> impl Strategy<Value = Written> {
        (0_u16..40, any::<bool>(), 0_u8..2)
    }

    proptest! {
        #[test]
        fn a_list_becomes_what_is_written_and_keeps_what_is_of_others(
            before in vec(written(), 0..80),
            // Many are as they were, so that both ways to make the list are gone.
            edits in vec(written(), 0..6),
            is_anew in any::<bool>(),
        ) {
            let author = Arc::new(Author { uid: 0, name: "root".into() });
            let now = Timestamp::UNIX_EPOCH;
            let mut ids = EntryIds::default();
            let mut entries = Entries::default();
            for new in before.into_iter().map(new) {
                let NewEntry { key, comment, .. } = new;
                let (id, added_by) = (ids.take(), Arc::clone(&author));
                entries.insert(key, Entry { id, comment, added_by, added_at: now, expires_at: None });
            }
            let was = entries.clone();
            let kept = was.iter().filter(|(key, _)| key.origin == Origin::Manual && !is_anew);
            let kept = kept.map(|(key, entry)| NewEntry { key: *key, comment: entry.comment.clone(), expires_at: None });
            let edited = edits.into_iter().map(|(place, _, comment)| new((place, false, comment)));
            let wanted: Vec<NewEntry> = kept.skip(1).chain(edited).collect();
            let (mut tally, mut notes, mut restored) = (Tally::default(), Vec::<Note>::new(), Vec::new());
            let mut edit = Edit {
                entries: &mut entries,
                ids: &mut ids,
                tally: &mut tally,
                notes: &mut notes,
                restored: &mut restored,
            };
            edit.replace(Origin::Manual, &wanted, &author, now);

            let mut model: BTreeMap<EntryKey, Option<Arc<str>>> =
                wanted.iter().map(|new| (new.key, new.comment.clone())).collect();
            let count = |is: &dyn Fn(&EntryKey, &Option<Arc<str>>) -> bool| {
                model.iter().filter(|(key, comment)| is(key, comment)).count()
            };
            let expected = Tally {
                added: count(&|key, _| was.get(key).is_none()),
                updated: count(&|key, comment| was.get(key).is_some_and(|it| it.comment != *comment)),
                unchanged: count(&|key, comment| was.get(key).is_some_and(|it| it.comment == *comment)),
                removed: was.iter().filter(|(key, _)| key.origin == Origin::Manual && !model.contains_key(key)).count(),
            };
            prop_assert_eq!(tally, expected);
            let of_file = was.iter().filter(|(key, _)| key.origin == Origin::File);
            model.extend(of_file.map(|(key, entry)| (*key, entry.comment.clone())));
            let found: BTreeMap<EntryKey, Option<Arc<str>>> =
                entries.iter().map(|(key, entry)| (*key, entry.comment.clone())).collect();
            prop_assert_eq!(found, model);
            for (key, entry) in entries.iter() {
                prop_assert!(was.get(key).is_none_or(|it| it.id == entry.id));
            }
        }
    }
}
