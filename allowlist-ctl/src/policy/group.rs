//! Groups: named lists of entries that services include.

use std::path::PathBuf;

use super::{Entries, ListNumber};

/// Name of the built-in group that every service includes: the operator's own networks.
pub const TRUSTED: &str = "trusted";
/// Number of the group [`TRUSTED`], after those of all others: where lists agree, the first one is named.
pub const TRUSTED_NUMBER: ListNumber = ListNumber::MAX;

/// A named list of entries.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Number by which the store knows the group; kept as long as it exists.
    pub number: ListNumber,
    /// The file whose entries it has, beside those that somebody adds.
    pub follow: Option<PathBuf>,
    /// Its entries.
    pub entries: Entries,
}
