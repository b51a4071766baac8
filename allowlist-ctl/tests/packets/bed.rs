//! The loaded program in a network namespace of its own, with the host's judge beside it.

use allowlist::{
    kernel::{Action, Events, Interface, Kernel, Pins, XdpMode, boot_clock, interfaces},
    policy::Policy,
};
use xtask::lab::{Bpffs, Namespace, Scratch};

use crate::{
    counted::{Counted, Tally},
    host::{Host, LOOPBACK},
};

/// Below so many bytes a frame can't be run through the program.
pub(crate) const SHORTEST: usize = 14;

/// A policy in force, in the kernel and on the host.
pub(crate) struct Bed {
    pub(crate) kernel: Kernel,
    host: Host,
    loopback: Interface,
    events: Events,
    counters: Vec<Counted>,
}

/// Runs a test in a new namespace. Without a policy yet, everything passes.
pub(crate) fn in_lab(test: impl FnOnce(&mut Bed) + Send) {
    let namespace = Namespace::new("packets").unwrap();
    let scratch = Scratch::new().unwrap();
    let bpffs = Bpffs::mount(&scratch.path().join("bpffs")).unwrap();
    namespace
        .inside(|| {
            let nothing = Policy::default();
            let mut kernel = Kernel::load(Pins::at(bpffs.path()), &nothing).unwrap();
            let found = interfaces().unwrap();
            let loopback = found.into_iter().find(|found| found.ifindex == LOOPBACK).unwrap();
            let host = Host::new(&nothing, false, &boot_clock());
            let events = kernel.take_events().unwrap();
            test(&mut Bed { kernel, host, loopback, events, counters: Vec::new() });
        })
        .unwrap();
}

impl Bed {
    /// Puts a policy in force, with or without strict fragments on the interface.
    pub(crate) fn enforce(&mut self, policy: &Policy, strict: bool) {
        self.kernel.apply(policy).unwrap();
        self.kernel.attach(&self.loopback, XdpMode::Generic, strict).unwrap();
        self.kernel.tidy();
        self.host = Host::new(policy, strict, &boot_clock());
        let services: Vec<u16> = policy.services.values().map(|service| service.number).collect();
        self.counters = Counted::all(&services);
        // The program that reports is to run as well, not only the one that judges.
        self.events.refill().unwrap();
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

    pub(crate) fn instructions(&self) -> Vec<(&'static str, u32)> {
        self.kernel.instructions()
    }
}
