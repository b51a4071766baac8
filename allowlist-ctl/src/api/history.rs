//! Revisions: those that are kept, and the one that is to be confirmed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Author;

/// A change that is taken back unless it is confirmed in time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// The command that made it, such as `add redis`.
    pub what: String,
    /// Who made it.
    pub by: Author,
    /// The revision that it made.
    pub revision: u64,
    /// When it is taken back.
    pub until: Timestamp,
    /// Seconds until then.
    pub seconds_left: u64,
}

/// The kept revisions, the latest first.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revisions {
    /// The policy's revision.
    pub revision: u64,
    /// Those that one can go back to.
    pub revisions: Vec<RevisionView>,
}

/// A kept revision.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionView {
    /// Its number.
    pub revision: u64,
    /// When it was made.
    pub time: Timestamp,
    /// Who made it.
    pub by: Author,
    /// The command that made it, such as `add redis`.
    pub what: String,
}

/// Where to go back to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rollback {
    /// The revision; not given: the pending change is undone, or else the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}
