//! Services: named sets of ports with their entries.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entries, Name, Prefix, port::Ports};

/// What a service does with a packet that it denies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Drops it.
    #[default]
    Enforce,
    /// Passes and counts it.
    Monitor,
    /// Does not judge packets at all.
    Off,
}

crate::words::words!(Mode { Enforce: "enforce", Monitor: "monitor", Off: "off" });

/// What becomes of a packet that a service in mode enforce denies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It vanishes.
    #[default]
    Drop,
    /// It is answered, by a TCP reset or an ICMP error, so that the client knows at once.
    Reject,
}

crate::words::words!(Action { Drop: "drop", Reject: "reject" });

/// What a service without entries does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenEmpty {
    /// Admits everyone.
    #[default]
    Open,
    /// Admits no one.
    Closed,
}

crate::words::words!(WhenEmpty { Open: "open", Closed: "closed" });

/// A named set of ports, protected together.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Number by which the kernel knows the service: 1 to 1023, kept as long as it exists.
    pub number: u16,
    /// Its ports.
    pub ports: BTreeSet<Ports>,
    /// Interfaces it is limited to; none: every attached one.
    pub interfaces: BTreeSet<String>,
    /// Destination addresses it is limited to; none: every one.
    pub addresses: BTreeSet<Prefix>,
    /// What happens to denied packets.
    pub mode: Mode,
    /// How they are dropped.
    pub action: Action,
    /// What happens without entries.
    pub when_empty: WhenEmpty,
    /// Groups whose entries count as its own.
    pub includes: BTreeSet<Name>,
    /// Its entries.
    pub entries: Entries,
}

impl Service {
    /// The ports of this service and of the other one by which a packet can belong to both.
    #[must_use]
    pub fn shares_a_port_with(&self, other: &Self) -> Option<(Ports, Ports)> {
        let to_all = self.addresses.is_empty() || other.addresses.is_empty();
        let apart = |own: &Prefix| other.addresses.iter().all(|its| !own.overlaps(its));
        if !to_all && self.addresses.iter().all(apart) {
            return None;
        }
        let everywhere = self.interfaces.is_empty() || other.interfaces.is_empty();
        if !everywhere && self.interfaces.is_disjoint(&other.interfaces) {
            return None;
        }
        let pairs = self.ports.iter().flat_map(|own| other.ports.iter().map(move |its| (own, its)));
        pairs.filter(|(own, its)| own.overlaps(its)).map(|(own, its)| (*own, *its)).next()
    }

    /// Whether it is judged alike in everything but its entries.
    #[must_use]
    pub fn is_configured_as(&self, other: &Self) -> bool {
        self.number == other.number
            && self.ports == other.ports
            && self.interfaces == other.interfaces
            && self.addresses == other.addresses
            && self.mode == other.mode
            && self.action == other.action
            && self.when_empty == other.when_empty
            && self.includes == other.includes
    }
}
