//! A cable with a client at its near end and the program at its far end, on which nobody else speaks.

use std::time::Duration;

use allowlist::{
    kernel::{EngineKind, Variant},
    policy::Policy,
};
use xtask::lab::{Namespace, PacketSocket, link};

use crate::{
    bed::{Bed, on_interface, on_interface_with},
    table::build::frame,
};

/// The interface at both ends.
pub(crate) const INTERFACE: &str = "eth0";
/// For the longest rows.
const MTU: u32 = 9216;
/// For the longest rows that fit into one buffer, a page with what else the kernel keeps there.
const MTU_OF_ONE_BUFFER: u32 = 3000;
/// How long a frame that has to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// An `EtherType` for experiments (IEEE 802), which no row has.
const MARK: u16 = 0x88b5;

/// The two ends.
pub(crate) struct Cable {
    near: PacketSocket,
    far: PacketSocket,
    marks: u32,
}

/// Runs a test with this variant of the program at the far end of a cable, in native mode.
pub(crate) fn on_cable(variant: Variant, mut test: impl FnMut(&mut Bed, &mut Cable) + Send) {
    let [client, server] = ["client", "server"].map(|label| Namespace::new(label).unwrap());
    for namespace in [&client, &server] {
        // Without an address of either family nobody speaks of his own accord.
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    }
    link(&client, INTERFACE, &server, INTERFACE).unwrap();
    let mtu = if variant == Variant::Frags { MTU } else { MTU_OF_ONE_BUFFER };
    for namespace in [&client, &server] {
        namespace.ip(&[format!("link set {INTERFACE} mtu {mtu}")]).unwrap();
    }
    on_interface_with(EngineKind::Lpm, &client, INTERFACE, &[variant], |passing| {
        // A veth takes what XDP sends back only while its other end has a program too: one that protects nothing.
        passing.enforce(&Policy::default(), false);
        on_interface(&server, INTERFACE, &[variant], |bed| {
            let [near, far] =
                [&client, &server].map(|end| PacketSocket::open(end, INTERFACE).unwrap());
            test(bed, &mut Cable { near, far, marks: 0 });
        });
    });
}

impl Cable {
    /// Sends a frame and says what came through the program: a mark, which always does, follows it.
    pub(crate) fn arrivals(&mut self, sent: &[u8]) -> Vec<Vec<u8>> {
        self.near.send(sent).unwrap();
        self.marks += 1;
        let mark = frame(&[], MARK, &self.marks.to_be_bytes());
        self.near.send(&mark).unwrap();
        let mut arrived = Vec::new();
        loop {
            let next = self.far.receive(PATIENCE).unwrap();
            let next = next.expect("a mark gets through");
            if next == mark {
                return arrived;
            }
            arrived.push(next);
        }
    }

    /// How many marks have come through.
    pub(crate) fn marks(&self) -> u32 {
        self.marks
    }

    /// The next frame that comes back.
    pub(crate) fn answer(&mut self) -> Option<Vec<u8>> {
        self.near.receive(PATIENCE).unwrap()
    }

    /// Whether nothing more is there at either end.
    pub(crate) fn is_silent(&mut self) -> bool {
        const SILENCE: Duration = Duration::from_millis(100);
        let mut ends = [&mut self.near, &mut self.far];
        ends.iter_mut().all(|end| end.receive(SILENCE).unwrap().is_none())
    }
}
