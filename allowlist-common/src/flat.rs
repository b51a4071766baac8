//! Sources in flat memory: a trie that is walked several bits a step, for lists of any length.
//!
//! A trie has a *root table*, which the first [`ROOT_BITS`] bits of an address index. A slot of it holds the [`Word`] of the
//! most specific prefix up to that length, and leads to an [`Element`] where there are longer ones. An element is a *node*,
//! which looks at [`STRIDE`] bits, or a *tail*: a single prefix, whatever its length. A node's 64 slots have words and
//! elements of their own, kept without gaps: how many bits are set before a slot's own in a map of bits is their place. The
//! most specific word on the way decides.
//!
//! The daemon writes this memory and never changes what a slot of a root table leads to: it writes new elements beside the
//! old ones and then stores the slot, as one word.

mod lookup;

pub use self::lookup::deciding;
use crate::abi::BootSeconds;

/// Flag of the number of a trie that is in flat memory: the rest is the number of its root table.
pub const FLAT: u32 = 1 << 31;
/// Bits of an address that index a root table.
pub const ROOT_BITS: u32 = 16;
/// Slots of a root table.
pub const ROOT_SLOTS: usize = 1 << ROOT_BITS;
/// Bits of an address that a node looks at.
pub const STRIDE: u32 = 6;
/// Bits that a node may skip, at most: a number of strides that leaves room for how many they are.
pub const MAX_SKIP: u32 = 9 * STRIDE;
/// Root tables, at most.
pub const ROOTS: u32 = crate::abi::TRIES;
/// Elements in a map.
pub const ELEMENTS_CHUNK: u32 = 1 << 15;
/// Words in a map.
pub const WORDS_CHUNK: u32 = 1 << 18;
/// Maps of elements, and of words, at most.
pub const CHUNKS: u32 = 1024;

/// A root table: [`Slot`]s as the kernel stores them.
pub type Root = [u64; ROOT_SLOTS];

/// What an entry, or the entries of one prefix, say.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(transparent)]
pub struct Word(pub u32);

/// The kinds of words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Says {
    /// Nothing: a less specific prefix decides.
    Nothing,
    /// The entry with this id allows, for good.
    Allow(u32),
    /// The entry with this id denies, for good.
    Deny(u32),
    /// What the [`Rule`] at this place among the elements says.
    Rule(u32),
}

impl Word {
    /// No word.
    pub const NOTHING: Self = Self(0);
    /// Ids and places are below this.
    pub const LIMIT: u32 = 1 << 30;

    const KIND_SHIFT: u32 = 30;
    const ALLOW: u32 = 1;
    const DENY: u32 = 2;
    const RULE: u32 = 3;

    /// The word that says this.
    #[must_use]
    #[inline(always)]
    pub const fn new(says: Says) -> Self {
        let (kind, number) = match says {
            Says::Nothing => (0, 0),
            Says::Allow(id) => (Self::ALLOW, id),
            Says::Deny(id) => (Self::DENY, id),
            Says::Rule(at) => (Self::RULE, at),
        };
        Self(kind << Self::KIND_SHIFT | (number & (Self::LIMIT - 1)))
    }

    /// What it says.
    #[must_use]
    #[inline(always)]
    pub const fn says(self) -> Says {
        let number = self.0 & (Self::LIMIT - 1);
        match self.0 >> Self::KIND_SHIFT {
            Self::ALLOW => Says::Allow(number),
            Self::DENY => Says::Deny(number),
            Self::RULE => Says::Rule(number),
            _ => Says::Nothing,
        }
    }

    /// This one, or where it says nothing, a less specific one.
    #[inline(always)]
    const fn or(self, less_specific: Self) -> Self {
        if self.0 == Self::NOTHING.0 { less_specific } else { self }
    }

