//! Watching a service's sources, and the entries that are proposed from them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EntrySpec, ServiceState};
use crate::policy::{Author, Name, Prefix, service::Mode};

/// Longest time that sources are noted or a policy is on trial, in seconds: a week.
pub const MAX_WATCH: u64 = 7 * 24 * 60 * 60;

/// For how long a service's sources are to be noted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// Seconds: 1 to 604800, a week.
    #[schemars(range(min = 1, max = MAX_WATCH))]
    pub seconds: u64,
}

/// Which of the things that are watched is meant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WatchQuery {
    /// The id with which it was answered; not given: whichever there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

/// What was ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndedWatches {
    /// One at least.
    pub ended: Vec<Watching>,
}

/// Somebody has the sources of a service noted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Watching {
    /// By which it can be ended.
    pub id: u64,
    /// The service.
    pub service: Name,
    /// Who asked for it.
    pub by: Author,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
    /// How long that is from now.
    pub seconds_left: u64,
}

/// What is asked of a proposal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProposalQuery {
    /// Leaves the service's own allowed entries out, and proposes every source that was seen.
    pub tighten: bool,
}

/// Entries that are proposed for a service.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// The service.
    pub service: Name,
    /// The policy's revision.
    pub revision: u64,
    /// What happens to packets that the service denies.
    pub mode: Mode,
    /// Whether it admits everyone.
    pub state: ServiceState,
    /// Whether its own allowed entries are left out.
    pub tighten: bool,
    /// Whether the sources of its packets are being noted.
    pub noted: bool,
    /// Entries to put beside those that are kept, in order.
    pub proposed: Vec<ProposedEntry>,
    /// The service's own entries that are to stay, as they are.
    pub kept: Vec<EntrySpec>,
    /// Addresses that were seen and are not proposed.
    pub left_out: LeftOut,
    /// Addresses among the proposed ones without an established connection: nobody has proven to have them.
    pub unproven: usize,
    /// Who was seen.
    #[serde(flatten)]
    pub seen: SeenSources,
    /// Whether so many sources were noted that some may be missing.
    pub incomplete: bool,
    /// What the operator should know, a sentence each.
    pub warnings: Vec<String>,
}

/// What was seen of some sources.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeenSources {
    /// How many addresses there were.
    pub addresses: usize,
    /// Packets of theirs that were noted.
    pub packets: u64,
    /// Their connections that are established.
    pub connections: usize,
    /// When the first of the packets was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// An entry that is proposed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProposedEntry {
    /// Its prefix.
    pub prefix: Prefix,
    /// Who was seen in it.
    #[serde(flatten)]
    pub seen: SeenSources,
}

/// Addresses that were seen and are not proposed, by the reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// What stays admits them: groups, trusted or an own entry.
    pub admitted: usize,
    /// An except denies them.
    pub excepted: usize,
    /// They are denied by now.
    pub denied: usize,
    /// Their entry has ended.
    pub ended: usize,
}
