//! Changes of a few prefixes: what they touch is written anew, everything else stays where it is.

use allowlist_common::flat::{Element, Node, STRIDE};

use super::{
    build::{Bare, Lifted, element, lift},
    draft::Draft,
    window::{Window, runs},
};
use crate::kernel::{
    error::SyncError,
    item::{Change, Item, between, first},
};

/// Where the prefixes are looked up that share a node with one that changes.
pub(in crate::kernel) trait Prefixes {
    /// The prefixes whose first `depth` bits are those of `key`, with more bits than that and at most `longest`, as they are
    /// after the change, in order.
    fn window(&self, key: u128, depth: u32, longest: u32) -> Vec<Item>;
}

/// The element of a slot after changes: of prefixes whose first `depth` bits are `key`, which led here, and which are longer.
pub(super) fn changed<P: Prefixes>(
    draft: &mut Draft<'_>,
    prefixes: &P,
    old: Option<Element>,
    (key, depth): (u128, u32),
    changes: &[Change],
) -> Result<Option<Element>, SyncError> {
    let old = old.map(|old| lift(draft, &old, key, depth));
    let (mut pieces, outside): (Vec<Lifted>, Vec<Change>) = match old {
        None => (Vec::new(), changes.to_vec()),
        Some(Lifted::Item(item)) => {
            let is_it = |change: &Change| (change.key, change.bits) == (item.key, item.bits);
            let stays = !changes.iter().any(is_it);
            (stays.then_some(Lifted::Item(item)).into_iter().collect(), changes.to_vec())
        }
        Some(Lifted::Node(bare)) => {
            let is_inside = |change: &Change| {
                change.bits > bare.depth && first(change.key, bare.depth) == bare.key
            };
            let (inside, outside): (Vec<Change>, Vec<Change>) =
                changes.iter().partition(|change| is_inside(change));
            let left = changed_node(draft, prefixes, &bare, &inside)?;
            (left.into_iter().collect(), outside)
        }
    };
    pieces.extend(outside.iter().filter_map(Change::item).map(Lifted::Item));
    if pieces.is_empty() {
        return Ok(None);
    }
    // A prefix comes before what it covers, and what is there already has no prefix as short as its own bits.
    pieces.sort_by_key(|piece| match piece {
        Lifted::Item(item) => (item.key, item.bits),
        Lifted::Node(bare) => (bare.key, bare.depth + 1),
    });
    element(draft, &pieces, depth).map(Some)
}

/// What is left of a node after changes of prefixes in it.
fn changed_node<P: Prefixes>(
    draft: &mut Draft<'_>,
    prefixes: &P,
    bare: &Bare,
    changes: &[Change],
) -> Result<Option<Lifted>, SyncError> {
    let Bare { key, depth, node } = *bare;
    if changes.is_empty() {
        return Ok(Some(Lifted::Node(*bare)));
    }
    let behind = depth + STRIDE;
    let (mine, deeper): (Vec<Change>, Vec<Change>) =
        changes.iter().partition(|change| change.bits <= behind);

    let mut children: Vec<(u64, Element)> = slots(&node).zip(draft.children(&node)).collect();
    for changes in deeper.chunk_by(|a, b| first(a.key, behind) == first(b.key, behind)) {
        let Some(Change { key, .. }) = changes.first() else { continue };
        let (key, slot) = (first(*key, behind), between(*key, depth, STRIDE));
        let place = children.binary_search_by_key(&slot, |(slot, _)| *slot);
        let old = place.ok().map(|place| children[place].1);
        match (place, changed(draft, prefixes, old, (key, behind), changes)?) {
            (Ok(place), Some(element)) => children[place].1 = element,
            (Ok(place), None) => drop(children.remove(place)),
            (Err(place), Some(element)) => children.insert(place, (slot, element)),
            (Err(_), None) => {}
        }
    }

    let mut next = node;
    if !mine.is_empty() || children.is_empty() {
        draft.discard_words(&node);
        let items = prefixes.window(key, depth, behind);
        if let ([item], []) = (&*items, &*children) {
            draft.discard_elements(node.first_child, node.children.count_ones());
            return Ok(Some(Lifted::Item(*item)));
        }
        let mut window = Window::new(depth, STRIDE);
        for item in &items {
            window.put(item);
        }
        let (runs, words) = runs(&window.words(draft)?);
        (next.runs, next.first_word) = (runs, draft.words(&words)?);
    }
    let is_lone = next.runs == 0 && children.len() == 1;
    if !deeper.is_empty() || is_lone {
        draft.discard_elements(node.first_child, node.children.count_ones());
    }
    if is_lone && let Some((slot, child)) = children.first() {
        let key = key | u128::from(*slot) << (128 - behind);
        return Ok(Some(lift(draft, child, key, behind)));
    }
    if !deeper.is_empty() {
        let elements: Vec<Element> = children.iter().map(|(_, element)| *element).collect();
        next.children = children.iter().fold(0, |all, (slot, _)| all | 1 << slot);
        next.first_child = draft.elements(&elements)?;
    }
    let is_left = next.runs != 0 || next.children != 0;
    Ok(is_left.then_some(Lifted::Node(Bare { node: next, ..*bare })))
}

/// The slots of a node that lead to an element.
fn slots(node: &Node) -> impl Iterator<Item = u64> + use<> {
    let children = node.children;
    (0..64).filter(move |slot| children >> slot & 1 != 0)
}
