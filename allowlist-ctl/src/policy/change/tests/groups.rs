//! Groups, trusted, and files that groups follow.

use super::*;
use crate::policy::group::TRUSTED;

impl Desk {
    fn group(&mut self, name: &str) -> Result<Tally, Refusal> {
        self.make(&Change::SetGroup { name: name.parse().unwrap(), follow: None })
    }

    fn follow(&mut self, name: &str, path: &str) -> Result<Tally, Refusal> {
        let follow = Some((!path.is_empty()).then(|| path.into()));
        self.make(&Change::SetGroup { name: name.parse().unwrap(), follow })
    }

    fn ungroup(&mut self, name: &str) -> Result<Tally, Refusal> {
        self.make(&Change::RemoveGroup { name: name.parse().unwrap() })
    }

    fn include(&mut self, groups: &[&str]) -> Result<Tally, Refusal> {
        let includes = Some(groups.iter().map(|name| name.parse().unwrap()).collect());
        self.protect_with("redis", &["tcp/6379"], Settings { includes, ..Settings::default() })
    }

    fn sync(&mut self, name: &str, text: &str) -> Result<Tally, Refusal> {
        let entries = lines::parse_of_file(text);
        self.make(&Change::Sync { name: name.parse().unwrap(), entries })
    }

    fn admits(&self, address: &str) -> bool {
        self.0
            .sources(self.service("redis"))
            .admits(address.parse().unwrap(), Timestamp::UNIX_EPOCH)
    }
}

#[test]
fn entries_of_an_included_group_close_a_service_and_those_of_trusted_do_not() {
    let mut desk = Desk::new();
    desk.group("office").unwrap();
    desk.add("office", "10.0.0.0/8").unwrap();
    desk.add(TRUSTED, "192.0.2.1").unwrap();
    assert!(!desk.is_closed("redis"));
    desk.include(&["office", TRUSTED]).unwrap();
    assert!(desk.is_closed("redis") && desk.admits("10.1.1.1") && desk.admits("192.0.2.1"));
    let closed = desk.0.clone();
    desk.remove("office", &["10.0.0.0/8"]).unwrap();
    assert!(!desk.is_closed("redis"));
    assert_eq!(closed.opened_by(&desk.0), ["redis".parse().unwrap()]);
}

#[test]
fn a_prefix_in_several_groups_is_admitted_until_it_is_in_none() {
    let mut desk = Desk::new();
    for group in ["a", "b"] {
        desk.group(group).unwrap();
        desk.add(group, &format!("10.0.0.1 # {group}")).unwrap();
    }
    desk.include(&["a", "b"]).unwrap();
    desk.add("redis", "10.0.0.1 until=1970-01-01T00:00:00Z # own\n10.0.0.2").unwrap();
    assert!(desk.admits("10.0.0.1"), "an end of one list is not that of another");
    desk.remove("a", &["10.0.0.1"]).unwrap();
    assert_eq!(desk.shown("b"), ["10.0.0.1/32 b"]);
    assert!(desk.admits("10.0.0.1"));
    desk.remove("b", &["10.0.0.1"]).unwrap();
    assert!(!desk.admits("10.0.0.1"));
}

