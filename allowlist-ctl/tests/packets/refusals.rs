//! The kernel refuses one update after another: a change is made as a whole then, or not at all.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use allowlist::{
    kernel::{
        EngineKind, EngineSettings, Manner, Refusals, SyncError, XdpMode, boot_clock, interfaces,
    },
    policy::{
        Author, Name, Policy,
        change::{Change, Settings, apply},
        entry::{NewEntry, parse_keys},
    },
};
use allowlist_common::abi::Judged as Verdict;
use jiff::{SignedDuration, Timestamp};
use xtask::lab::udp_frame;

use crate::{
    bed::{Bed, in_lab_of, of},
    host::LOOPBACK,
};

/// More entries than are changed in place.
const MANY: u32 = 1100;
/// Of a change with more updates than these, some in the middle are left alone: they are all alike.
const ALL_UP_TO: u64 = 6;
const STRIDE: u64 = 401;
const PORTS: std::ops::Range<u16> = 7001..7006;

/// Two services that share a group and their tries, one with the group and entries of its own, and an open one.
fn policy() -> Policy {
    [
        group("office"),
        add("office", &["10.0.0.0/24", "!10.0.0.7", "fd00::/64"]),
        protect("s1", 7001, &["office"]),
        protect("s2", 7002, &["office"]),
        protect("s3", 7003, &["office"]),
        add("s3", &["10.0.1.0/24", "!fd00::7"]),
        protect("s4", 7004, &[]),
        protect("s5", 7005, &[]),
        add("s5", &["10.0.0.1"]),
    ]
    .iter()
    .fold(Policy::default(), |policy, change| changed(&policy, change))
}

fn changed(policy: &Policy, change: &Change) -> Policy {
    let author = Arc::new(Author { uid: 0, name: "root".into() });
    apply(policy, change, &author, Timestamp::UNIX_EPOCH).unwrap().policy
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn group(group: &str) -> Change {
    Change::SetGroup { name: name(group), follow: None }
}

fn protect(service: &str, port: u16, include: &[&str]) -> Change {
    let includes = Some(include.iter().map(|group| name(group)).collect());
    let ports = [format!("udp/{port}").parse().unwrap()].into();
    Change::Protect {
        name: name(service),
        settings: Settings { ports, includes, ..Settings::default() },
    }
}

fn entries(texts: &[impl AsRef<str>]) -> Vec<NewEntry> {
    let keys = texts.iter().flat_map(|text| parse_keys(text.as_ref()).unwrap());
    keys.map(|key| NewEntry { key, comment: None, expires_at: None }).collect()
}

fn add(list: &str, texts: &[&str]) -> Change {
    Change::Add { name: name(list), entries: entries(texts) }
}

fn remove(list: &str, texts: &[&str]) -> Change {
    let keys = entries(texts).into_iter().map(|entry| entry.key).collect();
    Change::Remove { name: name(list), keys }
}

fn replace(list: &str) -> Change {
    let texts: Vec<String> = (0..MANY)
        .map(|number| format!("10.1.{}.{}", number >> 8, number & 255))
        .chain(["10.0.0.7".into(), "fd00::7".into()])
        .collect();
    Change::Replace { name: name(list), entries: entries(&texts) }
}

/// What becomes of packets of some sources to each service.
#[derive(PartialEq)]
struct Judged(Vec<(u16, IpAddr, bool)>);

impl fmt::Debug for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().filter(|(.., passes)| *passes)).finish()
    }
}

fn judged(bed: &mut Bed) -> Judged {
    let sources =
        ["10.0.0.1", "10.0.0.7", "10.0.1.1", "10.1.0.9", "10.9.9.9", "fd00::1", "fd00::7"];
    let mut judged = Vec::new();
    for port in PORTS {
        for source in sources {
            let source: IpAddr = source.parse().unwrap();
            let to = if source.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" };
            let frame = udp_frame(source, to.parse().unwrap(), port, 0);
            judged.push((port, source, bed.passes_in_kernel(&frame)));
        }
    }
    Judged(judged)
}

