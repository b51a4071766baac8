//! The whole policy as one document, as `export` prints it and `apply` takes it.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    EntrySpec,
    schema::{EntryText, InterfaceName},
};
use crate::policy::{
    Name, Prefix,
    port::Ports,
    service::{Action, Mode, WhenEmpty},
};

/// The whole policy.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyDocument {
    /// The services by name.
    pub service: BTreeMap<Name, ServiceDocument>,
    /// The groups by name.
    pub group: BTreeMap<Name, GroupDocument>,
}

/// A service of a [`PolicyDocument`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceDocument {
    /// Its ports, one at least.
    #[schemars(length(min = 1))]
    pub ports: Vec<Ports>,
    /// Interfaces it is limited to; none: every attached one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<InterfaceName>")]
    pub interfaces: Vec<String>,
    /// Destination addresses it is limited to; none: every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Prefix>,
    /// Groups whose entries count as its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Name>,
    /// What happens to denied packets.
    #[serde(default)]
    pub mode: Mode,
    /// How they are dropped.
    #[serde(default)]
    pub action: Action,
    /// What happens without entries.
    #[serde(default)]
    pub when_empty: WhenEmpty,
    /// Its entries.
    #[serde(default)]
    pub entries: Vec<DocumentEntry>,
}

/// A group of a [`PolicyDocument`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupDocument {
    /// The file that it follows, an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^/"))]
    pub follow: Option<PathBuf>,
    /// Its entries, but for those of the file.
    pub entries: Vec<DocumentEntry>,
}

/// An entry of a [`PolicyDocument`]: the bare entry where there is no more to say about it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DocumentEntry {
    /// An address, a prefix or a range; `!` before it makes an except.
    Bare(#[schemars(with = "EntryText")] String),
    /// The same with a comment or an end.
    Full(EntrySpec),
}

impl From<DocumentEntry> for EntrySpec {
    fn from(entry: DocumentEntry) -> Self {
        match entry {
            DocumentEntry::Bare(entry) => Self { entry, comment: None, expires_at: None },
            DocumentEntry::Full(spec) => spec,
        }
    }
}

impl From<EntrySpec> for DocumentEntry {
    fn from(spec: EntrySpec) -> Self {
        if spec.comment.is_none() && spec.expires_at.is_none() {
            Self::Bare(spec.entry)
        } else {
            Self::Full(spec)
        }
    }
}
