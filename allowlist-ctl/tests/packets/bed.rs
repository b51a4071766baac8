//! The loaded program in a network namespace of its own, with the host's judge beside it.

use allowlist::{
    kernel::{
        Action, Calls, Drop, EngineKind, EngineSettings, Events, Interface, Kernel, Manner, Pins,
        Program, Variant, XdpMode, boot_clock, interfaces,
    },
    policy::{Policy, entry::BootClock},
};
use allowlist_common::abi::Judged;
use xtask::lab::{Bpffs, Namespace, Scratch};

use crate::{
    counted::{Counted, Tally},
    host::{Host, LOOPBACK},
};

/// Below so many bytes a frame can't be run through the program.
pub(crate) const SHORTEST: usize = 14;

/// Frames up to so many bytes are in one buffer, as those have to be that the kernel explains.
pub(crate) const LONGEST_EXPLAINED: usize = 3000;

/// A policy in force, in the kernel and on the host.
pub(crate) struct Bed {
    pub(crate) kernel: Kernel,
    host: Host,
    places: Vec<(Interface, XdpMode)>,
    events: Events,
    counters: Vec<Counted>,
}

/// Runs a test in a new namespace, with each engine. Without a policy yet, everything passes.
pub(crate) fn in_lab(test: impl FnMut(&mut Bed) + Send) {
    in_lab_with(&Variant::ALL, test);
}

/// The same with one engine alone, under these settings.
pub(crate) fn in_lab_of(engine: EngineSettings, test: impl FnOnce(&mut Bed) + Send) {
    once(engine, &Namespace::new("packets").unwrap(), &Variant::ALL, None, test);
}

/// The same with the first of these variants of the program that the kernel takes.
pub(crate) fn in_lab_with(variants: &[Variant], test: impl FnMut(&mut Bed) + Send) {
    inside(&Namespace::new("packets").unwrap(), variants, None, test);
}

/// Runs a test in a namespace.
pub(crate) fn in_namespace(
    namespace: &Namespace,
    variants: &[Variant],
    test: impl FnMut(&mut Bed) + Send,
) {
    inside(namespace, variants, None, test);
}

/// Runs a test in a namespace where the program is on an interface too, in native mode.
pub(crate) fn on_interface(
    namespace: &Namespace,
    interface: &str,
    variants: &[Variant],
    test: impl FnMut(&mut Bed) + Send,
) {
    inside(namespace, variants, Some(interface), test);
}

/// The same with one engine alone.
pub(crate) fn on_interface_with(
    kind: EngineKind,
    namespace: &Namespace,
    interface: &str,
    variants: &[Variant],
    test: impl FnOnce(&mut Bed) + Send,
) {
    once(of(kind), namespace, variants, Some(interface), test);
}

fn inside(
    namespace: &Namespace,
    variants: &[Variant],
    native: Option<&str>,
    mut test: impl FnMut(&mut Bed) + Send,
) {
    for kind in [EngineKind::Lpm, EngineKind::Flat] {
        once(of(kind), namespace, variants, native, &mut test);
    }
}

/// An engine under default settings.
pub(crate) fn of(kind: EngineKind) -> EngineSettings {
    EngineSettings { kind, ..EngineSettings::default() }
}

/// Runs a test with an engine, where the program has it.
fn once(
    engine: EngineSettings,
    namespace: &Namespace,
    variants: &[Variant],
    native: Option<&str>,
    test: impl FnOnce(&mut Bed) + Send,
) {
    let scratch = Scratch::new().unwrap();
    let bpffs = Bpffs::mount(&scratch.path().join("bpffs")).unwrap();
    namespace
        .inside(|| {
            let nothing = Policy::default();
            let (pins, calls) = (Pins::at(bpffs.path()), Calls::default());
            let mut kernel = Kernel::load_one_of(variants, pins, &nothing, engine, calls).unwrap();
            if engine.kind == EngineKind::Flat && !kernel.engine().has_flat {
                return;
            }
            let host = Host::new(&nothing, false, &boot_clock());
            let events = kernel.take_events().unwrap();
            let mut bed = Bed { kernel, host, places: places(native), events, counters: vec![] };
            test(&mut bed);
        })
        .unwrap();
}

