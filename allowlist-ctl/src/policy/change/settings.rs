//! Changes of services and groups, but for their entries.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use allowlist_common::abi::SERVICES;

use super::{Outcome, Refusal};
use crate::policy::{
    Group, ListNumber, Name, Origin, Policy, Prefix, Service,
    group::{TRUSTED, TRUSTED_NUMBER},
    port::Ports,
    service::{Action, Mode, WhenEmpty},
};

/// Numbers of services; 0 is no service.
const SERVICE_NUMBERS: std::ops::Range<ListNumber> = 1..FIRST_GROUP;
#[expect(clippy::cast_possible_truncation, reason = "there are 1024 services at most")]
const FIRST_GROUP: ListNumber = SERVICES as ListNumber;

/// What a service is to be; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its ports.
    pub ports: BTreeSet<Ports>,
    /// Interfaces it is limited to; an empty set lifts the limit.
    pub interfaces: Option<BTreeSet<String>>,
    /// Destination addresses it is limited to; an empty set lifts the limit.
    pub addresses: Option<BTreeSet<Prefix>>,
    /// Groups whose entries count as its own.
    pub includes: Option<BTreeSet<Name>>,
    /// Its mode.
    pub mode: Option<Mode>,
    /// How denied packets are dropped.
    pub action: Option<Action>,
    /// What happens without entries.
    pub when_empty: Option<WhenEmpty>,
}

pub(super) fn protect(
    policy: &mut Policy,
    name: &Name,
    settings: &Settings,
) -> Result<bool, Refusal> {
    let before = policy.services.get(name);
    let mut service = match before {
        Some(service) => Service::clone(service),
        None => Service { number: free_service_number(policy)?, ..Service::default() },
    };
    service.ports.clone_from(&settings.ports);
    if let Some(interfaces) = &settings.interfaces {
        service.interfaces.clone_from(interfaces);
    }
    if let Some(addresses) = &settings.addresses {
        service.addresses.clone_from(addresses);
    }
    if let Some(includes) = &settings.includes {
        service.includes.clone_from(includes);
    }
    service.mode = settings.mode.unwrap_or(service.mode);
    service.action = settings.action.unwrap_or(service.action);
    service.when_empty = settings.when_empty.unwrap_or(service.when_empty);
    put_service(policy, name, service)
}

/// Puts a service in its place, where its settings contradict nothing; `false` where it was there, just so.
pub(super) fn put_service(
    policy: &mut Policy,
    name: &Name,
    mut service: Service,
) -> Result<bool, Refusal> {
    // Every service includes it anyway.
    service.includes.remove(TRUSTED);
    if policy.groups.contains_key(name) {
        return Err(Refusal::IsGroup(name.clone()));
    }
    if service.ports.is_empty() {
        return Err(Refusal::NoPorts(name.clone()));
    }
    if let Some(unknown) = service.includes.iter().find(|group| !policy.groups.contains_key(*group))
    {
        return Err(Refusal::NoSuchGroup(policy.unknown_group(unknown)));
    }
    if policy.services.get(name).is_some_and(|before| before.is_configured_as(&service)) {
        return Ok(false);
    }
    for (other, its) in policy.services.iter().filter(|(other, _)| *other != name) {
        if let Some((own, its)) = service.shares_a_port_with(its) {
            return Err(Refusal::PortTaken { name: name.clone(), own, other: other.clone(), its });
        }
    }
    policy.services.insert(name.clone(), Arc::new(service));
    Ok(true)
}

pub(super) fn set_mode(policy: &mut Policy, name: &Name, mode: Mode) -> Result<bool, Refusal> {
    let Some(service) = policy.services.get_mut(name) else {
        return Err(Refusal::NoSuchService(policy.unknown_service(name)));
    };
    if service.mode == mode {
        return Ok(false);
    }
    *service = Arc::new(Service { mode, ..Service::clone(service) });
    Ok(true)
}

