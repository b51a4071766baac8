//! The policy as the test understands it: plain text in maps, searched from end to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Entries as the daemon writes them, with their comments.
pub(super) type List = BTreeMap<String, Option<String>>;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Service {
    pub(super) port: u16,
    pub(super) include: BTreeSet<String>,
    pub(super) entries: List,
}

/// A whole policy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Model {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) groups: BTreeMap<String, List>,
}

/// A change that somebody asks for.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Add(String, List),
    Remove(String, Vec<String>),
    Replace(String, List),
    Protect(String, u16, BTreeSet<String>),
    Unprotect(String),
    Group(String),
    Ungroup(String),
    Apply(Model),
    Rollback,
}

impl Change {
    /// What the audit trail calls it, and what it says it is about.
    pub(super) fn deed(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Add(list, _) => ("add", Some(list)),
            Self::Remove(list, _) => ("remove", Some(list)),
            Self::Replace(list, _) => ("replace", Some(list)),
            Self::Protect(service, ..) => ("protect", Some(service)),
            Self::Unprotect(service) => ("unprotect", Some(service)),
            Self::Group(group) => ("group", Some(group)),
            Self::Ungroup(group) => ("ungroup", Some(group)),
            Self::Apply(_) => ("apply", None),
            Self::Rollback => ("rollback", None),
        }
    }

    /// Method, path, type and body of its request.
    pub(super) fn request(&self) -> (&'static str, String, &'static str, String) {
        const JSON: &str = "application/json";
        let entries = |entries: Vec<Value>| json!({ "entries": entries }).to_string();
        match self {
            Self::Add(list, added) => {
                let added = added
                    .iter()
                    .map(|(entry, comment)| json!({ "entry": entry, "comment": comment }));
                ("POST", format!("/v1/lists/{list}/add"), JSON, entries(added.collect()))
            }
            Self::Remove(list, removed) => {
                let removed = removed.iter().map(|entry| json!({ "entry": entry }));
                ("POST", format!("/v1/lists/{list}/remove"), JSON, entries(removed.collect()))
            }
            Self::Replace(list, lines) => {
                let line = |(entry, comment): (&String, &Option<String>)| match comment {
                    Some(comment) => format!("{entry} # {comment}\n"),
                    None => format!("{entry}\n"),
                };
                let text = lines.iter().map(line).collect();
                ("PUT", format!("/v1/lists/{list}"), "text/plain", text)
            }
            Self::Protect(service, port, include) => {
                let settings = json!({ "ports": [format!("udp/{port}")], "include": include });
                ("PUT", format!("/v1/services/{service}"), JSON, settings.to_string())
            }
            Self::Unprotect(service) => {
                ("DELETE", format!("/v1/services/{service}"), JSON, String::new())
            }
            Self::Group(group) => ("PUT", format!("/v1/groups/{group}"), JSON, "{}".into()),
            Self::Ungroup(group) => ("DELETE", format!("/v1/groups/{group}"), JSON, String::new()),
            Self::Apply(model) => ("PUT", "/v1/policy".into(), JSON, model.document().to_string()),
            Self::Rollback => ("POST", "/v1/rollback".into(), JSON, "{}".into()),
        }
    }

    /// What the policy is after it, where that depends on nothing but the policy before.
    pub(super) fn made(&self, before: &Model) -> Result<Model> {
        let mut model = before.clone();
        match self {
            Self::Add(list, added) => {
                let list = model.list(list)?;
                for (entry, comment) in added {
                    let kept = list.get(entry).cloned().flatten();
                    list.insert(entry.clone(), comment.clone().or(kept));
                }
            }
            Self::Remove(list, removed) => {
                let list = model.list(list)?;
                for entry in removed {
                    list.remove(entry).with_context(|| format!("{entry} was not there"))?;
                }
            }
            Self::Replace(list, lines) => lines.clone_into(model.list(list)?),
            Self::Protect(service, port, include) => {
                let service = model.services.entry(service.clone()).or_default();
                (service.port, service.include) = (*port, include.clone());
            }
            Self::Unprotect(service) => {
                model.services.remove(service).context("it was not protected")?;
            }
            Self::Group(group) => {
                model.groups.entry(group.clone()).or_default();
            }
            Self::Ungroup(group) => {
                model.groups.remove(group).context("there was no such group")?;
            }
            Self::Apply(wanted) => {
                model = wanted.clone();
                model.groups.entry("trusted".into()).or_default();
            }
            Self::Rollback => {}
        }
        Ok(model)
    }
}

