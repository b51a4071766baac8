//! Tries in flat memory, judged by the code that the program is made of, beside lists that are searched from end to end.

use std::collections::BTreeMap;

use allowlist_common::{
    abi::{BootSeconds, NEVER, Ruling},
    decide::{self, Sources},
    flat::{Element, FLAT, Slot, Word},
    parse::Family,
};
use proptest::{collection::vec, prelude::*};

use super::{arena::tests::Process, *};
use crate::kernel::item::rest;

const NOW: BootSeconds = 1000;

/// Prefixes with what they say, searched from end to end.
#[derive(Clone, Debug, Default)]
struct Listed(BTreeMap<(u128, u32), Ruling>);

impl Listed {
    fn items(&self) -> Vec<Item> {
        let item = |((key, bits), says): (&(u128, u32), &Ruling)| Item {
            key: *key,
            bits: *bits,
            says: *says,
        };
        self.0.iter().map(item).collect()
    }

    /// Whether an address is allowed, and by which entry.
    fn verdict(&self, address: u128) -> (bool, u32) {
        let covering = self.0.iter().filter(|((key, bits), _)| first(address, *bits) == *key);
        let mut covering: Vec<(u32, Ruling)> =
            covering.map(|((_, bits), node)| (*bits, *node)).collect();
        covering.sort_unstable_by_key(|(bits, _)| std::cmp::Reverse(*bits));
        let is_live = |until: BootSeconds| until == NEVER || until > NOW;
        for (_, node) in covering {
            if is_live(node.except_until) {
                return (false, node.except);
            }
            if is_live(node.allow_until) {
                return (true, node.allow);
            }
        }
        (false, 0)
    }
}

impl Prefixes for Listed {
    fn window(&self, key: u128, depth: u32, longest: u32) -> Vec<Item> {
        let is_in = |item: &Item| {
            item.bits > depth && item.bits <= longest && first(item.key, depth) == key
        };
        self.items().into_iter().filter(is_in).collect()
    }
}

/// What a program sees of a trie.
struct Seen {
    slots: Vec<Slot>,
    elements: Vec<Element>,
    words: Vec<Word>,
}

impl Seen {
    fn verdict(&self, address: u128) -> (bool, u32) {
        decide::deciding(self, FLAT, Family::V6, rest(address, 0)).verdict()
    }
}

impl Sources for Seen {
    fn lookup_v4(&self, _: u32, _: u32, _: [u8; 4]) -> Option<Ruling> {
        unreachable!("no trie of the kernel")
    }

    fn lookup_v6(&self, _: u32, _: u32, _: [u8; 16]) -> Option<Ruling> {
        unreachable!("no trie of the kernel")
    }

    fn slot(&self, _: u32, index: u16) -> Option<Slot> {
        self.slots.get(usize::from(index)).copied()
    }

    fn element(&self, at: u32) -> Option<&Element> {
        self.elements.get(at as usize)
    }

    fn word(&self, at: u32) -> Option<Word> {
        self.words.get(at as usize).copied()
    }

    fn now(&self) -> BootSeconds {
        NOW
    }
}

/// Tries in so many chunks at most.
fn flat(most: u32) -> Flat {
    let process = || Process { chunk: 512, most, given: std::sync::Arc::default() };
    Flat::new(Roots::in_process(), process(), process())
}

impl Flat {
    fn seen(&self, trie: &FlatTrie) -> Seen {
        Seen {
            slots: trie.table.slots(),
            elements: self.space.elements.all(),
            words: self.space.words.all(),
        }
    }

    /// Bytes that no trie has though they are in use.
    fn lost(&mut self, trie: FlatTrie) -> u64 {
        self.retire(trie);
        self.reclaim();
        self.used()
    }
}

/// Keys that crowd: of few values in each part, so that prefixes nest, share nodes, and leave gaps to skip.
fn key() -> impl Strategy<Value = u128> {
    let part = |values: u16| (0..values).prop_map(u128::from);
    (part(3), part(2), part(4), any::<u8>(), any::<bool>()).prop_map(|(a, b, c, d, is_far)| {
        let low = u128::from(d);
        (0x2001 + a) << 112 | b << 90 | c << 60 | if is_far { low } else { low << 80 }
    })
}

fn prefix() -> impl Strategy<Value = (u128, u32)> {
    (key(), prop_oneof![0u32..=128, 12u32..=40, 120u32..=128])
        .prop_map(|(key, bits)| (first(key, bits), bits))
}