/// Changes of every kind that asks the kernel for something: the name, and what comes of it.
fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("in place, one trie", add("s5", &["10.0.0.0/16", "!10.0.0.0/24", "10.0.0.7"])),
        (
            "in place, a group of several services",
            add(
                "office",
                &["10.0.0.0/16", "!10.0.0.0/25", "10.0.0.7/32", "!fd00::/127", "fd00::/48"],
            ),
        ),
        ("in place, removals", remove("office", &["!10.0.0.7", "10.0.0.0/24"])),
        ("a swap of one service's tries", replace("s5")),
        ("a swap of several services' tries", replace("office")),
        ("a first entry", add("s4", &["10.0.0.1", "fd00::7"])),
        ("a last entry", remove("s5", &["10.0.0.1"])),
        ("a first entry of a family", add("s5", &["fd00::/64"])),
        ("another group", protect("s5", 7005, &["office"])),
        ("trusted, which all have", add("trusted", &["10.9.9.9"])),
        ("a service more", protect("s6", 7006, &["office"])),
        ("a service less", Change::Unprotect { name: name("s3") }),
    ]
}

/// Which updates of so many are refused in turn.
fn some(updates: u64) -> impl Iterator<Item = u64> {
    (0..updates).filter(move |number| {
        *number < ALL_UP_TO || updates - number <= ALL_UP_TO || number % STRIDE == 0
    })
}

/// Each change with what it makes of packets, and how many updates it takes.
fn each(mut test: impl FnMut(&mut Bed, &str, [&Policy; 2], [&Judged; 2], u64) + Send) {
    // In flat memory hardly anything can be refused; see below.
    in_lab_of(of(EngineKind::Lpm), |bed| {
        let before = policy();
        bed.enforce(&before, false);
        let judged_before = judged(bed);
        for (what, change) in changes() {
            let after = changed(&before, &change);
            bed.kernel.tidy();
            let tried = bed.kernel.calls().tried();
            bed.kernel.apply(&after).unwrap();
            let updates = bed.kernel.calls().tried() - tried;
            let judged_after = judged(bed);
            if !what.contains("a service more") {
                assert_ne!(judged_before, judged_after, "{what}");
            }
            restore(bed, &before, &judged_before, what);
            test(bed, what, [&before, &after], [&judged_before, &judged_after], updates);
        }
    });
}

fn restore(bed: &mut Bed, policy: &Policy, expected: &Judged, what: &str) {
    bed.kernel.apply(policy).unwrap();
    bed.kernel.tidy();
    assert_eq!(&judged(bed), expected, "back from {what}");
}

fn refuse(bed: &Bed, after: u64, count: u64, code: i32) {
    bed.kernel.calls().refuse(Refusals { after, count, code });
}

#[test]
fn a_change_of_which_an_update_is_refused_is_not_made_at_all() {
    each(|bed, what, [before, after], [judged_before, _], updates| {
        for number in some(updates) {
            refuse(bed, number, 1, libc::EPERM);
            let error = bed.kernel.apply(after).unwrap_err();
            assert!(matches!(error, SyncError::Refused(_)), "{what}, {number}: {error}");
            assert_eq!(&judged(bed), judged_before, "{what}, update {number} of {updates}");
            bed.kernel.apply(before).unwrap();
            bed.kernel.tidy();
        }
    });
}

#[test]
fn what_a_refusal_leaves_half_done_is_reported_and_mended() {
    let mut half_done = 0;
    each(|bed, what, [before, after], [judged_before, judged_after], updates| {
        for number in some(updates) {
            refuse(bed, number, u64::MAX, libc::EPERM);
            let error = bed.kernel.apply(after).unwrap_err();
            let is_half = matches!(error, SyncError::HalfDone(_));
            half_done += u32::from(is_half);
            if !is_half {
                assert_eq!(&judged(bed), judged_before, "{what}, update {number} of {updates}");
            }
            assert_eq!(bed.kernel.mend(), !is_half, "{what}, update {number} of {updates}");
            refuse(bed, 0, 0, 0);
            assert!(bed.kernel.mend(), "{what}, update {number} of {updates}");
            assert_eq!(&judged(bed), judged_before, "{what}, update {number} of {updates}, mended");
            bed.kernel.apply(after).unwrap();
            assert_eq!(&judged(bed), judged_after, "{what} after update {number} was refused");
            restore(bed, before, judged_before, what);
        }
    });
    assert!(half_done > 0);
}

