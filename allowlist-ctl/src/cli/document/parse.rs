//! A policy, read, with the place of everything that is wrong.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use toml::{Spanned, value::Datetime};

use super::InvalidPolicy;
use crate::{
    api::{DocumentEntry, EntrySpec, GroupDocument, PolicyDocument, ServiceDocument},
    policy::{
        Name, Prefix,
        entry::{InvalidEntry, parse_comment, parse_keys},
        port::Ports,
        service::{Action, Mode, WhenEmpty},
    },
};

/// Reads a policy.
///
/// # Errors
/// [`InvalidPolicy`], with every entry that is none, but for a text that is no TOML at all.
pub(super) fn parse(text: &str, name: &str) -> Result<PolicyDocument, InvalidPolicy> {
    let places = Places(text);
    let policy: Policy = toml::from_str(text).map_err(|error| {
        let (line, column) = places.find(error.span().map_or(0, |span| span.start));
        let reason = error.message().to_owned();
        InvalidPolicy::Unreadable { name: name.to_owned(), line, column, reason }
    })?;
    let mut wrong = Vec::new();
    let mut entries = |list: &Name, entries: Vec<Spanned<Entry>>| -> Vec<DocumentEntry> {
        let entries = entries.into_iter().map(|spanned| {
            let start = spanned.span().start;
            let Entry(entry) = spanned.into_inner();
            if let Err(error) = check(&entry) {
                let (line, _) = places.find(start);
                wrong.push((line, format!("line {line}: {list}: {error}")));
            }
            entry
        });
        entries.collect()
    };
    let service = policy.service.into_iter().map(|(name, service)| {
        let Service {
            ports,
            interfaces,
            addresses,
            include,
            mode,
            action,
            when_empty,
            entries: spanned,
        } = service;
        let entries = entries(&name, spanned);
        let service = ServiceDocument {
            ports,
            interfaces,
            addresses,
            include,
            mode,
            action,
            when_empty,
            entries,
        };
        (name, service)
    });
    let service = service.collect();
    let group = policy.group.into_iter().map(|(name, Group { follow, entries: spanned })| {
        let entries = entries(&name, spanned);
        (name, GroupDocument { follow, entries })
    });
    let document = PolicyDocument { service, group: group.collect() };
    if wrong.is_empty() {
        return Ok(document);
    }
    wrong.sort_unstable();
    let wrong = wrong.into_iter().map(|(_, problem)| problem).collect();
    Err(InvalidPolicy::Entries { name: name.to_owned(), wrong })
}

fn check(entry: &DocumentEntry) -> Result<(), InvalidEntry> {
    let (entry, comment) = match entry {
        DocumentEntry::Bare(entry) => (entry, None),
        DocumentEntry::Full(EntrySpec { entry, comment, .. }) => (entry, comment.as_deref()),
    };
    parse_keys(entry)?;
    parse_comment(comment.unwrap_or_default())?;
    Ok(())
}

/// Lines and columns of a text.
struct Places<'a>(&'a str);

impl Places<'_> {
    /// The line and column of a byte, both from 1.
    fn find(&self, byte: usize) -> (usize, usize) {
        let before = self.0.get(..byte).unwrap_or(self.0);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        (line, before.get(start..).unwrap_or_default().chars().count() + 1)
    }
}

/// [`PolicyDocument`], whose entries know where they stand.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Policy {
    service: BTreeMap<Name, Service>,
    group: BTreeMap<Name, Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    ports: Vec<Ports>,
    #[serde(default)]
    interfaces: Vec<String>,
    #[serde(default)]
    addresses: Vec<Prefix>,
    #[serde(default)]
    include: Vec<Name>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    action: Action,
    #[serde(default)]
    when_empty: WhenEmpty,
    #[serde(default)]
    entries: Vec<Spanned<Entry>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Group {
    follow: Option<PathBuf>,
    entries: Vec<Spanned<Entry>>,
}

/// A string, or a table with an entry and what is said about it.
struct Entry(DocumentEntry);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor).map(Self)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = DocumentEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#""10.0.0.0/8" or { entry = "10.0.0.0/8", comment = "office" }"#)
    }

    fn visit_str<E>(self, text: &str) -> Result<DocumentEntry, E> {
        Ok(DocumentEntry::Bare(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<DocumentEntry, E> {
        Ok(DocumentEntry::Bare(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DocumentEntry, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            entry: String,
            comment: Option<String>,
            expires_at: Option<End>,
        }
        let Full { entry, comment, expires_at } =
            Full::deserialize(MapAccessDeserializer::new(map))?;
        let expires_at = expires_at.map(|End(end)| end);
        Ok(EntrySpec { entry, comment, expires_at }.into())
    }
}

/// A moment as a string, or as a date and time of TOML.
struct End(Timestamp);

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndVisitor).map(Self)
    }
}

struct EndVisitor;

impl<'de> Visitor<'de> for EndVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time with its offset, such as 2026-12-01T00:00:00Z")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(|_| E::custom(InvalidEntry::End(text.chars().take(40).collect())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Timestamp, A::Error> {
        let end = Datetime::deserialize(MapAccessDeserializer::new(map))?.to_string();
        end.parse().map_err(|_| A::Error::custom(InvalidEntry::End(end)))
    }
}