pub(super) fn unprotect(outcome: &mut Outcome, name: &Name) -> Result<bool, Refusal> {
    let Outcome { policy, tally, .. } = outcome;
    let Some(service) = policy.services.remove(name) else {
        return Err(Refusal::NoSuchService(policy.unknown_service(name)));
    };
    for (_, entry) in service.entries.iter() {
        policy.ids.give_back(entry.id);
    }
    tally.removed += service.entries.len();
    Ok(true)
}

pub(super) fn set_group(
    outcome: &mut Outcome,
    name: &Name,
    follow: Option<&Option<PathBuf>>,
) -> Result<bool, Refusal> {
    let policy = &mut outcome.policy;
    if policy.services.contains_key(name) {
        return Err(Refusal::IsService(name.clone()));
    }
    let before = policy.groups.get(name);
    let mut group = match before {
        Some(group) => Group::clone(group),
        None => Group { number: free_group_number(policy)?, ..Group::default() },
    };
    let is_new = before.is_none();
    let follow = follow.unwrap_or(&group.follow).clone();
    if !is_new && group.follow == follow {
        return Ok(false);
    }
    let ends = follow.is_none() && group.follow.is_some();
    group.follow = follow;
    if ends {
        keep_as_manual(outcome, &mut group);
    }
    outcome.policy.groups.insert(name.clone(), Arc::new(group));
    Ok(true)
}

/// Makes the entries of a file that is no longer followed ordinary ones: that a file is followed no more lets nobody
/// in and shuts nobody out.
fn keep_as_manual(outcome: &mut Outcome, group: &mut Group) {
    let of_file: Vec<_> = group
        .entries
        .iter()
        .filter(|(key, _)| key.origin == Origin::File)
        .map(|(key, entry)| (*key, entry.clone()))
        .collect();
    for (key, entry) in of_file {
        group.entries.remove(&key);
        let manual = super::EntryKey { origin: Origin::Manual, ..key };
        if group.entries.get(&manual).is_some_and(|own| own.outlasts(&entry)) {
            outcome.policy.ids.give_back(entry.id);
            outcome.tally.removed += 1;
        } else {
            if let Some(own) = group.entries.insert(manual, entry) {
                outcome.policy.ids.give_back(own.id);
            }
            outcome.tally.updated += 1;
        }
    }
}

pub(super) fn remove_group(outcome: &mut Outcome, name: &Name) -> Result<bool, Refusal> {
    let Outcome { policy, tally, .. } = outcome;
    if name.as_str() == TRUSTED {
        return Err(Refusal::BuiltIn(name.clone()));
    }
    if !policy.groups.contains_key(name) {
        return Err(Refusal::NoSuchGroup(policy.unknown_group(name)));
    }
    let services = policy.including(name);
    if !services.is_empty() {
        return Err(Refusal::GroupInUse { name: name.clone(), services });
    }
    if let Some(group) = policy.groups.remove(name) {
        for (_, entry) in group.entries.iter() {
            policy.ids.give_back(entry.id);
        }
        tally.removed += group.entries.len();
    }
    Ok(true)
}

/// The lowest number that no service has.
pub(super) fn free_service_number(policy: &Policy) -> Result<ListNumber, Refusal> {
    let taken = policy.services.values().map(|service| service.number);
    free_number(SERVICE_NUMBERS, taken).ok_or(Refusal::TooManyServices(policy.services.len()))
}

/// The lowest number that no group has.
pub(super) fn free_group_number(policy: &Policy) -> Result<ListNumber, Refusal> {
    let taken = policy.groups.values().map(|group| group.number);
    free_number(FIRST_GROUP..TRUSTED_NUMBER, taken)
        .ok_or(Refusal::TooManyGroups(policy.groups.len()))
}

fn free_number(
    mut numbers: std::ops::Range<ListNumber>,
    taken: impl Iterator<Item = ListNumber>,
) -> Option<ListNumber> {
    let taken: BTreeSet<ListNumber> = taken.collect();
    numbers.find(|number| !taken.contains(number))
}
