//! The kernel refuses one call of a start after another: what an earlier daemon left in force stays so, and the next
//! start is as good as ever.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use allowlist::{
    kernel::{
        Calls, EngineKind, EngineSettings, InForce, Interface, Kernel, Manner, Pins, Refusals,
        Variant, XdpMode, interfaces,
    },
    policy::{
        Author, Policy,
        change::{Change, Settings, apply},
        entry::{NewEntry, parse_keys},
    },
};
use allowlist_common::abi::StoreIdentity;
use aya::programs::{TestRun as _, TestRunOptions, Xdp, loaded_programs};
use aya_obj::programs::xdp::XdpAttachType;
use jiff::Timestamp;
use xtask::lab::{Bpffs, Namespace, Scratch, udp_frame, until};

use crate::host::LOOPBACK;

const PORT: u16 = 7001;
/// How long taking a program off may take on a busy machine.
const OFF: Duration = Duration::from_secs(10);
/// `XDP_PASS` of `linux/bpf.h`.
const PASS: u32 = 2;

/// A service that admits one source.
fn admits(source: &str) -> Policy {
    let ports = [format!("udp/{PORT}").parse().unwrap()].into();
    let settings = Settings { ports, ..Settings::default() };
    let new = |key| NewEntry { key, comment: None, expires_at: None };
    let entries = parse_keys(source).unwrap().into_iter().map(new).collect();
    let author = Arc::new(Author { uid: 0, name: "root".into() });
    [
        Change::Protect { name: "game".parse().unwrap(), settings },
        Change::Add { name: "game".parse().unwrap(), entries },
    ]
    .iter()
    .fold(Policy::default(), |policy, change| {
        apply(&policy, change, &author, Timestamp::UNIX_EPOCH).unwrap().policy
    })
}

fn loopback() -> Interface {
    interfaces().unwrap().into_iter().find(|one| one.ifindex == LOOPBACK).unwrap()
}

/// What the program on the interface, whoever put it there, makes of packets of two sources; `None` without one.
fn judged() -> Option<[bool; 2]> {
    let id = loopback().program?;
    // Others load and unload theirs meanwhile.
    let info = loaded_programs().filter_map(Result::ok).find(|info| info.id() == id).unwrap();
    let program = Xdp::from_program_info(info, "there".into(), XdpAttachType::Interface).unwrap();
    Some(["10.0.0.1", "10.0.0.2"].map(|source| {
        let frame = udp_frame(source.parse().unwrap(), "192.0.2.1".parse().unwrap(), PORT, 0);
        let options = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::default() };
        program.test_run(options).unwrap().return_value == PASS
    }))
}

/// Starts as the daemon does, and makes a change.
fn start(
    pins: &Pins,
    [first, then]: [&Policy; 2],
    kind: EngineKind,
    calls: &Calls,
) -> Result<Kernel, String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let variants = &Variant::ALL;
    let engine = EngineSettings { kind, ..EngineSettings::default() };
    let mut kernel = Kernel::load_one_of(variants, pins.clone(), first, engine, calls.clone())
        .map_err(|error| told(&error))?;
    kernel.note_store(&identity(first)).map_err(|error| told(&error))?;
    let present = interfaces().unwrap();
    let pinned = kernel.pinned(&present).map_err(|error| told(&error))?;
    let left = kernel.take_over(pinned, &present, |_| false).map_err(|error| told(&error))?;
    if let [(_, reason)] = left.as_slice() {
        return Err(format!("it cannot be taken over, and stays so: {reason}"));
    }
    kernel
        .attach(&loopback(), &present, Manner { mode: XdpMode::Generic, ..Manner::default() })
        .map_err(|error| told(&error))?;
    kernel.settle().map_err(|error| told(&error))?;
    kernel.apply(then).map_err(|error| told(&error))?;
    kernel.note_store(&identity(then)).map_err(|error| told(&error))?;
    Ok(kernel)
}

fn identity(policy: &Policy) -> StoreIdentity {
    StoreIdentity { id: [7; 16], revision: policy.revision }
}

fn names(kernel: &Kernel) -> Vec<&'static str> {
    kernel.programs().iter().map(|program| program.name).collect()
}

fn take_off(pins: &Pins) {
    pins.remove_all().unwrap();
    // The kernel takes its time.
    until("it to be off", OFF, || judged().is_none().then_some(())).unwrap();
}

/// Walks over every call of a start with each engine, with or without a filter in force, and returns how often each
/// sentence was said.
fn walk(is_in_force: bool, code: i32, said: &[&str]) -> BTreeMap<String, u64> {
    let mut errors = walk_with(EngineKind::Lpm, is_in_force, code, said);
    for (error, times) in walk_with(EngineKind::Flat, is_in_force, code, said) {
        *errors.entry(error).or_default() += times;
    }
    errors
}

fn walk_with(
    kind: EngineKind,
    is_in_force: bool,
    code: i32,
    said: &[&str],
) -> BTreeMap<String, u64> {
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new("faults").unwrap());
    let bpffs = Bpffs::mount(&scratch.path().join("bpffs")).unwrap();
    let pins = Pins::at(bpffs.path());
    let (alice, bob) = (admits("10.0.0.1"), admits("10.0.0.2"));
    let both = [&alice, &bob];
    let mut errors = BTreeMap::new();
    let mut walk = || {
        let usual = names(&start(&pins, both, kind, &Calls::default()).unwrap());
        if !is_in_force {
            take_off(&pins);
        }
        let mut number = 0;
        loop {
            let before = judged();
            assert_eq!(before, is_in_force.then_some([false, true]), "before call {number}");
            let calls = Calls::default();
            calls.refuse(Refusals { after: number, count: 1, code });
            let result = start(&pins, both, kind, &calls).map(|kernel| names(&kernel));
            let tried = calls.tried();
            match result {
                Err(error) => {
                    assert!(said.iter().any(|said| error.contains(said)), "{number}: {error}");
                    // Before the change it was to make, or after it, as a whole.
                    let now = judged();
                    let whole = [before, Some([true, false])];
                    assert!(whole.contains(&now), "call {number}, {error}: {now:?}");
                    *errors.entry(error).or_default() += 1;
                }
                Ok(names) => {
                    assert_eq!(judged(), Some([false, true]), "call {number}");
                    assert_eq!(names, usual, "call {number} had a lesser program loaded");
                }
            }
            if is_in_force {
                drop(start(&pins, both, kind, &Calls::default()).unwrap());
                assert_eq!(pins.in_force().unwrap(), InForce::From(identity(&bob)));
            } else {
                take_off(&pins);
            }
            if tried <= number {
                // None was left to be refused.
                return number;
            }
            number += 1;
        }
    };
    let walked = namespace.inside(&mut walk).unwrap();
    assert!(walked > 20, "only {walked} calls");
    assert!(errors.values().sum::<u64>() > 5, "{errors:?}");
    errors
}

#[test]
fn whatever_call_of_a_start_is_refused_the_filter_in_force_stays_so() {
    let errors = walk(true, libc::EPERM, &["CAP_BPF", "Operation not permitted"]);
    assert!(errors.keys().any(|error| error.contains("and stays so")), "{errors:?}");
}

#[test]
fn whatever_call_of_a_start_finds_no_memory_the_filter_in_force_stays_so() {
    walk(true, libc::ENOMEM, &["no memory", "Cannot allocate memory"]);
}

#[test]
fn whatever_call_of_a_first_start_is_refused_the_next_one_works() {
    walk(false, libc::EBUSY, &["is busy", "Device or resource busy", "try again"]);
}
