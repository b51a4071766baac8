//! What is pinned, and what the daemon makes of it.

use std::{fs, os::unix::fs::MetadataExt as _, sync::Arc};

use allowlist::{
    kernel::{
        Calls, EngineSettings, Happening, Interface, Kernel, Manner, Pinned, Pins, Refusals,
        Variant, XdpMode, interfaces,
    },
    policy::{EntryIds, EntryKey, Kind, Policy},
};
use allowlist_common::abi::{ABI_VERSION, HITS_PAGE, Judged};
use jiff::Timestamp;
use xtask::lab::{Bpffs, Namespace, Scratch, link};

use crate::{
    policies::{policy, service},
    table::build::V4,
};

const GENERIC: Manner = Manner { mode: XdpMode::Generic, strict: false, unpinned: false };

/// Runs a test in a namespace with two interfaces beside loopback, over a BPF file system of its own.
fn in_lab(test: impl FnOnce(&Pins) + Send) {
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new("pinned").unwrap());
    let bpffs = Bpffs::mount(&scratch.path().join("bpffs")).unwrap();
    link(&namespace, "left0", &namespace, "right0").unwrap();
    namespace.inside(|| test(&Pins::at(bpffs.path()))).unwrap();
}

/// A daemon's kernel, with the calls that it asks by.
fn load(pins: &Pins, policy: &Policy, calls: &Calls) -> Kernel {
    let engine = EngineSettings::default();
    Kernel::load_one_of(&Variant::ALL, pins.clone(), policy, engine, calls.clone()).unwrap()
}

fn interface(name: &str) -> Interface {
    interfaces().unwrap().into_iter().find(|one| one.name == name).unwrap()
}

#[test]
fn last_hits_are_those_of_their_entries_whatever_pin_is_gone() {
    let key = EntryKey::manual("192.0.2.66/32".parse().unwrap(), Kind::Allow);
    let mut late = policy([(service(&["tcp/22".into()]), vec![(key, None)])]);
    let id = HITS_PAGE + 7;
    for service in late.services.values_mut() {
        let service = Arc::make_mut(service);
        let entry = service.entries.get(&key).unwrap().clone();
        service.entries.insert(key, allowlist::policy::Entry { id, ..entry });
    }
    late.ids = EntryIds::from_taken([id].into_iter());
    in_lab(|pins| {
        let mut kernel = load(pins, &policy([]), &Calls::default());
        fs::remove_file(pins.directory().join(format!("v{ABI_VERSION}/HITS_0"))).unwrap();
        kernel.apply(&late).unwrap();
        kernel.attach(&interface("lo"), &[], GENERIC).unwrap();
        kernel.judge(&V4::to(22).frame()).unwrap();
        let hits = kernel.hits();
        assert!(hits.last(id, Timestamp::UNIX_EPOCH).is_some());
        assert!(hits.last(7, Timestamp::UNIX_EPOCH).is_none());
    });
}

#[test]
fn what_was_counted_is_kept_whatever_the_kernel_does_not_open_for_once() {
    let entries = vec![(EntryKey::manual("192.0.2.66/32".parse().unwrap(), Kind::Allow), None)];
    let closed = policy([(service(&["tcp/22".into()]), entries)]);
    in_lab(|pins| {
        let mut kernel = load(pins, &closed, &Calls::default());
        kernel.attach(&interface("lo"), &[], GENERIC).unwrap();
        kernel.judge(&V4::to(22).frame()).unwrap();
        drop(kernel);
        let mut refused = 0;
        loop {
            let calls = Calls::default();
            calls.refuse(Refusals { after: refused, count: 1, code: libc::EMFILE });
            let (of, engine) = (&Variant::ALL, EngineSettings::default());
            let loaded = Kernel::load_one_of(of, pins.clone(), &closed, engine, calls.clone());
            let kernel = load(pins, &closed, &Calls::default());
            let counted = kernel.counters().service(1, Judged::Admitted).unwrap().packets;
            assert_eq!(counted, 1, "call {refused}");
            assert!(kernel.hits().last(1, Timestamp::UNIX_EPOCH).is_some(), "call {refused}");
            if calls.tried() <= refused {
                break;
            }
            if let Err(error) = loaded {
                let error = error.to_string();
                assert!(error.contains("Too many open files"), "call {refused}: {error}");
                assert!(!error.contains("Linux 5.10"), "call {refused}: {error}");
            }
            refused += 1;
        }
        assert!(refused > 10, "{refused} calls");
    });
}