#[test]
fn groups_and_services_share_their_names() {
    let mut desk = Desk::new();
    desk.group("office").unwrap();
    let table = [
        (
            desk.protect("office", &["tcp/1"]),
            "'office' is a group, and services and groups share their names",
        ),
        (
            desk.protect(TRUSTED, &["tcp/1"]),
            "'trusted' is a group, and services and groups share their names",
        ),
        (desk.group("redis"), "'redis' is a service, and services and groups share their names"),
        (desk.ungroup(TRUSTED), "'trusted' is built in: it can be emptied, not removed"),
        (desk.ungroup("nothing"), "there is no group 'nothing'"),
        (desk.include(&["nothing"]), "there is no group 'nothing'"),
        (desk.add("nothing", "10.0.0.1"), "there is no service or group 'nothing'"),
    ];
    for (result, expected) in table {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_group_that_is_included_is_not_removed() {
    let mut desk = Desk::new();
    desk.group("office").unwrap();
    desk.include(&["office"]).unwrap();
    let refusal = desk.ungroup("office").unwrap_err();
    assert_eq!(refusal.to_string(), "the group 'office' is included by redis");
    desk.include(&[]).unwrap();
    desk.ungroup("office").unwrap();
    assert!(!desk.0.groups.contains_key("office"));
}

#[test]
fn a_sync_touches_only_what_is_of_the_file() {
    let mut desk = Desk::new();
    desk.follow("office", "/etc/office.txt").unwrap();
    desk.add("office", "10.0.0.1 # by hand\n10.0.0.2").unwrap();
    desk.sync("office", "10.0.0.1 # of the file\n10.0.0.3").unwrap();
    assert_eq!(
        desk.shown("office"),
        ["10.0.0.1/32 by hand", "10.0.0.1/32 of the file", "10.0.0.2/32 -", "10.0.0.3/32 -"]
    );
    desk.replace("office", "10.0.0.4").unwrap();
    desk.sync("office", "10.0.0.5").unwrap();
    assert_eq!(desk.shown("office"), ["10.0.0.4/32 -", "10.0.0.5/32 -"]);
    let refusal = desk.remove("office", &["10.0.0.5"]).unwrap_err();
    assert_eq!(refusal.to_string(), "10.0.0.5/32 of 'office' comes from the file that it follows");
}

#[test]
fn a_file_that_is_followed_no_more_leaves_its_entries() {
    let mut desk = Desk::new();
    desk.follow("office", "/etc/office.txt").unwrap();
    desk.add("office", "10.0.0.1 until=2026-12-01T00:00Z # by hand\n10.0.0.2 # by hand").unwrap();
    desk.sync("office", "10.0.0.1 # file\n10.0.0.2 until=2026-12-01T00:00Z # file\n10.0.0.3")
        .unwrap();
    desk.follow("office", "").unwrap();
    assert_eq!(desk.shown("office"), ["10.0.0.1/32 file", "10.0.0.2/32 by hand", "10.0.0.3/32 -"]);
    assert!(desk.entries("office").iter().all(|(key, _)| key.origin == Origin::Manual));
    assert!(desk.entries("office").iter().all(|(_, entry)| entry.expires_at.is_none()));
}

#[test]
fn an_except_elsewhere_that_wins_is_told() {
    let add = |name: &str, text: &str| Change::Add {
        name: name.parse().unwrap(),
        entries: lines::parse(text).unwrap(),
    };
    let mut desk = Desk::new();
    desk.group("office").unwrap();
    desk.include(&["office"]).unwrap();
    desk.add("office", "!10.6.6.0/24\n!10.7.0.0/16").unwrap();
    let table: &[(Change, &[&str])] = &[
        (add(TRUSTED, "10.6.0.0/16"), &["!10.6.6.0/24 of office still denies part of 10.6.0.0/16"]),
        (
            add("redis", "10.7.0.0/16"),
            &["10.7.0.0/16 has no effect: !10.7.0.0/16 of office wins on a tie"],
        ),
        (add("redis", "10.6.6.6"), &[]),
        (add("redis", "10.9.0.0/16\n!10.9.9.0/24"), &[]),
    ];
    for (change, expected) in table {
        assert_eq!(desk.told(change), *expected, "{change:?}");
    }
}

#[test]
fn everything_is_a_hazard_also_for_longer_or_by_a_group() {
    let mut desk = Desk::new();
    desk.group("all").unwrap();
    desk.add("all", "0.0.0.0/0").unwrap();
    desk.add("redis", "10.0.0.1\n0.0.0.0/0 until=1970-01-01T00:01:00Z").unwrap();
    let before = desk.0.clone();
    let count = |desk: &Desk| hazards(&before, &desk.0).len();
    desk.add("redis", "0.0.0.0/0 until=1970-01-01T00:01:00Z # again").unwrap();
    assert_eq!(count(&desk), 0, "it ends as before");
    desk.add("redis", "0.0.0.0/0").unwrap();
    assert_eq!(count(&desk), 1, "it no longer ends");
    desk.0 = before.clone();
    desk.include(&["all"]).unwrap();
    assert_eq!(count(&desk), 1, "a group has it");
}
