//! A whole policy of a request, read.

use std::path::Path;

use super::{config::check_interface_name, entries::new_entries};
use crate::{
    api::{DocumentEntry, EntrySpec, ErrorCode, PolicyDocument, Problem, ServiceDocument},
    policy::{
        Service,
        entry::NewEntry,
        plan::{GroupPlan, Plan, ServicePlan},
    },
};

/// Reads a whole policy.
///
/// # Errors
/// [`ErrorCode::Invalid`] with everything that is wrong.
pub(super) fn plan(document: PolicyDocument) -> Result<Plan, Problem> {
    let mut plan = Plan::default();
    let mut wrong = Vec::new();
    for (name, service) in document.service {
        let ServiceDocument { entries, interfaces, .. } = &service;
        for interface in interfaces {
            wrong.extend(
                check_interface_name(interface).err().map(|error| format!("{name}: {error}")),
            );
        }
        let entries = read(entries.clone(), &name, &mut wrong);
        plan.services.insert(name, ServicePlan { settings: settings(service), entries });
    }
    for (name, group) in document.group {
        if let Some(path) = &group.follow {
            wrong.extend(check_path(path).err().map(|error| format!("{name}: {error}")));
        }
        let entries = read(group.entries, &name, &mut wrong);
        plan.groups.insert(name, GroupPlan { follow: group.follow, entries });
    }
    match wrong.as_slice() {
        [] => Ok(plan),
        [one] => Err(Problem::new(ErrorCode::InvalidLines, one)),
        more => {
            let message = format!(
                "{} things of the policy cannot be read, and nothing was changed",
                more.len()
            );
            Err(Problem { details: wrong, ..Problem::new(ErrorCode::InvalidLines, message) })
        }
    }
}

fn settings(service: ServiceDocument) -> Service {
    Service {
        ports: service.ports.into_iter().collect(),
        interfaces: service.interfaces.into_iter().collect(),
        addresses: service.addresses.into_iter().collect(),
        includes: service.include.into_iter().collect(),
        mode: service.mode,
        action: service.action,
        when_empty: service.when_empty,
        ..Service::default()
    }
}

fn read(
    entries: Vec<DocumentEntry>,
    list: &crate::policy::Name,
    wrong: &mut Vec<String>,
) -> Vec<NewEntry> {
    let specs: Vec<EntrySpec> = entries.into_iter().map(Into::into).collect();
    new_entries(&specs).unwrap_or_else(|problem| {
        let problems =
            if problem.details.is_empty() { vec![problem.message] } else { problem.details };
        wrong.extend(problems.into_iter().map(|problem| format!("{list}: {problem}")));
        Vec::new()
    })
}

/// Checks the path of a file that is to be followed.
///
/// # Errors
/// A sentence.
pub(super) fn check_path(path: &Path) -> Result<(), String> {
    match path.to_str() {
        Some(text) if path.is_absolute() && !text.contains(char::is_control) => Ok(()),
        _ => Err(format!("'{}' is not an absolute path: write it from / on", path.display())),
    }
}
