//! Prefixes as the engines take them: bits of either family, and what is said of them.

use std::net::IpAddr;

use allowlist_common::{
    abi::{NEVER, Ruling},
    flat::Key,
};
use ipnet::IpNet;

use crate::policy::{Prefix, Sources, entry::BootClock, table::Selection};

/// A prefix: its bits in front, zeros behind; and what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Item {
    pub(super) key: u128,
    pub(super) bits: u32,
    pub(super) says: Ruling,
}

/// What a prefix is to say: nothing where it is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) key: u128,
    pub(super) bits: u32,
    pub(super) says: Option<Ruling>,
}

impl Item {
    pub(super) fn new(prefix: Prefix, says: Ruling) -> Self {
        let (key, bits) = bits_of(prefix);
        Self { key, bits, says }
    }

    /// The prefix of the first bits of a key; `None` where the family has not so many.
    pub(super) fn prefix(key: u128, bits: u32, v4: bool) -> Option<Prefix> {
        let address = if v4 {
            IpAddr::from(((key >> 96) as u32).to_be_bytes())
        } else {
            IpAddr::from(key.to_be_bytes())
        };
        Prefix::around(address, u8::try_from(bits).ok()?)
    }
}

impl Change {
    pub(super) fn new(prefix: Prefix, says: Option<Ruling>) -> Self {
        let (key, bits) = bits_of(prefix);
        Self { key, bits, says }
    }

    /// What changes are in order by.
    pub(super) fn order(&self) -> (u128, u32) {
        (self.key, self.bits)
    }

    /// The prefix with what it says; `None` where it is gone.
    pub(super) fn item(&self) -> Option<Item> {
        self.says.map(|says| Item { key: self.key, bits: self.bits, says })
    }
}

/// The bits of a prefix, from the first one on, and how many they are.
fn bits_of(prefix: Prefix) -> (u128, u32) {
    let key = match prefix.net() {
        IpNet::V4(net) => u128::from(net.addr().to_bits()) << 96,
        IpNet::V6(net) => net.addr().to_bits(),
    };
    (key, prefix.bits().into())
}

/// The first bits of a key, 0 to 128 of them.
pub(super) fn first(key: u128, bits: u32) -> u128 {
    key & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// So many bits of a key behind so many others, as a number of at most 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "what is asked for fits")]
pub(super) fn between(key: u128, from: u32, bits: u32) -> u64 {
    (key.checked_shl(from).unwrap_or(0)).checked_shr(128 - bits).unwrap_or(0) as u64
}

/// What is left of a key behind its first bits.
pub(super) fn rest(key: u128, bits: u32) -> Key {
    let rest = key.checked_shl(bits).unwrap_or(0);
    Key { high: between(rest, 0, 64), low: between(rest, 64, 64) }
}

/// Items of each family, in order.
#[derive(Default)]
pub(super) struct Items {
    pub(super) v4: Vec<Item>,
    pub(super) v6: Vec<Item>,
}

impl Items {
    /// What the prefixes of some sources say.
    pub(super) fn of(sources: &Sources, clock: &BootClock) -> Self {
        Self::collect(sources.nodes(clock))
    }

    /// The prefixes of a selection, with the numbers of their services.
    pub(super) fn of_selection(selection: &Selection) -> Self {
        let numbered = |(prefix, number): (&Prefix, &u16)| {
            let prefix_len = prefix.bits().into();
            let allow = (*number).into();
            (*prefix, Ruling { allow, allow_until: NEVER, prefix_len, ..Ruling::default() })
        };
        Self::collect(selection.iter().map(numbered))
    }

    fn collect(nodes: impl Iterator<Item = (Prefix, Ruling)>) -> Self {
        let mut items = Self::default();
        for (prefix, says) in nodes {
            let family = if prefix.is_v4() { &mut items.v4 } else { &mut items.v6 };
            family.push(Item::new(prefix, says));
        }
        items
    }
}
