//! The state of everything, as `status` tells it.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineStatus, PastFilter, Pending, ServiceEngines, Trial, Unfiltered, Watching};
use crate::policy::{
    Name, Prefix,
    port::Ports,
    service::{Action, Mode, WhenEmpty},
};

/// The state of everything.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The policy's revision.
    pub revision: u64,
    /// The daemon's version.
    pub version: String,
    /// When the daemon started.
    pub started_at: Timestamp,
    /// The database's file.
    pub store: String,
    /// Interfaces that are to be attached, by name.
    pub interfaces: Vec<InterfaceStatus>,
    /// Services by name.
    pub services: Vec<ServiceStatus>,
    /// Groups by name.
    pub groups: Vec<GroupStatus>,
    /// The change that is taken back unless it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Services whose sources somebody has noted; those in mode monitor have that always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watches: Vec<Watching>,
    /// The policy that is on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// How sources are looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineStatus>,
    /// What does not work, while what is enforced stays enforced; none where all is well.
    #[serde(default)]
    pub degraded: Vec<Degraded>,
    /// Packets of no service, by what became of them.
    pub unmatched: BTreeMap<String, Traffic>,
    /// Since when packets are counted: since the filter was first loaded after the host's start, over restarts of the
    /// daemon. Those of a service that was made later are counted since then.
    pub counting_since: Timestamp,
    /// What came in the last minute.
    #[serde(default)]
    pub last_minute: LastMinute,
    /// What passes the filter by nature.
    #[serde(default)]
    pub past_filter: PastFilter,
    /// Ports of services on which something listens where there is no filter.
    #[serde(default)]
    pub unfiltered: Vec<Unfiltered>,
    /// What the operator should look after, a sentence each.
    pub warnings: Vec<String>,
}

/// Something that does not work, until its cause is gone.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Degraded {
    /// What it is.
    pub what: DegradedPart,
    /// Why, in a sentence.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// What may not work.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DegradedPart {
    /// The kernel does not take what it is to enforce.
    Kernel,
    /// The store cannot be written, or is damaged: changes are refused.
    Store,
    /// Nothing can be pinned: the filter cannot be put on another interface.
    Pins,
    /// The interfaces cannot be looked after: one that comes back is not filtered.
    Interfaces,
    /// A change that nobody confirmed cannot be taken back.
    Revert,
    /// There is no new copy of the store.
    Copy,
}

crate::words::words!(DegradedPart {
    Kernel: "kernel",
    Store: "store",
    Pins: "pins",
    Interfaces: "interfaces",
    Revert: "revert",
    Copy: "copy"
});

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes, Ethernet headers included.
    pub bytes: u64,
}

/// An interface that is to be attached.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Whether the filter is on it.
    pub state: InterfaceState,
    /// Its index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// `native` or `generic`, where the filter is on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Id of the program, where the filter is on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_id: Option<u32>,
    /// Why the mode is generic, or why the filter is not on it, or why it is though nothing names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often the filter had to be put back since the daemon started, because somebody cut it off or replaced it.
    #[serde(default)]
    pub put_back: u64,
    /// What the operator should know of it, a sentence each; they are among the warnings, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether the filter is on an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceState {
    /// The filter is on it.
    Attached,
    /// There is no such interface now; it is attached when it appears.
    Missing,
    /// The filter could not be put on it.
    Failed,
    /// It was detached by command.
    Detached,
}

crate::words::words!(InterfaceState {
    Attached: "attached",
    Missing: "missing",
    Failed: "failed",
    Detached: "detached"
});

/// Whether a service admits everyone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Everyone is admitted.
    Open,
    /// Only those that its entries allow are admitted.
    Closed,
}

crate::words::words!(ServiceState { Open: "open", Closed: "closed" });

/// A group.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupStatus {
    /// Its name.
    pub name: Name,
    /// Number of entries.
    pub entries: usize,
    /// How many of them have expired.
    pub expired: usize,
    /// Services that include it.
    pub included_by: Vec<Name>,
    /// The file that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<PathBuf>,
}

/// A service.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStatus {
    /// Its name.
    pub name: Name,
    /// Its ports.
    pub ports: Vec<Ports>,
    /// Interfaces it is limited to; none: every attached one.
    pub interfaces: Vec<String>,
    /// What happens to denied packets.
    pub mode: Mode,
    /// How denied packets are dropped.
    pub action: Action,
    /// Destination addresses it is limited to; none: every one.
    pub addresses: Vec<Prefix>,
    /// What happens without entries.
    pub when_empty: WhenEmpty,
    /// Whether it admits everyone.
    pub state: ServiceState,
    /// Groups whose entries count as its own.
    pub include: Vec<Name>,
    /// Number of entries, its groups' included.
    pub entries: usize,
    /// How many of them have expired.
    pub expired: usize,
    /// What its entries are in, its groups' included.
    #[serde(default)]
    pub engine: ServiceEngines,
    /// What its packets came to since [`counting_since`](Status::counting_since), or since it was made.
    #[serde(flatten)]
    pub traffic: ServiceTraffic,
    /// What they came to in the [last minute](Status::last_minute).
    #[serde(default)]
    pub last_minute: ServiceTraffic,
}

/// What the packets of a service came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceTraffic {
    /// Packets of sources that an entry allows.
    pub admitted: Traffic,
    /// Packets that were admitted because the service had no entries.
    pub admitted_open: Traffic,
    /// Packets that were dropped.
    pub denied: Traffic,
    /// Packets that mode monitor passed and mode enforce would have dropped.
    pub would_deny: Traffic,
    /// Packets that were dropped and answered.
    pub reject_sent: Traffic,
    /// Packets that were dropped without an answer, for there were too many.
    pub reject_limited: Traffic,
}

/// What came in the last minute, but for the packets of services, which are with those.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastMinute {
    /// How many seconds it really is: 55 to 60, or since the daemon started where that is less.
    pub seconds: u64,
    /// Packets of no service, by what became of them.
    pub unmatched: BTreeMap<String, Traffic>,
}
