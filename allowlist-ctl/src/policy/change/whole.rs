//! Changes of the whole policy.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    Outcome, Refusal,
    edit::{Edit, edit},
    settings::{
        free_group_number, free_service_number, put_service, remove_group, set_group, unprotect,
    },
};
use crate::policy::{
    Author, Entries, Group, Name, Origin, Policy, Service, entry::NewEntry, group::TRUSTED,
    plan::Plan,
};

/// Makes the policy what a plan says. Entries of files that are still followed stay.
pub(super) fn carry_out(
    outcome: &mut Outcome,
    plan: &Plan,
    author: &Arc<Author>,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let names = |list: Vec<&Name>| list.into_iter().cloned().collect();
    let wanted = Wanted {
        services: names(plan.services.keys().collect()),
        groups: names(plan.groups.keys().collect()),
    };
    let mut changed = make_room(outcome, &wanted)?;
    for (name, group) in &plan.groups {
        changed |= set_group(outcome, name, Some(&group.follow))?;
        changed |= edit_manual(outcome, name, &group.entries, author, now)?;
    }
    if !plan.groups.contains_key(TRUSTED) {
        let trusted = Name::trusted();
        changed |= set_group(outcome, &trusted, Some(&None))?;
        changed |= edit_manual(outcome, &trusted, &[], author, now)?;
    }
    let services = plan.services.iter().map(|(name, service)| (name, &service.settings));
    changed |= put_services(outcome, services)?;
    for (name, service) in &plan.services {
        changed |= edit_manual(outcome, name, &service.entries, author, now)?;
    }
    changed |= drop_groups(outcome, &wanted)?;
    Ok(changed)
}

/// Makes the policy what it was, entries of files included.
pub(super) fn restore(outcome: &mut Outcome, target: &Policy) -> Result<bool, Refusal> {
    let wanted = Wanted {
        services: target.services.keys().cloned().collect(),
        groups: target.groups.keys().cloned().collect(),
    };
    let mut changed = make_room(outcome, &wanted)?;
    for (name, group) in &target.groups {
        changed |= put_group(outcome, name, group)?;
    }
    let services = target.services.iter().map(|(name, service)| (name, service.as_ref()));
    changed |= put_services(outcome, services)?;
    let of_groups = target.groups.iter().map(|(name, group)| (name, &group.entries));
    let of_services = target.services.iter().map(|(name, service)| (name, &service.entries));
    for (name, entries) in of_groups.chain(of_services) {
        changed |= edit(outcome, name, |edit: &mut Edit<'_>| {
            edit.restore(entries);
            Ok(())
        })?;
    }
    changed |= drop_groups(outcome, &wanted)?;
    Ok(changed)
}

/// The names of a whole policy.
struct Wanted {
    services: BTreeSet<Name>,
    groups: BTreeSet<Name>,
}

/// Removes services that are not wanted, or whose name a group is to have; and groups whose name a service is to have.
fn make_room(outcome: &mut Outcome, wanted: &Wanted) -> Result<bool, Refusal> {
    let services: Vec<Name> = outcome.policy.services.keys().cloned().collect();
    let mut changed = false;
    for name in services.iter().filter(|name| !wanted.services.contains(*name)) {
        changed |= unprotect(outcome, name)?;
    }
    if wanted.services.contains(TRUSTED) {
        return Err(Refusal::IsGroup(Name::trusted()));
    }
    let becoming_services: Vec<Name> = outcome
        .policy
        .groups
        .keys()
        .filter(|name| wanted.services.contains(*name))
        .cloned()
        .collect();
    for name in &becoming_services {
        exclude(&mut outcome.policy, name);
        changed |= remove_group(outcome, name)?;
    }
    Ok(changed)
}

/// Takes a group out of the services that include it; what they are to include is still to be said.
fn exclude(policy: &mut Policy, group: &Name) {
    for service in policy.services.values_mut().filter(|service| service.includes.contains(group)) {
        let mut without = Service::clone(service);
        without.includes.remove(group);
        *service = Arc::new(without);
    }
}

/// Puts services in their places, whatever ports those hold that are to be changed as well.
fn put_services<'a>(
    outcome: &mut Outcome,
    wanted: impl Iterator<Item = (&'a Name, &'a Service)>,
) -> Result<bool, Refusal> {
    let policy = &mut outcome.policy;
    let mut services = Vec::new();
    for (name, settings) in wanted {
        let (number, entries) = match policy.services.get(name) {
            Some(before) => (before.number, before.entries.clone()),
            None => (free_service_number(policy)?, Entries::default()),
        };
        let service = Service { number, entries, ..settings.clone() };
        // The number is taken from now on; the ports are looked at when all are known.
        let portless = Arc::new(Service { ports: BTreeSet::new(), ..service.clone() });
        let before = policy.services.insert(name.clone(), portless);
        services.push((name, service, before));
    }
    let mut changed = false;
    for (name, service, before) in services {
        put_service(policy, name, service)?;
        let now = policy.services.get(name);
        let same = |before: &Arc<Service>| now.is_some_and(|now| before.is_configured_as(now));
        match before.filter(same) {
            // The very same, so that nobody takes it for changed.
            Some(before) => drop(policy.services.insert(name.clone(), before)),
            None => changed = true,
        }
    }
    Ok(changed)
}

fn put_group(outcome: &mut Outcome, name: &Name, target: &Group) -> Result<bool, Refusal> {
    let policy = &mut outcome.policy;
    match policy.groups.get_mut(name) {
        Some(group) if group.follow == target.follow => Ok(false),
        Some(group) => {
            *group = Arc::new(Group { follow: target.follow.clone(), ..Group::clone(group) });
            Ok(true)
        }
        None => {
            let number = free_group_number(policy)?;
            let group = Group { number, follow: target.follow.clone(), ..Group::default() };
            policy.groups.insert(name.clone(), Arc::new(group));
            Ok(true)
        }
    }
}

fn drop_groups(outcome: &mut Outcome, wanted: &Wanted) -> Result<bool, Refusal> {
    let unwanted: Vec<Name> = outcome
        .policy
        .groups
        .keys()
        .filter(|name| !wanted.groups.contains(*name) && name.as_str() != TRUSTED)
        .cloned()
        .collect();
    for name in &unwanted {
        remove_group(outcome, name)?;
    }
    Ok(!unwanted.is_empty())
}

fn edit_manual(
    outcome: &mut Outcome,
    name: &Name,
    entries: &[NewEntry],
    author: &Arc<Author>,
    now: Timestamp,
) -> Result<bool, Refusal> {
    edit(outcome, name, |edit: &mut Edit<'_>| {
        edit.replace(Origin::Manual, entries, author, now);
        Ok(())
    })
}