#[test]
fn a_refusal_that_passes_is_not_noticed() {
    each(|bed, what, [before, after], [judged_before, judged_after], updates| {
        for (number, code) in
            some(updates).zip([libc::ENOMEM, libc::EBUSY, libc::EAGAIN].iter().cycle())
        {
            refuse(bed, number, 3, *code);
            let tried = bed.kernel.calls().tried();
            bed.kernel.apply(after).unwrap();
            assert!(bed.kernel.calls().tried() - tried >= updates + 3, "{what}, {number}");
            assert_eq!(&judged(bed), judged_after, "{what}, update {number} of {updates}");
            restore(bed, before, judged_before, what);
        }
    });
}

#[test]
fn patience_with_a_kernel_that_stays_short_of_memory_ends_and_nothing_has_changed() {
    in_lab_of(of(EngineKind::Lpm), |bed| {
        let before = policy();
        bed.enforce(&before, false);
        let expected = judged(bed);
        // In place: the second update, as often as it is tried, and not those that take the first one back. A swap has
        // none of those, and both families' threads are refused for good.
        let in_place = add("office", &["10.0.0.0/16", "10.0.0.7/32"]);
        for (change, count) in [(in_place, 12), (replace("s5"), u64::MAX)] {
            refuse(bed, 1, count, libc::ENOMEM);
            let error = bed.kernel.apply(&changed(&before, &change)).unwrap_err();
            assert!(matches!(error, SyncError::Refused(_)), "{error}");
            assert_eq!(judged(bed), expected);
        }
    });
}

#[test]
fn with_flat_memory_a_change_is_made_or_not_whatever_the_kernel_refuses() {
    in_lab_of(of(EngineKind::Flat), |bed| {
        let before = policy();
        bed.enforce(&before, false);
        let judged_before = judged(bed);
        let mut refused = 0;
        for (what, change) in changes() {
            let after = changed(&before, &change);
            bed.kernel.apply(&after).unwrap();
            let judged_after = judged(bed);
            restore(bed, &before, &judged_before, what);
            for number in 0..6 {
                refuse(bed, number, u64::MAX, libc::EPERM);
                let result = bed.kernel.apply(&after);
                refuse(bed, 0, 0, 0);
                refused += u32::from(result.is_err());
                let expected = if result.is_ok() { &judged_after } else { &judged_before };
                assert_eq!(&judged(bed), expected, "{what}, {number}: {result:?}");
                assert!(bed.kernel.mend(), "{what}, {number}");
                assert_eq!(&judged(bed), expected, "{what}, {number}: {result:?}, mended");
                restore(bed, &before, &judged_before, what);
            }
        }
        assert!(refused > 0);
    });
}

#[test]
fn entries_beyond_the_memory_that_they_may_take_are_refused_with_the_figures() {
    for kind in [EngineKind::Lpm, EngineKind::Flat] {
        in_lab_of(EngineSettings { kind, memory: 8 << 20 }, |bed| {
            let before = policy();
            bed.enforce(&before, false);
            let expected = judged(bed);
            let texts: Vec<String> = (0..200_000u32)
                .map(|number| format!("{}/32", Ipv4Addr::from(number * 20_000)))
                .collect();
            let many = Change::Replace { name: name("s5"), entries: entries(&texts) };
            let error = bed.kernel.apply(&changed(&before, &many)).unwrap_err().to_string();
            let is_told =
                error.contains("of 8 MiB are in use") && error.contains("`memory` under [engine]");
            assert!(is_told, "{kind:?}: {error}");
            assert_eq!(judged(bed), expected, "{kind:?}");
            bed.kernel.tidy();
            // What was taken for it was given back.
            let few = changed(&before, &add("s5", &["10.0.0.7"]));
            bed.kernel.apply(&few).unwrap();
            assert_ne!(judged(bed), expected, "{kind:?}");
            restore(bed, &before, &expected, "a few");
        });
    }
}

