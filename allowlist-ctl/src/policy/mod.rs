//! The policy: services and groups, their entries, and the rules by which they change.
//!
//! Nothing here does I/O. A change is a function from one [`Policy`] to the next ([`change`]); what the kernel
//! and the store have to do follows from comparing the two. Policies share what they have in common, so
//! keeping the old one beside the new one costs nothing.

pub mod audit;
pub mod change;
pub mod difference;
pub mod entry;
pub mod group;
mod ids;
mod judge;
pub mod learn;
pub mod lines;
pub mod name;
pub mod near;
pub mod plan;
pub mod port;
pub mod prefix;
pub mod service;
pub mod sources;
pub mod table;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use self::group::{TRUSTED, TRUSTED_NUMBER};
pub use self::{
    entry::{Author, Entries, Entry, EntryKey, Kind, Origin},
    group::Group,
    ids::EntryIds,
    judge::{Decided, Judgement, Packet},
    name::Name,
    near::Unknown,
    prefix::Prefix,
    service::Service,
    sources::Sources,
};

/// Number of a list of entries: services have 1 to 1023, groups those above.
pub type ListNumber = u16;

/// Everything the operator has decided, at one revision.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Grows by one with each committed change.
    pub revision: u64,
    /// The services by name.
    pub services: BTreeMap<Name, Arc<Service>>,
    /// The groups by name; `trusted` is always there.
    pub groups: BTreeMap<Name, Arc<Group>>,
    /// Which entry ids are taken.
    pub ids: EntryIds,
}

impl Default for Policy {
    fn default() -> Self {
        let trusted = Group { number: TRUSTED_NUMBER, ..Group::default() };
        Self {
            revision: 0,
            services: BTreeMap::new(),
            groups: BTreeMap::from([(Name::trusted(), Arc::new(trusted))]),
            ids: EntryIds::default(),
        }
    }
}

impl Policy {
    /// The service with this name.
    #[must_use]
    pub fn service(&self, name: &Name) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// The entries of the service or group with this name.
    #[must_use]
    pub fn entries(&self, name: &Name) -> Option<&Entries> {
        let of_service = self.services.get(name).map(|service| &service.entries);
        of_service.or_else(|| self.groups.get(name).map(|group| &group.entries))
    }

    /// Every list: its number, name and entries.
    pub fn lists(&self) -> impl Iterator<Item = (ListNumber, &Name, &Entries)> {
        let services =
            self.services.iter().map(|(name, service)| (service.number, name, &service.entries));
        let groups = self.groups.iter().map(|(name, group)| (group.number, name, &group.entries));
        services.chain(groups)
    }

    /// The name of the list with a number.
    #[must_use]
    pub fn list_name(&self, number: ListNumber) -> Option<&Name> {
        self.lists().find(|(known, ..)| *known == number).map(|(_, name, _)| name)
    }

    /// A name that no service has.
    #[must_use]
    pub fn unknown_service(&self, name: &Name) -> Unknown {
        Unknown::among(name.as_str(), self.services.keys().map(Name::as_str))
    }

    /// A name that no group has.
    #[must_use]
    pub fn unknown_group(&self, name: &Name) -> Unknown {
        Unknown::among(name.as_str(), self.groups.keys().map(Name::as_str))
    }

    /// A name that neither a service nor a group has.
    #[must_use]
    pub fn unknown_list(&self, name: &Name) -> Unknown {
        let known = self.services.keys().chain(self.groups.keys());
        Unknown::among(name.as_str(), known.map(Name::as_str))
    }

    /// The groups that a service includes by its own settings, which are all but `trusted`.
    pub fn groups_of<'a>(
        &'a self,
        service: &'a Service,
    ) -> impl Iterator<Item = (&'a Name, &'a Arc<Group>)> {
        service.includes.iter().filter_map(|name| self.groups.get_key_value(name))
    }

    /// The lists that decide about the sources of a service.
    #[must_use]
    pub fn sources(&self, service: &Service) -> Sources {
        let own = std::iter::once((service.number, service.entries.clone()));
        let trusted = self.groups.get(TRUSTED).into_iter();
        let groups = self.groups_of(service).map(|(_, group)| group).chain(trusted);
        Sources::of(own.chain(groups.map(|group| (group.number, group.entries.clone()))))
    }

    /// Number of entries by which a service is closed: its own and its groups'; trusted's do not count.
    #[must_use]
    pub fn count_entries(&self, service: &Service) -> usize {
        let groups = self.groups_of(service).map(|(_, group)| group.entries.len());
        service.entries.len() + groups.sum::<usize>()
    }

    /// Whether a service admits only some: it has entries, or is closed without any.
    ///
    /// The mode does not matter here: it says what happens to those who are not admitted.
    #[must_use]
    pub fn is_closed(&self, service: &Service) -> bool {
        self.count_entries(service) > 0 || service.when_empty == service::WhenEmpty::Closed
    }

    /// How many entries of a service and its groups have expired.
    #[must_use]
    pub fn count_expired(&self, service: &Service, now: Timestamp) -> usize {
        let groups = self.groups_of(service).map(|(_, group)| group.entries.count_expired(now));
        service.entries.count_expired(now) + groups.sum::<usize>()
    }

    /// Whether a service has entries, and all of them have expired.
    #[must_use]
    pub fn has_ended(&self, service: &Service, now: Timestamp) -> bool {
        let expired = self.count_expired(service, now);
        expired > 0 && expired == self.count_entries(service)
    }

    /// Names of the services that were closed in this policy and would admit everyone in `next`.
    #[must_use]
    pub fn opened_by(&self, next: &Self) -> Vec<Name> {
        let stays_closed =
            |name: &Name| next.services.get(name).is_some_and(|service| next.is_closed(service));
        self.services
            .iter()
            .filter(|(_, service)| self.is_closed(service))
            .filter(|(name, _)| !stays_closed(name))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Names of the services that include a group.
    #[must_use]
    pub fn including(&self, group: &Name) -> Vec<Name> {
        let including = self
            .services
            .iter()
            .filter(|(_, service)| service.includes.contains(group) || group.as_str() == TRUSTED);
        including.map(|(name, _)| name.clone()).collect()
    }
}
