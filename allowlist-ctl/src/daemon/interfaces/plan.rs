//! Which link goes by which name. Pure: names in, names out.
//!
//! What is wanted is a name. An interface that is renamed away keeps its filter, and goes on being judged as what it was
//! wanted as, until another one has that name.

use std::collections::BTreeSet;

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

/// The links that are to be taken off: another interface has their name, and is filtered.
pub(super) fn superseded(held: &[Held<'_>]) -> Vec<u32> {
    let holds = |label: &str| held.iter().any(|one| one.now == Some(label));
    held.iter()
        .filter(|one| one.now != Some(one.label) && holds(one.label))
        .map(|one| one.link)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
                &[1],
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
