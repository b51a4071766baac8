//! Which indices of interfaces go by which names in the maps. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Interface;
use crate::policy::table::Placement;

/// Where a link is, as far as it matters for what is judged there.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) label: &'a str,
    pub(super) ifindex: u32,
    pub(super) is_here: bool,
    pub(super) strict: bool,
}

/// The indices that go by each name. Where two links have the same index, the one that is here has it.
///
/// In the driver of a bond's member a packet has the member's index, so these go by the bond's name, unless they are
/// attached themselves.
pub(super) fn placements<'a>(
    places: impl Iterator<Item = Place<'a>>,
    present: &[Interface],
) -> BTreeMap<String, Placement> {
    let (here, elsewhere): (Vec<Place<'_>>, Vec<Place<'_>>) =
        places.partition(|place| place.is_here);
    let is_bond = |ifindex: u32| {
        let is_it = |one: &Interface| one.ifindex == ifindex && one.kind.as_deref() == Some("bond");
        present.iter().any(is_it)
    };
    let members = |place: &Place<'a>| -> Vec<Place<'a>> {
        let bond = Some(place.ifindex).filter(|ifindex| is_bond(*ifindex));
        let of_bond = present.iter().filter(|one| bond.is_some() && one.master == bond);
        of_bond.map(|one| Place { ifindex: one.ifindex, ..place.clone() }).collect()
    };
    let members: Vec<Place<'a>> = here.iter().flat_map(members).collect();
    let mut claimed = BTreeSet::new();
    let mut named: BTreeMap<String, Placement> = BTreeMap::new();
    for Place { label, ifindex, strict, .. } in here.into_iter().chain(members).chain(elsewhere) {
        if claimed.insert(ifindex) {
            let of_name = named.entry(label.to_owned()).or_default();
            of_name.ifindices.insert(ifindex);
            of_name.strict |= strict;
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name with its indices, and whether it is strict.
    type Named<'a> = (&'a str, &'a [u32], bool);

    fn place(label: &str, ifindex: u32, is_here: bool) -> Place<'_> {
        Place { label, ifindex, is_here, strict: label == "strict0" }
    }

    #[test]
    fn each_index_goes_by_one_name() {
        let interface = |ifindex, kind: &str, master| Interface {
            ifindex,
            kind: Some(kind.to_owned()),
            master,
            ..Interface::default()
        };
        // bond0 (4) of 2 and 3, a bridge (5) of 6.
        let present = [
            interface(2, "", Some(4)),
            interface(3, "", Some(4)),
            interface(4, "bond", None),
            interface(5, "bridge", None),
            interface(6, "veth", Some(5)),
        ];
        let table: [(&str, Vec<Place<'_>>, &[Named<'_>]); 7] = [
            ("nothing", vec![], &[]),
            ("one", vec![place("eth0", 7, true)], &[("eth0", &[7], false)]),
            ("a strict one", vec![place("strict0", 7, true)], &[("strict0", &[7], true)]),
            (
                "a bond and its members",
                vec![place("bond0", 4, true)],
                &[("bond0", &[2, 3, 4], false)],
            ),
            (
                "a member that is attached itself",
                vec![place("bond0", 4, true), place("eth0", 2, true)],
                &[("bond0", &[3, 4], false), ("eth0", &[2], false)],
            ),
            ("a bridge without its ports", vec![place("br0", 5, true)], &[("br0", &[5], false)]),
            (
                "the index of one that is elsewhere",
                vec![place("eth0", 7, false), place("eth1", 7, true), place("eth2", 8, false)],
                &[("eth1", &[7], false), ("eth2", &[8], false)],
            ),
        ];
        for (description, places, expected) in table {
            let found = placements(places.into_iter(), &present);
            let found: Vec<(&str, Vec<u32>, bool)> = found
                .iter()
                .map(|(name, placement)| {
                    let indices = placement.ifindices.iter().copied().collect();
                    (name.as_str(), indices, placement.strict)
                })
                .collect();
            let expected: Vec<(&str, Vec<u32>, bool)> = expected
                .iter()
                .map(|(name, indices, strict)| (*name, indices.to_vec(), *strict))
                .collect();
            assert_eq!(found, expected, "{description}");
        }
    }
}
