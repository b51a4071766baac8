use std::{collections::BTreeMap, net::IpAddr};

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::{
    api::{DocumentEntry, EntrySpec, GroupDocument, ServiceDocument},
    policy::{
        Name, Prefix,
        port::Ports,
        service::{Action, Mode, WhenEmpty},
    },
};

fn printed(policy: &PolicyDocument) -> String {
    let mut out = Vec::new();
    print(policy, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const POLICY: &str = r#"# The policy of allowlistd, as `allowlist-ctl export` prints it. To make it so:
# allowlist-ctl apply -f FILE, which --dry-run only tells.

[service.redis]
ports = ["tcp/6379", "udp/5000-5010"]
interfaces = ["eth0"]
addresses = ["192.0.2.1/32"]
include = ["office"]
mode = "monitor"
action = "reject"
when_empty = "closed"
entries = [
    "10.0.0.0/8",
    { entry = "!10.6.6.0/24", comment = 'the "lab"' },
    { entry = "10.7.0.0/16", comment = "visitor", expires_at = "2026-12-01T00:00:00Z" },
]

[service.web]
ports = ["tcp/80"]
mode = "enforce"
action = "drop"
when_empty = "open"
entries = []

[group.office]
follow = "/etc/allowlist/office.txt"
entries = []
"#;

#[test]
fn a_policy_is_printed_for_people_and_read_again() {
    let policy = parse(POLICY, "p").unwrap();
    assert_eq!(printed(&policy), POLICY);
    assert_eq!(policy.service.len() + policy.group.len(), 3);
}

#[test]
fn what_people_write_is_read() {
    let redis = |entries: &str| {
        let text = format!("[service.redis]\nports = [\"tcp/1\"]\nentries = [{entries}]\n");
        let policy = parse(&text, "p").unwrap();
        printed(&policy).rsplit_once("entries = [\n").unwrap().1.trim_end().to_owned()
    };
    let table = [
        ("'::1'", "    \"::1\",\n]"),
        ("{ entry = '10.0.0.1-10.0.0.9' }", "    \"10.0.0.1-10.0.0.9\",\n]"),
        (
            "{ entry = '::1', expires_at = 2026-12-01T01:00:00+01:00 }",
            "    { entry = \"::1\", expires_at = \"2026-12-01T00:00:00Z\" },\n]",
        ),
        (
            "{ entry = '::1', expires_at = '2026-12-01T00:00Z' }",
            "    { entry = \"::1\", expires_at = \"2026-12-01T00:00:00Z\" },\n]",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(redis(text), expected, "{text}");
    }
    assert_eq!(parse("", "p").unwrap(), PolicyDocument::default());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let service = "[service.redis]\nports = [\"tcp/1\"]\n";
    let table = [
        ("[service.redis\n".to_owned(), "line 1, column 15 of p cannot be read: "),
        (
            format!("{service}prots = []\n"),
            "line 3, column 1 of p cannot be read: unknown field `prots`, expected one of `ports`",
        ),
        ("[services.a]\n".into(), "line 1, column 2 of p cannot be read: unknown field `services`"),
        ("[group.Redis]\n".into(), "line 1, column 8 of p cannot be read: 'Redis' is not a name"),
        ("[service.a]\n".into(), "line 1, column 1 of p cannot be read: missing field `ports`"),
        (
            format!("{service}entries = [\n  7,\n]\n"),
            "line 4, column 3 of p cannot be read: invalid type: integer `7`, expected \"10.0.0.0/8\" or {",
        ),
        (
            format!("{service}entries = [\n  {{ entry = '::1', until = 'x' }},\n]\n"),
            "line 4, column 20 of p cannot be read: unknown field `until`",
        ),
    ];
    for (text, expected) in table {
        let error = parse(&text, "p").unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn every_value_that_is_none_is_told_with_its_line() {
    let long = "x".repeat(501);
    let text = format!(
        "[group.office]\nentries = [\n  '10.0.0.5/24',\n  '::1',\n]\n[service.a]\nports = ['tcp/1']\n\
         entries = [ '!x',\n {{ entry = '::1', comment = '{long}' }},\n \
         {{ entry = '::1', expires_at = 'x' }},\n {{ entry = '::1', expires_at = 2026-12-01T00:00:00 }} ]\n\
         [service.b]\nports = [\n  'tcp/1',\n  'tcp/0',\n]\nmode = 'on'\naddresses = ['10.0.0.1/8']\n\
         include = ['A']\n"
    );
    let InvalidPolicy::Entries { name, wrong } = parse(&text, "p").unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(name, "p");
    let expected = [
        "line 3: office: 10.0.0.5/24 has host bits set",
        "line 8: a: 'x' is not an address",
        "line 9: a: the comment is 501 bytes long",
        "line 10: a: 'x' is not a time: write it as 2026-12-01T00:00Z",
        "line 11: a: '2026-12-01T00:00:00' is not a time",
        "line 15: b: 'tcp/0' is not a port",
        "line 17: b: unknown variant `on`, expected one of `enforce`",
        "line 18: b: 10.0.0.1/8 has host bits set",
        "line 19: b: 'A' is not a name",
    ];
    assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
    for (problem, expected) in wrong.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}");
    }
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9_-]{0,20}".prop_map(|text| text.parse().unwrap())
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (any::<IpAddr>(), 0..=32_u8).prop_map(|(address, bits)| Prefix::around(address, bits).unwrap())
}

fn ports() -> impl Strategy<Value = Ports> {
    let protocol = select(&["tcp", "udp", "udplite", "sctp", "dccp"][..]);
    (protocol, 1..=u16::MAX, 1..=u16::MAX).prop_map(|(protocol, one, other)| {
        format!("{protocol}/{}-{}", one.min(other), one.max(other)).parse().unwrap()
    })
}

fn entries() -> impl Strategy<Value = Vec<DocumentEntry>> {
    let end = (0..4_000_000_000_i64, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanos)| jiff::Timestamp::new(seconds, nanos).unwrap());
    let entry = (any::<bool>(), prefix(), option::of(r#"(\PC|["'\\#]){0,30}"#), option::of(end));
    let entry = entry.prop_map(|(except, prefix, comment, expires_at)| {
        let mark = if except { "!" } else { "" };
        EntrySpec { entry: format!("{mark}{prefix}"), comment, expires_at }.into()
    });
    vec(entry, 0..5)
}

fn service() -> impl Strategy<Value = ServiceDocument> {
    let limits = (vec(r"\PC{0,15}", 0..3), vec(prefix(), 0..3), vec(name(), 0..3));
    let words = (
        select(&[Mode::Enforce, Mode::Monitor, Mode::Off][..]),
        select(&[Action::Drop, Action::Reject][..]),
        select(&[WhenEmpty::Open, WhenEmpty::Closed][..]),
    );
    (vec(ports(), 0..3), limits, words, entries()).prop_map(
        |(ports, (interfaces, addresses, include), (mode, action, when_empty), entries)| {
            ServiceDocument {
                ports,
                interfaces,
                addresses,
                include,
                mode,
                action,
                when_empty,
                entries,
            }
        },
    )
}

fn policy() -> impl Strategy<Value = PolicyDocument> {
    let group = (option::of("/.{0,20}"), entries())
        .prop_map(|(follow, entries)| GroupDocument { follow: follow.map(Into::into), entries });
    let services = vec((name(), service()), 0..4);
    let groups = vec((name(), group), 0..4);
    (services, groups).prop_map(|(services, groups)| PolicyDocument {
        service: services.into_iter().collect::<BTreeMap<_, _>>(),
        group: groups.into_iter().collect::<BTreeMap<_, _>>(),
    })
}

proptest! {
    #[test]
    fn whatever_is_printed_is_read_as_it_was(policy in policy()) {
        let text = printed(&policy);
        let read = parse(&text, "p").map_err(|error| error.to_string());
        prop_assert_eq!(read, Ok(policy), "{}", text);
    }
}
