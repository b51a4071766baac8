//! A whole policy as somebody wants it.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Name, Service, entry::NewEntry};

/// A whole policy as somebody wants it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The services by name.
    pub services: BTreeMap<Name, ServicePlan>,
    /// The groups by name.
    pub groups: BTreeMap<Name, GroupPlan>,
}

/// A service of a plan.
#[derive(Clone, Debug, Default)]
pub struct ServicePlan {
    /// Its settings; number and entries do not count.
    pub settings: Service,
    /// Its entries.
    pub entries: Vec<NewEntry>,
}

/// A group of a plan.
#[derive(Clone, Debug, Default)]
pub struct GroupPlan {
    /// The file that it follows.
    pub follow: Option<PathBuf>,
    /// Its entries, but for those of the file.
    pub entries: Vec<NewEntry>,
}
