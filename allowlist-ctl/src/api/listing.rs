//! Lists and their entries, as `list` tells them.

use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ServiceState;
use crate::policy::{Author, Kind, Name, Prefix};

/// Lists and their entries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// The policy's revision.
    pub revision: u64,
    /// The lists by name.
    pub lists: Vec<List>,
}

/// What a list belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// A service.
    Service,
    /// A group.
    Group,
}

/// A list and its entries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// Its name.
    pub name: Name,
    /// Whether it is a service's or a group's.
    pub kind: ListKind,
    /// Whether the service admits everyone; a group says nothing by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ServiceState>,
    /// Groups whose entries count as the service's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Name>,
    /// The file that the group follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<PathBuf>,
    /// Its entries in the order of their prefixes.
    pub entries: Vec<EntryView>,
}

/// An entry of a list.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryView {
    /// Id, kept as long as the entry exists.
    pub id: u32,
    /// The prefix.
    pub prefix: Prefix,
    /// Allow or except.
    pub kind: Kind,
    /// `manual`, or `file:PATH` for an entry of the file that the group follows.
    pub origin: String,
    /// The operator's note.
    pub comment: Option<String>,
    /// Who added it.
    pub added_by: Author,
    /// When it was added.
    pub added_at: Timestamp,
    /// From when on it no longer decides.
    pub expires_at: Option<Timestamp>,
    /// Whether that time has come.
    pub expired: bool,
    /// When it last decided about a packet, to the second.
    pub last_hit: Option<Timestamp>,
}