#[test]
fn ends_are_mended_and_a_policy_is_restored_whatever_entries_may_take() {
    for kind in [EngineKind::Lpm, EngineKind::Flat] {
        // Not even one trie of them fits.
        in_lab_of(EngineSettings { kind, memory: 1 << 10 }, |bed| {
            let ending = |entry: NewEntry| NewEntry { expires_at: Some(Timestamp::MAX), ..entry };
            let entries = entries(&["10.0.0.0/24", "fd00::/64"]).into_iter().map(ending).collect();
            let policy = changed(&policy(), &Change::Add { name: name("s5"), entries });
            let refused = bed.kernel.apply(&policy).unwrap_err();
            assert!(matches!(refused, SyncError::OverBudget(_)), "{kind:?}: {refused}");
            bed.kernel.restore(&policy).unwrap();
            let expected = judged(bed);
            let mut clock = boot_clock();
            clock.booted_at += SignedDuration::from_secs(3600);
            assert!(bed.mend_at(&clock), "{kind:?}");
            assert_eq!(judged(bed), expected, "{kind:?}");
            assert!(bed.kernel.engine().memory > 1 << 10, "{kind:?}");
        });
    }
}

#[test]
fn an_interface_gets_the_filter_whatever_entries_may_take() {
    let interface = interfaces().unwrap().into_iter().find(|one| one.ifindex == LOOPBACK).unwrap();
    let at = |service: &str, address: &str| Change::Protect {
        name: name(service),
        settings: Settings {
            ports: ["udp/7001".parse().unwrap()].into(),
            interfaces: Some([interface.name.clone()].into()),
            addresses: Some([address.parse().unwrap()].into()),
            ..Settings::default()
        },
    };
    let changes = [
        at("s1", "192.0.2.1/32"),
        at("s2", "192.0.2.2/32"),
        add("s1", &["10.0.0.1"]),
        add("s2", &["10.0.0.2"]),
    ];
    let policy = changes.iter().fold(Policy::default(), |policy, change| changed(&policy, change));
    for kind in [EngineKind::Lpm, EngineKind::Flat] {
        // Not even one trie of them fits.
        in_lab_of(EngineSettings { kind, memory: 1 << 10 }, |bed| {
            // The addresses are looked up once there is the interface.
            bed.kernel.restore(&policy).unwrap();
            let manner = Manner { mode: XdpMode::Generic, ..Manner::default() };
            bed.kernel.attach(&interface, &[], manner).unwrap();
            for (source, to, passes) in [
                ("10.0.0.1", "192.0.2.1", true),
                ("10.0.0.2", "192.0.2.1", false),
                ("10.0.0.2", "192.0.2.2", true),
            ] {
                let frame = udp_frame(source.parse().unwrap(), to.parse().unwrap(), 7001, 0);
                assert_eq!(bed.passes_in_kernel(&frame), passes, "{kind:?}: {source} to {to}");
            }
        });
    }
}

#[test]
fn a_change_that_fails_leaves_the_counters_of_a_service_whose_number_it_would_have_given_away() {
    let before = [protect("s1", 7001, &[]), add("s1", &["10.0.0.1"])];
    let before = before.iter().fold(Policy::default(), |policy, change| changed(&policy, change));
    let after = [protect("s9", 7001, &[]), add("s9", &["10.0.0.1", "10.0.0.2"])];
    let after = after.iter().fold(Policy::default(), |policy, change| changed(&policy, change));
    let frame =
        udp_frame("10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap(), PORTS.start, 0);
    in_lab_of(of(EngineKind::Lpm), |bed| {
        bed.enforce(&before, false);
        assert!(bed.passes_in_kernel(&frame));
        let counted =
            |bed: &Bed| bed.kernel.counters().service(1, Verdict::Admitted).unwrap().packets;
        let mut failed = 0;
        loop {
            refuse(bed, failed, u64::MAX, libc::EPERM);
            let Err(error) = bed.kernel.apply(&after) else { break };
            assert_eq!(counted(bed), 1, "update {failed}: {error}");
            failed += 1;
        }
        assert!(failed > 0);
        refuse(bed, 0, 0, 0);
        bed.kernel.apply(&before).unwrap();
        bed.kernel.tidy();
        assert!(bed.passes_in_kernel(&frame));
        bed.kernel.apply(&after).unwrap();
        assert_eq!(counted(bed), 0);
    });
}
