//! What differs between two policies, to be told to people and kept in the audit trail.

use std::{collections::BTreeSet, path::PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Entries, Entry, Group, Name, Origin, Policy, Prefix, Service,
    port::Ports,
    service::{Action, Mode, WhenEmpty},
};

/// What differs between two policies.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Differences {
    /// Services first, then groups, then entries.
    pub items: Vec<Difference>,
    /// How many more entries differ.
    pub omitted: usize,
}

/// One thing that differs: what is `None` before is new, what is `None` after is gone.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Difference {
    /// A service, but for its entries.
    Service {
        /// Its name.
        name: Name,
        /// What it was.
        before: Option<ServiceTerms>,
        /// What it is.
        after: Option<ServiceTerms>,
    },
    /// A group, but for its entries.
    Group {
        /// Its name.
        name: Name,
        /// What it was.
        before: Option<GroupTerms>,
        /// What it is.
        after: Option<GroupTerms>,
    },
    /// An entry.
    Entry {
        /// The service or group.
        list: Name,
        /// The entry as it is written, `!` before an except.
        entry: String,
        /// Where it came from.
        origin: Origin,
        /// What it was.
        before: Option<EntryTerms>,
        /// What it is.
        after: Option<EntryTerms>,
    },
}

/// A service, but for its entries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceTerms {
    /// Its ports.
    pub ports: BTreeSet<Ports>,
    /// Interfaces it is limited to.
    pub interfaces: BTreeSet<String>,
    /// Destination addresses it is limited to.
    pub addresses: BTreeSet<Prefix>,
    /// Groups whose entries count as its own.
    pub include: BTreeSet<Name>,
    /// What happens to denied packets.
    pub mode: Mode,
    /// How they are dropped.
    pub action: Action,
    /// What happens without entries.
    pub when_empty: WhenEmpty,
}

/// A group, but for its entries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupTerms {
    /// The file that it follows.
    pub follow: Option<PathBuf>,
}

/// What is said about an entry.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryTerms {
    /// The operator's note.
    pub comment: Option<String>,
    /// From when on it no longer decides.
    pub expires_at: Option<Timestamp>,
}

impl From<&Service> for ServiceTerms {
    fn from(service: &Service) -> Self {
        Self {
            ports: service.ports.clone(),
            interfaces: service.interfaces.clone(),
            addresses: service.addresses.clone(),
            include: service.includes.clone(),
            mode: service.mode,
            action: service.action,
            when_empty: service.when_empty,
        }
    }
}

impl From<&Group> for GroupTerms {
    fn from(group: &Group) -> Self {
        Self { follow: group.follow.clone() }
    }
}

impl From<&Entry> for EntryTerms {
    fn from(entry: &Entry) -> Self {
        Self { comment: entry.comment.as_deref().map(Into::into), expires_at: entry.expires_at }
    }
}

/// What differs; of the entries the first `limit`, of `changed` in all.
#[must_use]
pub fn differences(before: &Policy, after: &Policy, limit: usize, changed: usize) -> Differences {
    let mut items = Vec::new();
    for name in names(before.services.keys(), after.services.keys()) {
        let terms = |policy: &Policy| policy.services.get(name).map(|one| one.as_ref().into());
        let (before, after) = (terms(before), terms(after));
        if before != after {
            items.push(Difference::Service { name: name.clone(), before, after });
        }
    }
    for name in names(before.groups.keys(), after.groups.keys()) {
        let terms = |policy: &Policy| policy.groups.get(name).map(|one| one.as_ref().into());
        let (before, after) = (terms(before), terms(after));
        if before != after {
            items.push(Difference::Group { name: name.clone(), before, after });
        }
    }
    let settings = items.len();
    let lists =
        names(before.lists().map(|(_, name, _)| name), after.lists().map(|(_, name, _)| name));
    let entries = lists.into_iter().flat_map(|name| {
        let of = |policy: &Policy| policy.entries(name).cloned().unwrap_or_default();
        of_list(name, &of(before), &of(after), limit)
    });
    items.extend(entries.take(limit));
    let omitted = changed.saturating_sub(items.len() - settings);
    Differences { items, omitted }
}