    /// Whether it allows, and the id of the entry; not for rules.
    #[must_use]
    #[inline(always)]
    pub const fn verdict(self) -> (bool, u32) {
        (self.0 >> Self::KIND_SHIFT == Self::ALLOW, self.0 & (Self::LIMIT - 1))
    }
}

/// What the entries of one prefix say while some of them end, as in [`Ruling`](crate::abi::Ruling): what an element may be.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Rule {
    /// Id of the entry that allows.
    pub allow: u32,
    /// Id of the entry that denies.
    pub except: u32,
    /// When the allow ends.
    pub allow_until: BootSeconds,
    /// When the except ends.
    pub except_until: BootSeconds,
    /// What decides after both, of the less specific prefixes of the same slot.
    pub under: Word,
}

/// A slot of a root table.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Slot {
    /// What the most specific prefix up to [`ROOT_BITS`] says.
    pub word: Word,
    /// Place of the element of longer ones; 0 for none.
    pub child: u32,
}

impl Slot {
    /// The slot as it is stored.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        pack(self.word.0, self.child)
    }

    /// Reads a slot.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the word")]
    pub const fn from_u64(stored: u64) -> Self {
        Self { word: Word((stored >> 32) as u32), child: stored as u32 }
    }
}

/// The bits of an address that are still to be looked at, from the first one on; zeros follow.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The first 64.
    pub high: u64,
    /// The others.
    pub low: u64,
}

impl Key {
    /// An address; an IPv4 one in the first four bytes.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the bits")]
    pub const fn new(address: &[u8; 16]) -> Self {
        let bits = u128::from_be_bytes(*address);
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }

    /// The IPv4 address that it is of.
    #[must_use]
    #[inline(always)]
    pub const fn v4(self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.high.to_be_bytes();
        [a, b, c, d]
    }

    /// The IPv6 address that it is of.
    #[must_use]
    #[inline(always)]
    pub fn v6(self) -> [u8; 16] {
        ((u128::from(self.high) << 64) | u128::from(self.low)).to_be_bytes()
    }

    /// The slot of a root table that it belongs to.
    #[must_use]
    #[inline(always)]
    pub const fn root_slot(self) -> u16 {
        (self.high >> (64 - ROOT_BITS)) as u16
    }

    /// The key without its first bits, 1 to 63 of them.
    #[must_use]
    #[inline(always)]
    pub const fn after(self, bits: u32) -> Self {
        Self {
            high: self.high << (bits & 63) | self.low >> ((64 - bits) & 63),
            low: self.low << (bits & 63),
        }
    }

    /// The first bits as a number, at most 63 of them.
    #[must_use]
    #[inline(always)]
    pub const fn first(self, bits: u32) -> u64 {
        (self.high >> 1) >> ((63 - bits) & 63)
    }
}

/// A node, a tail or a rule, as it is stored: half a cache line.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(C, align(32))]
pub struct Element {
    /// A node's map of slots that lead to an element; a tail's first 64 bits; a rule's ids.
    first: u64,
    /// A node's map of slots whose word is another than that of the slot before; a tail's other bits; a rule's ends.
    second: u64,
    /// How much a node skips, or [`TAIL`]; in the last 56 bits those that are skipped, or the length of the tail.
    shape: u64,
    /// Places of a node's first element and first word; the word of a tail; the one under a rule.
    places: u64,
}

const SHAPE_SHIFT: u32 = 56;
const TAIL: u64 = 0xff;

#[inline(always)]
const fn pack(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// A node: what an element may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Node {
    /// Slots that lead to an element, by bit.
    pub children: u64,
    /// Slots whose word is another than that of the slot before, by bit; before the first one there is none.
    pub runs: u64,
    /// How many bits are skipped before the node's own: a multiple of [`STRIDE`] up to [`MAX_SKIP`].
    pub skip: u32,
    /// The bits that are skipped, as a number.
    pub path: u64,
    /// Place of the first element.
    pub first_child: u32,
    /// Place of the first word.
    pub first_word: u32,
}