#[test]
fn what_is_no_such_map_makes_room_for_it() {
    let closed = policy([(service(&["tcp/22".into()]), Vec::new())]);
    in_lab(|pins| {
        drop(load(pins, &closed, &Calls::default()));
        let maps = pins.directory().join(format!("v{ABI_VERSION}"));
        fs::remove_file(maps.join("SERVICE_COUNTS")).unwrap();
        for (pin, other) in [("SERVICE_COUNTS", "HITS_0"), ("HITS_0", "OTHER_COUNTS")] {
            fs::rename(maps.join(other), maps.join(pin)).unwrap();
        }
        fs::create_dir(maps.join("OTHER_COUNTS")).unwrap();
        let mut kernel = load(pins, &closed, &Calls::default());
        kernel.attach(&interface("lo"), &[], GENERIC).unwrap();
        kernel.judge(&V4::to(22).frame()).unwrap();
        drop(kernel);
        let kernel = load(pins, &closed, &Calls::default());
        assert_eq!(kernel.counters().service(1, Judged::AdmittedOpen).unwrap().packets, 1);
        assert!(fs::metadata(maps.join("OTHER_COUNTS")).unwrap().is_file());
    });
}

#[test]
fn links_are_found_in_the_order_in_which_they_were_made() {
    in_lab(|pins| {
        let mut kernel = load(pins, &policy([]), &Calls::default());
        let names = ["left0", "right0", "lo"];
        for name in names {
            kernel.attach(&interface(name), &[], GENERIC).unwrap();
        }
        let present = interfaces().unwrap();
        let found = || -> Vec<String> {
            let pinned = kernel.pinned(&present).unwrap().into_iter();
            pinned.map(|pinned| pinned.interface).collect()
        };
        assert_eq!(found(), names);
    });
}

#[test]
fn a_link_goes_by_its_new_name_though_its_pin_was_gone() {
    in_lab(|pins| {
        let mut kernel = load(pins, &policy([]), &Calls::default());
        let link = kernel.attach(&interface("lo"), &[], GENERIC).unwrap().link();
        fs::remove_dir_all(pins.directory().join("links")).unwrap();
        kernel.label(link, "wan0", false);
        let (happened, placed) = kernel.look(&interfaces().unwrap());
        placed.unwrap();
        assert!(matches!(happened.as_slice(), [Happening::Unpinned(_, Ok(()))]), "{happened:?}");
        let present = interfaces().unwrap();
        let pinned: Vec<Pinned> = kernel.pinned(&present).unwrap();
        let names: Vec<&str> = pinned.iter().map(|pinned| pinned.interface.as_str()).collect();
        assert_eq!(names, ["wan0"]);
    });
}

#[test]
fn what_a_link_needs_that_was_not_taken_over_stays_pinned() {
    in_lab(|pins| {
        let maps = pins.directory().join(format!("v{ABI_VERSION}"));
        let other_release = pins.directory().join("v999");
        // Which array the programs of a start go on by.
        let number = |name: &str| fs::metadata(maps.join(name)).map(|pin| pin.ino()).ok();
        let take_over = |calls: &Calls| {
            let mut kernel = load(pins, &policy([]), calls);
            let present = interfaces().unwrap();
            let pinned = kernel.pinned(&present).unwrap();
            let left = kernel.take_over(pinned, &present, |_| false).unwrap();
            (kernel, left)
        };
        let (mut first, _) = take_over(&Calls::default());
        for name in ["left0", "right0"] {
            first.attach(&interface(name), &[], GENERIC).unwrap();
        }
        first.settle().unwrap();
        drop(first);
        fs::create_dir(&other_release).unwrap();
        let of_first = number("NEXT");
        assert!(of_first.is_some() && number("NEXT_NEW").is_none());

        // Of the next start one link is refused, and another one is made that is not pinned: as many as are pinned.
        let calls = Calls::default();
        let mut second = load(pins, &policy([]), &calls);
        let present = interfaces().unwrap();
        let pinned = second.pinned(&present).unwrap();
        calls.refuse(Refusals { after: 0, count: 1, code: libc::EPERM });
        let left = second.take_over(pinned, &present, |_| false).unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        calls.refuse(Refusals { after: 1, count: 1, code: libc::EPERM });
        let manner = Manner { unpinned: true, ..GENERIC };
        assert!(second.attach(&interface("lo"), &[], manner).unwrap().unpinned.is_some());
        second.settle().unwrap();
        assert_eq!(number("NEXT"), of_first);
        assert!(number("NEXT_NEW").is_some() && other_release.exists());
        drop(second);

        let (mut third, left) = take_over(&Calls::default());
        assert!(left.is_empty(), "{left:?}");
        third.settle().unwrap();
        assert_ne!(number("NEXT"), of_first);
        assert!(number("NEXT_NEW").is_none() && !other_release.exists());
    });
}