/// Names of the services and groups that differ, in their settings or in their entries.
#[must_use]
pub fn differing(before: &Policy, after: &Policy) -> BTreeSet<Name> {
    let service = |policy: &Policy, name: &Name| {
        policy.services.get(name).map(|service| ServiceTerms::from(service.as_ref()))
    };
    let group = |policy: &Policy, name: &Name| {
        policy.groups.get(name).map(|group| GroupTerms::from(group.as_ref()))
    };
    let entries = |policy: &Policy, name: &Name| policy.entries(name).cloned().unwrap_or_default();
    names(before.lists().map(|(_, name, _)| name), after.lists().map(|(_, name, _)| name))
        .into_iter()
        .filter(|name| {
            service(before, name) != service(after, name)
                || group(before, name) != group(after, name)
                || entries(before, name).difference(&entries(after, name)).next().is_some()
        })
        .cloned()
        .collect()
}

fn of_list(name: &Name, before: &Entries, after: &Entries, limit: usize) -> Vec<Difference> {
    let terms = |entry: Option<&Entry>| entry.map(EntryTerms::from);
    let differing = before.difference(after).map(|(key, before, after)| Difference::Entry {
        list: name.clone(),
        entry: key.to_string(),
        origin: key.origin,
        before: terms(before),
        after: terms(after),
    });
    differing.take(limit).collect()
}

fn names<'a>(
    before: impl Iterator<Item = &'a Name>,
    after: impl Iterator<Item = &'a Name>,
) -> BTreeSet<&'a Name> {
    before.chain(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        Author,
        change::{Change, Settings, apply},
        lines,
    };

    fn make(policy: &Policy, change: &Change) -> Policy {
        let author = std::sync::Arc::new(Author { uid: 0, name: "root".into() });
        apply(policy, change, &author, Timestamp::UNIX_EPOCH).unwrap().policy
    }

    #[test]
    fn what_differs_is_told_from_services_to_entries() {
        let name = |text: &str| -> Name { text.parse().unwrap() };
        let protect = Change::Protect {
            name: name("redis"),
            settings: Settings {
                ports: BTreeSet::from(["tcp/6379".parse().unwrap()]),
                ..Settings::default()
            },
        };
        let add = |list: &str, text: &str| Change::Add {
            name: name(list),
            entries: lines::parse(text).unwrap(),
        };
        let empty = Policy::default();
        let before = make(&make(&empty, &protect), &add("redis", "10.0.0.1 # a"));
        let group = Change::SetGroup { name: name("office"), follow: None };
        let after = make(&make(&before, &group), &add("redis", "10.0.0.1 # b\n10.0.0.2\n10.0.0.3"));
        let told = differences(&before, &after, 2, 3);
        let text = serde_json::to_value(&told).unwrap();
        let expected = serde_json::json!({
            "items": [
                {"what": "group", "name": "office", "before": null, "after": {"follow": null}},
                {"what": "entry", "list": "redis", "entry": "10.0.0.1/32", "origin": "manual",
                 "before": {"comment": "a", "expires_at": null},
                 "after": {"comment": "b", "expires_at": null}},
                {"what": "entry", "list": "redis", "entry": "10.0.0.2/32", "origin": "manual",
                 "before": null, "after": {"comment": null, "expires_at": null}},
            ],
            "omitted": 1,
        });
        assert_eq!(text, expected);
        assert_eq!(differences(&before, &before, 9, 0), Differences::default());
        assert_eq!(differing(&before, &after), BTreeSet::from([name("office"), name("redis")]));
        assert_eq!(differing(&before, &before), BTreeSet::new());
    }
}