/// What a prefix says; some of it ended, some of it to end, some for good.
fn says() -> impl Strategy<Value = Ruling> {
    let until = prop_oneof![Just(0), Just(1u32), Just(NOW + 1), Just(NEVER), Just(NEVER)];
    (1u32..1_000_000, until.clone(), until).prop_map(|(id, allow_until, except_until)| Ruling {
        allow: if allow_until == 0 { 0 } else { id },
        except: if except_until == 0 { 0 } else { id + 1_000_000 },
        allow_until,
        except_until,
        prefix_len: 0,
    })
}

fn change() -> impl Strategy<Value = ((u128, u32), Option<Ruling>)> {
    (prefix(), prop_oneof![3 => says().prop_map(Some), 2 => Just(None)])
}

/// Addresses in and around prefixes.
fn addresses(listed: &Listed) -> Vec<u128> {
    let around = |(key, bits): &(u128, u32)| {
        let last = key | u128::MAX.checked_shr(*bits).unwrap_or(0);
        [*key, last, key.wrapping_sub(1), last.wrapping_add(1)]
    };
    listed.0.keys().flat_map(around).chain([0, u128::MAX]).collect()
}

fn agree(seen: &Seen, listed: &Listed) -> Result<(), TestCaseError> {
    for address in addresses(listed) {
        let (found, expected) = (seen.verdict(address), listed.verdict(address));
        prop_assert_eq!(found, expected, "{:032x}", address);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_built_and_changed_says_what_the_prefixes_say(
        start in vec((prefix(), says()), 0..60),
        steps in vec(vec(change(), 1..20), 0..12),
    ) {
        let mut flat = flat(400);
        let mut listed = Listed(start.into_iter().collect());
        let mut trie = flat.build(&listed.items()).unwrap();
        agree(&flat.seen(&trie), &listed)?;
        for step in steps {
            let mut changes: BTreeMap<(u128, u32), Option<Ruling>> = step.into_iter().collect();
            // Removals hit what is there, most of the time.
            let there: Vec<(u128, u32)> = listed.0.keys().step_by(3).copied().collect();
            changes.extend(there.into_iter().map(|prefix| (prefix, None)));
            let before = listed.clone();
            for (prefix, says) in &changes {
                match says {
                    Some(says) => drop(listed.0.insert(*prefix, *says)),
                    None => drop(listed.0.remove(prefix)),
                }
            }
            let changes: Vec<Change> = changes
                .into_iter()
                .map(|((key, bits), says)| Change { key, bits, says })
                .collect();
            let given_up = flat.stage(&trie, &listed, &changes).unwrap();
            agree(&flat.seen(&trie), &before)?;
            flat.abandon(given_up);
            let staged = flat.stage(&trie, &listed, &changes).unwrap();
            agree(&flat.seen(&trie), &before)?;
            flat.commit(&mut trie, staged);
            agree(&flat.seen(&trie), &listed)?;
            if listed.0.len().is_multiple_of(2) {
                flat.tidy();
                agree(&flat.seen(&trie), &listed)?;
            }
        }
        // What was changed takes no more than what is built anew.
        let anew = flat.build(&listed.items()).unwrap();
        agree(&flat.seen(&anew), &listed)?;
        flat.tidy();
        let used = flat.used();
        flat.retire(anew);
        flat.reclaim();
        prop_assert!(used <= 2 * flat.used(), "{used} with both, {} changed", flat.used());
        prop_assert_eq!(flat.lost(trie), 0);
    }
}

#[test]
fn a_change_that_finds_no_memory_leaves_everything_as_it_is() {
    let mut flat = flat(2);
    let prefix = |number: u128| {
        (
            (number << 80 | 0x2001 << 112, 64),
            Ruling { allow: 1, allow_until: NEVER, ..Ruling::default() },
        )
    };
    let mut listed = Listed((0..100).map(prefix).collect());
    let mut trie = flat.build(&listed.items()).unwrap();
    let used = flat.used();
    let many = Listed((0..10_000).map(|number| prefix(number * 97)).collect());
    assert!(flat.build(&many.items()).is_err());
    let changes: Vec<Change> = many
        .items()
        .iter()
        .map(|item| Change { key: item.key, bits: item.bits, says: Some(item.says) })
        .collect();
    assert!(flat.stage(&trie, &many, &changes).is_err());
    assert_eq!(flat.used(), used);
    agree(&flat.seen(&trie), &listed).unwrap();
    // A small one still finds some.
    listed.0.extend([prefix(5000)]);
    let change = Change { key: prefix(5000).0.0, bits: 64, says: Some(prefix(5000).1) };
    let staged = flat.stage(&trie, &listed, &[change]).unwrap();
    flat.commit(&mut trie, staged);
    agree(&flat.seen(&trie), &listed).unwrap();
    assert_eq!(flat.lost(trie), 0);
}
