//! Which link goes by which name, and in which order interfaces are attached. Pure.
//!
//! What is wanted is a name. An interface that is renamed away keeps its filter, and goes on being judged as what it was
//! wanted as, until another one has that name.

use std::collections::BTreeSet;

use crate::kernel::Interface;

/// More interfaces do not lie on each other.
const HIGHEST: usize = 16;

/// A link that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    /// Its number.
    pub(super) link: u32,
    /// The name that it goes by.
    pub(super) label: &'a str,
    /// What its interface is called now; `None` while that is in another network namespace.
    pub(super) now: Option<&'a str>,
}

/// What a link is to go by.
pub(super) fn label<'a>(held: &Held<'a>, wanted: &BTreeSet<String>) -> &'a str {
    match held.now {
        Some(now) if wanted.contains(now) => now,
        _ => held.label,
    }
}

/// The links that are to be taken off: another interface has their name, and is filtered. Not those in another network
/// namespace: nobody there has asked for it.
pub(super) fn superseded(held: &[Held<'_>]) -> Vec<u32> {
    let holds = |label: &str| held.iter().any(|one| one.now == Some(label));
    held.iter()
        .filter(|one| one.now.is_some_and(|now| now != one.label) && holds(one.label))
        .map(|one| one.link)
        .collect()
}

/// The names in the order in which their interfaces can be attached: the kernel takes no program below one of an
/// interface that lies on it.
pub(super) fn from_below(names: BTreeSet<String>, present: &[Interface]) -> Vec<String> {
    let height = |name: &String| {
        let interface = present.iter().find(|one| one.name == *name);
        interface.map_or(0, |interface| height(interface, present, HIGHEST))
    };
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_cached_key(height);
    names
}

fn height(interface: &Interface, present: &[Interface], at_most: usize) -> usize {
    let is_below = |one: &&Interface| {
        one.master == Some(interface.ifindex) || interface.lower == Some(one.ifindex)
    };
    let below = present.iter().filter(is_below).filter(|_| at_most > 0);
    below.map(|one| 1 + height(one, present, at_most - 1)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_attached_from_below() {
        let interface = |ifindex, name: &str, master, lower| Interface {
            ifindex,
            name: name.to_owned(),
            master,
            lower,
            ..Interface::default()
        };
        // eth0 and eth1 in bond0, bond0.5 on it in br0, with another port; two that lie on each other.
        let present = [
            interface(1, "a-br0", None, None),
            interface(2, "b-bond0.5", Some(1), Some(3)),
            interface(3, "c-bond0", None, None),
            interface(4, "eth0", Some(3), None),
            interface(5, "eth1", Some(3), None),
            interface(6, "port", Some(1), None),
            interface(7, "circle", None, Some(8)),
            interface(8, "elcric", None, Some(7)),
        ];
        let names = present.iter().map(|one| one.name.clone()).chain(["gone".to_owned()]).collect();
        let expected =
            ["eth0", "eth1", "gone", "port", "c-bond0", "b-bond0.5", "a-br0", "circle", "elcric"];
        assert_eq!(from_below(names, &present), expected);
    }

    #[test]
    fn a_filter_goes_by_the_name_that_is_wanted() {
        let wanted: BTreeSet<String> = ["eth0", "eth1"].map(str::to_owned).into();
        let table: [(&str, &str, Option<&str>, &str); 7] = [
            ("as it was", "eth0", Some("eth0"), "eth0"),
            ("renamed away", "eth0", Some("old0"), "eth0"),
            ("renamed to another wanted name", "eth0", Some("eth1"), "eth1"),
            ("in another namespace", "eth0", None, "eth0"),
            ("kept, and nobody wants it", "lan9", Some("lan9"), "lan9"),
            ("kept and renamed", "lan9", Some("lan8"), "lan9"),
            ("kept and renamed to a wanted name", "lan9", Some("eth0"), "eth0"),
        ];
        for (description, held, now, expected) in table {
            let held = Held { link: 1, label: held, now };
            assert_eq!(label(&held, &wanted), expected, "{description}");
        }
    }

    #[test]
    fn a_filter_is_taken_off_once_another_interface_has_its_name_and_is_filtered() {
        type Row<'a> = (u32, &'a str, Option<&'a str>);
        let table: [(&str, &[Row<'_>], &[u32]); 6] = [
            ("alone", &[(1, "eth0", Some("eth0"))], &[]),
            ("renamed, and nothing has the name", &[(1, "eth0", Some("old0"))], &[]),
            (
                "renamed, and another one has the name",
                &[(1, "eth0", Some("old0")), (2, "eth0", Some("eth0"))],
                &[1],
            ),
            (
                "in another namespace, and another one has the name",
                &[(1, "eth0", None), (2, "eth0", Some("eth0"))],
                &[],
            ),
            ("names exchanged", &[(1, "eth1", Some("eth1")), (2, "eth0", Some("eth0"))], &[]),
            (
                "two renamed away, none with the name",
                &[(1, "eth0", Some("old0")), (2, "eth0", Some("old1"))],
                &[],
            ),
        ];
        for (description, held, expected) in table {
            let held: Vec<_> =
                held.iter().map(|&(link, label, now)| Held { link, label, now }).collect();
            assert_eq!(superseded(&held), expected, "{description}");
        }
    }
}