impl Model {
    fn list(&mut self, name: &str) -> Result<&mut List> {
        let of_service = self.services.get_mut(name).map(|service| &mut service.entries);
        of_service
            .or_else(|| self.groups.get_mut(name))
            .with_context(|| format!("there was no {name}"))
    }

    fn document(&self) -> Value {
        let entries = |list: &List| -> Vec<Value> {
            list.iter()
                .map(|(entry, comment)| json!({ "entry": entry, "comment": comment }))
                .collect()
        };
        let services: BTreeMap<&String, Value> = self
            .services
            .iter()
            .map(|(name, service)| {
                let ports = [format!("udp/{}", service.port)];
                let (include, entries) = (&service.include, entries(&service.entries));
                (name, json!({ "ports": ports, "include": include, "entries": entries }))
            })
            .collect();
        let groups: BTreeMap<&String, Value> = self
            .groups
            .iter()
            .map(|(name, list)| (name, json!({ "entries": entries(list) })))
            .collect();
        json!({ "service": services, "group": groups })
    }

    /// Reads what the daemon exports.
    pub(super) fn read(document: &Value) -> Result<Self> {
        let list = |value: &Value| -> Result<List> {
            let entries = value["entries"].as_array().context("no entries")?.iter();
            entries
                .map(|entry| {
                    let comment = entry["comment"].as_str().map(Into::into);
                    let entry = entry.as_str().or(entry["entry"].as_str()).context("no entry")?;
                    Ok((entry.to_owned(), comment))
                })
                .collect()
        };
        let mut model = Self::default();
        for (name, value) in document["service"].as_object().context("no services")? {
            let port = value["ports"][0].as_str().and_then(|port| port.strip_prefix("udp/"));
            let include = value["include"].as_array().into_iter().flatten();
            let include = include.filter_map(|name| name.as_str().map(Into::into)).collect();
            let port = port.context("no port")?.parse()?;
            let service = Service { port, include, entries: list(value)? };
            model.services.insert(name.clone(), service);
        }
        for (name, value) in document["group"].as_object().context("no groups")? {
            model.groups.insert(name.clone(), list(value)?);
        }
        Ok(model)
    }

    /// Whether a service admits a source.
    pub(super) fn admits(&self, service: &Service, source: IpAddr) -> Result<bool> {
        let groups = service.include.iter().filter_map(|name| self.groups.get(name));
        let lists: Vec<&List> = std::iter::once(&service.entries).chain(groups).collect();
        if lists.iter().all(|list| list.is_empty()) {
            return Ok(true);
        }
        let mut closest = None;
        for entry in lists.into_iter().flat_map(BTreeMap::keys) {
            let (except, prefix) = match entry.strip_prefix('!') {
                Some(prefix) => (true, prefix),
                None => (false, entry.as_str()),
            };
            let (address, bits) = prefix.split_once('/').context("no length")?;
            let bits: u32 = bits.parse()?;
            if covers(address.parse()?, bits, source) {
                // Of two of the same length the except counts.
                closest = closest.max(Some((bits, except)));
            }
        }
        Ok(closest.is_some_and(|(_, except)| !except))
    }

    /// In a few words where two differ.
    pub(super) fn compare(&self, other: &Self) -> Result<()> {
        let names = |model: &Self| -> BTreeSet<String> {
            model.services.keys().chain(model.groups.keys()).cloned().collect()
        };
        ensure!(names(self) == names(other), "{:?} instead of {:?}", names(other), names(self));
        for (name, service) in &self.services {
            let found = &other.services[name];
            ensure!(
                (service.port, &service.include) == (found.port, &found.include),
                "{name} is {:?} instead of {:?}",
                (found.port, &found.include),
                (service.port, &service.include)
            );
            compare_lists(name, &service.entries, &found.entries)?;
        }
        for (name, list) in &self.groups {
            compare_lists(name, list, &other.groups[name])?;
        }
        Ok(())
    }
}

fn compare_lists(name: &str, expected: &List, found: &List) -> Result<()> {
    let missing: Vec<_> =
        expected.iter().filter(|(key, value)| found.get(*key) != Some(value)).collect();
    let surplus: Vec<_> =
        found.iter().filter(|(key, value)| expected.get(*key) != Some(value)).collect();
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "{name} lacks {} of its entries, {:?} among them, and has {} others, {:?} among them",
        missing.len(),
        missing.first(),
        surplus.len(),
        surplus.first()
    );
    Ok(())
}

fn covers(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32 - bits;
            u64::from(network.to_bits()) >> shift == u64::from(address.to_bits()) >> shift
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128 - bits;
            network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
        }
        _ => false,
    }
}
