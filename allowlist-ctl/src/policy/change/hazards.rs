//! What about a change has to be forced.

use crate::policy::{EntryKey, Kind, Name, Origin, Policy, Prefix, Service};

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
    let mut hazards = Vec::new();
    for (_, name, entries) in next.lists() {
        let before = policy.entries(name);
        for (prefix, kind) in everything() {
            let of_each_origin =
                [Origin::Manual, Origin::File].map(|origin| EntryKey { prefix, kind, origin });
            let has = |key: &EntryKey| entries.get(key).is_some();
            let had = |key: &EntryKey| before.is_some_and(|before| before.get(key).is_some());
            if of_each_origin.iter().any(has) && !of_each_origin.iter().any(had) {
                hazards.push(Hazard::EveryAddress(EntryKey::manual(prefix, kind)));
            }
        }
    }
    for (name, service) in &next.services {
        let was = policy.services.get(name).is_some_and(|service| denies_everyone(policy, service));
        if !was && denies_everyone(next, service) {
            hazards.push(Hazard::NothingButExcepts(name.clone()));
        }
    }
    hazards
}

fn denies_everyone(policy: &Policy, service: &Service) -> bool {
    policy.is_closed(service) && policy.sources(service).is_nothing_but_excepts()
}

fn everything() -> impl Iterator<Item = (Prefix, Kind)> {
    Prefix::everything()
        .into_iter()
        .flat_map(|prefix| [(prefix, Kind::Allow), (prefix, Kind::Except)])
}
