//! Requests and replies of the HTTP interface, shared by the daemon and the command line.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/lists`, `GET /v1/lists/{name}` | [`Listing`], streamed |
//! | `PUT /v1/services/{name}` | makes or changes a service: [`ServiceSettings`] |
//! | `DELETE /v1/services/{name}` | removes a service |
//! | `PUT /v1/services/{name}/mode` | switches a service: [`ModeSetting`] |
//! | `GET /v1/drops?limit=N` | [`Drops`], the latest first |
//! | `GET /v1/drops/follow` | server-sent events: `drop` with a [`DroppedPacket`], `lost` with a [`LostEvents`] |
//! | `POST /v1/lists/{name}/add` | adds entries: [`EntrySpecs`] |
//! | `POST /v1/lists/{name}/remove` | removes entries: [`EntrySpecs`] |
//! | `PUT /v1/lists/{name}` | replaces all entries: [`EntrySpecs`], or `text/plain` with an entry a line |
//! | `PUT /v1/interfaces/{name}` | attaches: [`AttachSettings`] |
//! | `DELETE /v1/interfaces/{name}` | detaches |
//! | `POST /v1/shutdown` | stops the daemon: [`Shutdown`] |
//!
//! Every change takes [`ChangeOptions`] as its query and answers with [`Changed`]. Every failure answers with
//! [`Failure`].

mod audit;
mod drops;
mod failure;
mod status;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    audit::{AuditBreak, AuditBreakKind, AuditResult, AuditRow, AuditTrail, AuditVerification},
    drops::{DropReason, DroppedPacket, DroppedPackets, Drops, LostEvents},
    failure::{ErrorCode, Failure, Problem},
    status::{InterfaceState, InterfaceStatus, ServiceState, ServiceStatus, Status, Traffic},
};
use crate::{
    kernel::XdpMode,
    policy::{
        Author, Kind, Name, Prefix,
        port::Ports,
        service::{Action, Mode, WhenEmpty},
    },
};

/// Where the daemon's socket is unless somebody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/allowlist/allowlistd.sock";
/// Largest body of a request, in bytes; lists may be [`MAX_LIST_BODY`] long.
pub const MAX_BODY: usize = 1 << 20;
/// Largest body of a request that replaces a list, in bytes.
pub const MAX_LIST_BODY: usize = 256 << 20;

/// What every change takes as its query.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeOptions {
    /// Answers the question whether a closed service may come to admit everyone.
    pub yes: bool,
    /// Overrides the guard.
    pub force: bool,
    /// Says what would change, and changes nothing.
    pub dry_run: bool,
    /// Refuses unless this is the policy's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<u64>,
}

/// What a service is to be; what is not given stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// Its ports; those it had are replaced.
    pub ports: Vec<Ports>,
    /// Interfaces it is limited to; an empty list lifts the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<String>>,
    /// Destination addresses it is limited to; an empty list lifts the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Prefix>>,
    /// What happens to denied packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How denied packets are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// What happens without entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_empty: Option<WhenEmpty>,
}

/// A service's new mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeSetting {
    /// What happens to denied packets.
    pub mode: Mode,
}

/// Entries of a request.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntrySpecs {
    /// The entries.
    pub entries: Vec<EntrySpec>,
}

/// An entry of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntrySpec {
    /// An address, a prefix or a range; `!` before it makes an except.
    pub entry: String,
    /// The operator's note; ignored where entries are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// How an interface is to be attached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttachSettings {
    /// How the program is to run; not given: as the daemon was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<XdpMode>,
}

/// How the daemon is to stop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Takes the filter off every interface and removes its pins.
    pub detach: bool,
}

/// What a change did.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The policy's revision after it; with `dry_run` what it would be.
    pub revision: u64,
    /// Whether anything changed.
    pub changed: bool,
    /// Whether it was only said and not done.
    pub dry_run: bool,
    /// New entries.
    pub added: usize,
    /// Entries with a new comment.
    pub updated: usize,
    /// Entries that were there already.
    pub unchanged: usize,
    /// Entries that are gone.
    pub removed: usize,
    /// What the operator should know, a sentence each.
    pub messages: Vec<String>,
    /// What the operator should look after, a sentence each.
    pub warnings: Vec<String>,
}

/// Lists and their entries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The policy's revision.
    pub revision: u64,
    /// The lists by name.
    pub lists: Vec<List>,
}

/// A list and its entries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct List {
    /// The service's name.
    pub name: Name,
    /// Whether it admits everyone.
    pub state: ServiceState,
    /// Its entries in the order of their prefixes.
    pub entries: Vec<EntryView>,
}

/// An entry of a list.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct EntryView {
    /// Id, kept as long as the entry exists.
    pub id: u32,
    /// The prefix.
    pub prefix: Prefix,
    /// Allow or except.
    pub kind: Kind,
    /// The operator's note.
    pub comment: Option<String>,
    /// Who added it.
    pub added_by: Author,
    /// When it was added.
    pub added_at: Timestamp,
    /// From when on it no longer decides.
    pub expires_at: Option<Timestamp>,
    /// When it last decided about a packet, to the second.
    pub last_hit: Option<Timestamp>,
}
