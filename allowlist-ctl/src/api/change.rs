//! Requests that change something, and the reply to them.

use std::{net::SocketAddr, path::PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Pending, SshSession,
    schema::{EntryText, InterfaceName},
};
use crate::{
    kernel::XdpMode,
    policy::{
        Name, Prefix,
        difference::Differences,
        entry::MAX_COMMENT,
        port::Ports,
        service::{Action, Mode, WhenEmpty},
    },
};

/// Longest time that a change can wait to be confirmed, in seconds: a week.
pub const MAX_CONFIRM: u64 = 7 * 24 * 60 * 60;

/// What every change takes as its query.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeOptions {
    /// Answers the question whether a closed service may come to admit everyone.
    pub yes: bool,
    /// Overrides the guard.
    pub force: bool,
    /// Says what would change, and changes nothing.
    pub dry_run: bool,
    /// Takes the change back after so many seconds, unless it is confirmed before: 1 to 604800, a week.
    #[schemars(range(min = 1, max = MAX_CONFIRM))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<u64>,
    /// The caller's own SSH session, named first where the change would cut it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SshSession>,
    /// Refuses unless this is the policy's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<u64>,
}

/// What a service is to be; what is not given stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// Its ports, one at least; those it had are replaced.
    #[schemars(length(min = 1))]
    pub ports: Vec<Ports>,
    /// Interfaces it is limited to; an empty list lifts the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<InterfaceName>>")]
    pub interfaces: Option<Vec<String>>,
    /// Destination addresses it is limited to; an empty list lifts the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Prefix>>,
    /// Groups whose entries count as its own; an empty list is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<Name>>,
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
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeSetting {
    /// What happens to denied packets.
    pub mode: Mode,
}

/// What a group is to be; what is not given stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupSettings {
    /// The file whose entries it is to have, an absolute path; an empty one is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(/|$)"))]
    pub follow: Option<PathBuf>,
}

/// Entries of a request.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntrySpecs {
    /// The entries.
    pub entries: Vec<EntrySpec>,
}

/// An entry of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntrySpec {
    /// An address, a prefix or a range; `!` before it makes an except.
    #[schemars(with = "EntryText")]
    pub entry: String,
    /// The operator's note, one line of at most 500 bytes; ignored where entries are removed.
    #[schemars(length(max = MAX_COMMENT))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// From when on it no longer decides, in whole seconds: a fraction is rounded up; not given: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// How an interface is to be attached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttachSettings {
    /// How the program is to run; not given: as the daemon was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<XdpMode>,
}

/// How the daemon is to stop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Takes the filter off every interface and removes its pins.
    pub detach: bool,
}

/// What a change did.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The policy's revision after it; with `dry_run` what it would be.
    pub revision: u64,
    /// Whether anything changed.
    pub changed: bool,
    /// Whether it was only said and not done.
    pub dry_run: bool,
    /// New entries.
    pub added: usize,
    /// Entries with a new comment or end.
    pub updated: usize,
    /// Entries that were there already.
    pub unchanged: usize,
    /// Entries that are gone.
    pub removed: usize,
    /// What the operator should know, a sentence each.
    pub messages: Vec<String>,
    /// What the operator should look after, a sentence each.
    pub warnings: Vec<String>,
    /// What differs, the first thousand entries of it.
    pub differences: Differences,
    /// Connections that the change cuts, or would cut with `dry_run`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<CutConnection>,
    /// What is taken back unless it is confirmed, where the change is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// An established connection whose packets a change denies.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CutConnection {
    /// The service that denies them.
    pub service: Name,
    /// The other host's address and port.
    pub peer: SocketAddr,
    /// This host's address and port.
    pub local: SocketAddr,
    /// Whether it is the caller's own SSH session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_session: bool,
}
