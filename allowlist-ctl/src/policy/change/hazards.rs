//! What about a change has to be forced.

use std::collections::BTreeSet;

use crate::policy::{Entries, Entry, EntryKey, Kind, Name, Origin, Policy, Prefix, Service};

/// Something about a change that has to be forced.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Hazard {
    /// An entry admits, or denies, the whole Internet.
    #[error("{0} covers every address there is")]
    EveryAddress(EntryKey),
    /// A service would be left with excepts only, and deny everyone.
    #[error("'{0}' would have nothing but excepts and admit no one")]
    NothingButExcepts(Name),
}

/// What about a change from `policy` to `next` has to be forced.
#[must_use]
pub fn hazards(policy: &Policy, next: &Policy) -> Vec<Hazard> {
    let mut keys = BTreeSet::new();
    for (_, name, entries) in next.lists() {
        keys.extend(new_everything(policy.entries(name).unwrap_or(Entries::none()), entries));
    }
    for (name, service) in &next.services {
        let before = policy.services.get(name).map(|service| &service.includes);
        let included = next.groups_of(service);
        for (_, group) in included.filter(|(name, _)| before.is_none_or(|it| !it.contains(*name))) {
            keys.extend(new_everything(Entries::none(), &group.entries));
        }
    }
    let mut hazards: Vec<Hazard> = keys.into_iter().map(Hazard::EveryAddress).collect();
    for (name, service) in &next.services {
        let was = policy.services.get(name).is_some_and(|service| denies_everyone(policy, service));
        if !was && denies_everyone(next, service) {
            hazards.push(Hazard::NothingButExcepts(name.clone()));
        }
    }
    hazards
}

/// The entries that cover every address, and were not there before, or are to last longer.
fn new_everything(before: &Entries, after: &Entries) -> Vec<EntryKey> {
    let mut keys = Vec::new();
    for (prefix, kind) in everything() {
        let of_each_origin = [Origin::Manual, Origin::File];
        let find = |list: &Entries| {
            let entries = of_each_origin.iter().filter_map(|origin| {
                list.get(&EntryKey { prefix, kind, origin: *origin }).cloned()
            });
            entries.reduce(|last, next| if next.outlasts(&last) { next } else { last })
        };
        let is_new = |after: Entry| find(before).is_none_or(|before| !before.outlasts(&after));
        if find(after).is_some_and(is_new) {
            keys.push(EntryKey::manual(prefix, kind));
        }
    }
    keys
}

fn denies_everyone(policy: &Policy, service: &Service) -> bool {
    policy.is_closed(service) && policy.sources(service).is_nothing_but_excepts()
}

fn everything() -> impl Iterator<Item = (Prefix, Kind)> {
    Prefix::everything()
        .into_iter()
        .flat_map(|prefix| [(prefix, Kind::Allow), (prefix, Kind::Except)])
}