/// A tail: what an element may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tail {
    /// The bits of the prefix behind those that led here.
    pub key: Key,
    /// How many they are.
    pub bits: u32,
    /// What the prefix says.
    pub word: Word,
}

/// What an element is that a slot leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// A node.
    Node(Node),
    /// A tail.
    Tail(Tail),
}

impl From<Node> for Element {
    fn from(node: Node) -> Self {
        Self {
            first: node.children,
            second: node.runs,
            shape: u64::from(node.skip) << SHAPE_SHIFT | node.path,
            places: pack(node.first_word, node.first_child),
        }
    }
}

impl From<Tail> for Element {
    fn from(tail: Tail) -> Self {
        Self {
            first: tail.key.high,
            second: tail.key.low,
            shape: TAIL << SHAPE_SHIFT | u64::from(tail.bits),
            places: tail.word.0.into(),
        }
    }
}

impl From<Rule> for Element {
    fn from(rule: Rule) -> Self {
        Self {
            first: pack(rule.except, rule.allow),
            second: pack(rule.except_until, rule.allow_until),
            shape: 0,
            places: rule.under.0.into(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "fields of packed words")]
impl Element {
    /// The rule that it is, as words lead to it.
    #[must_use]
    #[inline(always)]
    pub const fn rule(&self) -> Rule {
        Rule {
            allow: self.first as u32,
            except: (self.first >> 32) as u32,
            allow_until: self.second as u32,
            except_until: (self.second >> 32) as u32,
            under: Word(self.places as u32),
        }
    }

    #[inline(always)]
    const fn is_tail(&self) -> bool {
        self.shape >> SHAPE_SHIFT == TAIL
    }

    #[inline(always)]
    const fn node(&self) -> Node {
        Node {
            children: self.first,
            runs: self.second,
            skip: (self.shape >> SHAPE_SHIFT) as u32,
            path: self.shape & ((1 << SHAPE_SHIFT) - 1),
            first_child: self.places as u32,
            first_word: (self.places >> 32) as u32,
        }
    }

    #[inline(always)]
    const fn tail(&self) -> Tail {
        Tail {
            key: Key { high: self.first, low: self.second },
            bits: (self.shape & 0xff) as u32,
            word: Word(self.places as u32),
        }
    }

    /// What it is, as slots lead to it.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        if self.is_tail() { Shape::Tail(self.tail()) } else { Shape::Node(self.node()) }
    }
}

impl Node {
    /// The slot that the rest of an address belongs to, what is skipped included.
    #[must_use]
    #[inline(always)]
    pub const fn slot(&self, rest: Key) -> u32 {
        ((rest.high << (self.skip & 63)) >> (64 - STRIDE)) as u32
    }

    /// How many words it has, and how many of them are before the one of a slot or are that: 0 where the slot has none.
    #[must_use]
    #[inline(always)]
    pub const fn words_until(&self, slot: u32) -> u32 {
        (self.runs << ((63 - slot) & 63)).count_ones()
    }

    /// How many elements are before that of a slot.
    #[must_use]
    #[inline(always)]
    pub const fn children_before(&self, slot: u32) -> u32 {
        (self.children & ((1 << (slot & 63)) - 1)).count_ones()
    }

    /// Whether a slot leads to an element.
    #[must_use]
    #[inline(always)]
    pub const fn has_child(&self, slot: u32) -> bool {
        self.children >> (slot & 63) & 1 != 0
    }
}

impl Tail {
    /// Whether the prefix covers what is left of an address.
    #[must_use]
    #[inline(always)]
    pub const fn covers(&self, rest: Key) -> bool {
        let (high, low) = (self.key.high ^ rest.high, self.key.low ^ rest.low);
        if self.bits <= 64 {
            // Never of no bits: a prefix of so few is a word of the slot that leads here.
            high >> ((64 - self.bits) & 63) == 0
        } else {
            high == 0 && low >> ((128 - self.bits) & 63) == 0
        }
    }
}
