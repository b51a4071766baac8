//! The policy: services, their ports and entries, and the rules by which they change.
//!
//! Nothing here does I/O. A change is a function from one [`Policy`] to the next ([`change`]); what the kernel
//! and the store have to do follows from comparing the two. Policies share what they have in common, so
//! keeping the old one beside the new one costs nothing.

pub mod change;
pub mod entry;
mod ids;
pub mod lines;
pub mod name;
pub mod port;
pub mod prefix;
pub mod service;
pub mod table;

use std::{collections::BTreeMap, sync::Arc};

pub use self::{
    entry::{Author, Entries, Entry, EntryKey, Kind},
    ids::EntryIds,
    name::Name,
    prefix::Prefix,
    service::Service,
};

/// Everything the operator has decided, at one revision.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Grows by one with each committed change.
    pub revision: u64,
    /// The services by name.
    pub services: BTreeMap<Name, Arc<Service>>,
    /// Which entry ids are taken.
    pub ids: EntryIds,
}

impl Policy {
    /// The service with this name.
    #[must_use]
    pub fn service(&self, name: &Name) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// Names of the services that were closed in this policy and would admit everyone in `next`.
    #[must_use]
    pub fn opened_by(&self, next: &Self) -> Vec<Name> {
        self.services
            .iter()
            .filter(|(_, service)| service.is_closed())
            .filter(|(name, _)| next.services.get(*name).is_none_or(|next| !next.is_closed()))
            .map(|(name, _)| name.clone())
            .collect()
    }
}