/// Loopback, which test runs come in on, and the interface with that name.
fn places(native: Option<&str>) -> Vec<(Interface, XdpMode)> {
    let found = interfaces().unwrap();
    let place = |interface: Interface| {
        let is_native = native == Some(&interface.name);
        let mode = if is_native { XdpMode::Native } else { XdpMode::Generic };
        (is_native || interface.ifindex == LOOPBACK).then_some((interface, mode))
    };
    let places: Vec<_> = found.into_iter().filter_map(place).collect();
    assert_eq!(places.len(), 1 + native.iter().len(), "{native:?} in {places:?}");
    places
}

impl Bed {
    /// Puts a policy in force, with or without strict fragments on the interfaces.
    pub(crate) fn enforce(&mut self, policy: &Policy, strict: bool) {
        self.kernel.apply(policy).unwrap();
        for (interface, mode) in &self.places {
            self.kernel
                .attach(interface, &[], Manner { mode: *mode, strict, ..Manner::default() })
                .unwrap();
        }
        self.kernel.tidy();
        self.host = Host::new(policy, strict, &boot_clock());
        let services: Vec<u16> = policy.services.values().map(|service| service.number).collect();
        self.counters = Counted::all(&services);
        // The program that reports is to run as well, not only the one that judges.
        self.events.refill().unwrap();
    }

    /// Has the kernel heed how the clocks relate.
    pub(crate) fn mend_at(&mut self, clock: &BootClock) -> bool {
        self.kernel.mend_at(clock)
    }

    /// What the host makes of a frame.
    pub(crate) fn on_host(&self, frame: &[u8]) -> Counted {
        self.host.judge(frame)
    }

    /// Whether the kernel passes a frame.
    pub(crate) fn passes_in_kernel(&mut self, frame: &[u8]) -> bool {
        self.kernel.judge(frame).unwrap() == Action::Passed
    }

    /// What the kernel makes of a frame: its action, and every counter that it grew.
    pub(crate) fn in_kernel(&mut self, frame: &[u8]) -> (Action, Tally) {
        let before = self.tally();
        let action = self.kernel.judge(frame).unwrap();
        (action, self.tally_since(&before))
    }

    /// How the kernel explains a frame, and the counters that grew meanwhile.
    pub(crate) fn explained(&mut self, frame: &[u8]) -> (Counted, Tally) {
        let before = self.tally();
        let answer = self.kernel.explain(frame, LOOPBACK).unwrap();
        let counted = match answer.service {
            0 => Counted::every_unmatched()
                .find(|counted| {
                    matches!(counted, Counted::Unmatched(unmatched)
                    if unmatched.counter() == u32::from(answer.unmatched))
                })
                .unwrap(),
            number => Counted::Service(number, Judged::ALL[usize::from(answer.judged)]),
        };
        assert_eq!(counted.passes(), answer.passes == 1, "{answer:?}");
        (counted, self.tally_since(&before))
    }

    /// The counters of the policy in force.
    pub(crate) fn tally(&self) -> Tally {
        let counters = self.kernel.counters();
        let packets = |counted: &Counted| match *counted {
            Counted::Service(number, judged) => counters.service(number, judged).unwrap().packets,
            Counted::Unmatched(unmatched) => counters.unmatched(unmatched).unwrap().packets,
        };
        self.counters.iter().map(|counted| (*counted, packets(counted))).collect()
    }

    /// How the counters grew since `before`.
    pub(crate) fn tally_since(&self, before: &Tally) -> Tally {
        let mut grown = self.tally();
        grown.retain(|counted, packets| {
            *packets -= before[counted];
            *packets != 0
        });
        grown
    }

    /// What was reported since this was asked last.
    pub(crate) fn drops(&mut self) -> Vec<Drop> {
        std::iter::from_fn(|| self.events.next_drop()).collect()
    }

    /// How many packets of a service were answered so far.
    pub(crate) fn answered(&self, service: u16) -> u64 {
        self.kernel.counters().service(service, Judged::RejectSent).unwrap().packets
    }

    pub(crate) fn variant(&self) -> Variant {
        self.kernel.variant()
    }

    pub(crate) fn programs(&self) -> Vec<Program> {
        self.kernel.programs()
    }
}
