//! From prefixes in order to elements.

use allowlist_common::flat::{Element, MAX_SKIP, Node, STRIDE, Shape, Tail, Word};

use super::{
    draft::Draft,
    window::{Window, runs},
};
use crate::kernel::{
    error::SyncError,
    item::{Item, between, first, rest},
};

/// What a slot may lead to: a prefix, or what is there already.
///
/// Nodes begin at whole strides behind the root table, so that what is there already lies in one slot of whatever is put
/// above it.
pub(super) trait Piece {
    /// Its bits; zeros behind those that all below it have in common.
    fn key(&self) -> u128;

    /// Length of the shortest prefix in it.
    fn bits(&self) -> u32;

    /// The prefix, where it is one.
    fn item(&self) -> Option<&Item>;

    /// The element for it in a slot that so many bits lead to.
    fn element(&self, draft: &mut Draft<'_>, depth: u32) -> Result<Element, SyncError>;
}

impl Piece for Item {
    fn key(&self) -> u128 {
        self.key
    }

    fn bits(&self) -> u32 {
        self.bits
    }

    fn item(&self) -> Option<&Item> {
        Some(self)
    }

    fn element(&self, draft: &mut Draft<'_>, depth: u32) -> Result<Element, SyncError> {
        let word = match Draft::word_for_good(&self.says) {
            Some(word) => word,
            None => draft.rule_word(&self.says, Word::NOTHING)?,
        };
        Ok(Tail { key: rest(self.key, depth), bits: self.bits - depth, word }.into())
    }
}

/// A node that so many bits lead to, without what it skips.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bare {
    pub(super) key: u128,
    pub(super) depth: u32,
    pub(super) node: Node,
}

impl Piece for Bare {
    fn key(&self) -> u128 {
        self.key
    }

    fn bits(&self) -> u32 {
        self.depth + 1
    }

    fn item(&self) -> Option<&Item> {
        None
    }

    fn element(&self, draft: &mut Draft<'_>, depth: u32) -> Result<Element, SyncError> {
        let skip = (self.depth - depth).min(MAX_SKIP);
        let path = between(self.key, depth, skip);
        if depth + skip == self.depth {
            return Ok(Node { skip, path, ..self.node }.into());
        }
        // A node whose only purpose is to skip.
        let behind = depth + skip + STRIDE;
        let child = self.element(draft, behind)?;
        let children = 1 << between(self.key, depth + skip, STRIDE);
        let first_child = draft.elements(&[child])?;
        Ok(Node { children, runs: 0, skip, path, first_child, first_word: 0 }.into())
    }
}

/// The element of pieces, one or more, in order, whose first `depth` bits are the same and led here.
pub(super) fn element<P: Piece>(
    draft: &mut Draft<'_>,
    pieces: &[P],
    depth: u32,
) -> Result<Element, SyncError> {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return Ok(Element::default());
    };
    if pieces.len() == 1 {
        return first.element(draft, depth);
    }
    // A prefix that covers the others comes first.
    let common = (first.key() ^ last.key()).leading_zeros().min(first.bits() - 1);
    let strides = (common - depth) / STRIDE;
    node(draft, pieces, depth + strides * STRIDE)?.element(draft, depth)
}

/// The node of pieces whose first `depth` bits are the same and which are all longer.
fn node<P: Piece>(draft: &mut Draft<'_>, pieces: &[P], depth: u32) -> Result<Bare, SyncError> {
    let mut window = Window::new(depth, STRIDE);
    let (mut children, mut elements) = (0u64, Vec::new());
    let mut left = pieces;
    while let Some(piece) = left.first() {
        match piece.item() {
            Some(item) if window.has(item.bits) => {
                window.put(item);
                left = &left[1..];
            }
            _ => {
                let slot = window.slot(piece.key());
                let end = left.partition_point(|piece| window.slot(piece.key()) == slot);
                children |= 1 << slot;
                elements.push(element(draft, &left[..end], depth + STRIDE)?);
                left = &left[end..];
            }
        }
    }
    let (runs, words) = runs(&window.words(draft)?);
    let node = Node {
        children,
        runs,
        skip: 0,
        path: 0,
        first_child: draft.elements(&elements)?,
        first_word: draft.words(&words)?,
    };
    let key = pieces.first().map_or(0, Piece::key);
    Ok(Bare { key: first(key, depth), depth, node })
}

/// What a slot that so many bits lead to has, as a piece.
pub(super) fn lift(draft: &mut Draft<'_>, element: &Element, key: u128, depth: u32) -> Lifted {
    match element.shape() {
        Shape::Tail(tail) => {
            let behind = u128::from(tail.key.high) << 64 | u128::from(tail.key.low);
            let bits = depth + tail.bits;
            let says = draft.says(tail.word, bits);
            draft.discard_rules(vec![tail.word]);
            Lifted::Item(Item { key: key | behind >> depth, bits, says })
        }
        Shape::Node(node) => {
            let behind = u128::from(node.path).checked_shl(128 - depth - node.skip).unwrap_or(0);
            let depth = depth + node.skip;
            Lifted::Node(Bare { key: key | behind, depth, node: Node { skip: 0, path: 0, ..node } })
        }
    }
}

/// The one or the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lifted {
    Item(Item),
    Node(Bare),
}

impl Piece for Lifted {
    fn key(&self) -> u128 {
        match self {
            Self::Item(item) => item.key(),
            Self::Node(node) => node.key(),
        }
    }

    fn bits(&self) -> u32 {
        match self {
            Self::Item(item) => item.bits(),
            Self::Node(node) => node.bits(),
        }
    }

    fn item(&self) -> Option<&Item> {
        match self {
            Self::Item(item) => Some(item),
            Self::Node(_) => None,
        }
    }

    fn element(&self, draft: &mut Draft<'_>, depth: u32) -> Result<Element, SyncError> {
        match self {
            Self::Item(item) => item.element(draft, depth),
            Self::Node(node) => node.element(draft, depth),
        }
    }
}
