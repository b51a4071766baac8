//! A policy, read, with the place of everything that is wrong.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
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
/// [`InvalidPolicy`], with every value that is none, but for a text whose form is not that of a policy at all.
pub(super) fn parse(text: &str, name: &str) -> Result<PolicyDocument, InvalidPolicy> {
    let policy: Policy = toml::from_str(text).map_err(|error| {
        let (line, column) = Places(text).find(error.span().map_or(0, |span| span.start));
        let reason = error.message().to_owned();
        InvalidPolicy::Unreadable { name: name.to_owned(), line, column, reason }
    })?;
    let mut wrong = Wrong { places: Places(text), list: None, problems: Vec::new() };
    let service = policy.service.into_iter().map(|(name, service)| {
        wrong.list = Some(name.clone());
        let service = ServiceDocument {
            ports: wrong.sift(service.ports),
            interfaces: service.interfaces,
            addresses: wrong.sift(service.addresses),
            include: wrong.sift(service.include),
            mode: wrong.one(service.mode),
            action: wrong.one(service.action),
            when_empty: wrong.one(service.when_empty),
            entries: wrong.entries(service.entries),
        };
        (name, service)
    });
    let service = service.collect();
    let group = policy.group.into_iter().map(|(name, group)| {
        wrong.list = Some(name.clone());
        (name, GroupDocument { follow: group.follow, entries: wrong.entries(group.entries) })
    });
    let document = PolicyDocument { service, group: group.collect() };
    let Wrong { mut problems, .. } = wrong;
    if problems.is_empty() {
        return Ok(document);
    }
    problems.sort_unstable();
    let wrong = problems.into_iter().map(|(_, problem)| problem).collect();
    Err(InvalidPolicy::Entries { name: name.to_owned(), wrong })
}

/// What is wrong, and where.
struct Wrong<'a> {
    places: Places<'a>,
    /// The service or group that is read.
    list: Option<Name>,
    problems: Vec<(usize, String)>,
}

impl Wrong<'_> {
    fn note(&mut self, at: usize, problem: impl fmt::Display) {
        let (line, _) = self.places.find(at);
        let list = self.list.as_ref().map_or("", Name::as_str);
        self.problems.push((line, format!("line {line}: {list}: {problem}")));
    }

    fn take<T>(&mut self, value: Spanned<Lenient<T>>) -> Option<T> {
        let start = value.span().start;
        value.into_inner().0.map_err(|problem| self.note(start, problem)).ok()
    }

    fn sift<T>(&mut self, values: Vec<Spanned<Lenient<T>>>) -> Vec<T> {
        values.into_iter().filter_map(|value| self.take(value)).collect()
    }

    fn one<T: Default>(&mut self, value: Option<Spanned<Lenient<T>>>) -> T {
        value.and_then(|value| self.take(value)).unwrap_or_default()
    }

    fn entries(&mut self, entries: Vec<Spanned<Entry>>) -> Vec<DocumentEntry> {
        let read = |spanned: Spanned<Entry>| {
            let start = spanned.span().start;
            let checked = spanned
                .into_inner()
                .0
                .and_then(|entry| check(&entry).map(|()| entry).map_err(|error| error.to_string()));
            checked.map_err(|problem| self.note(start, problem)).ok()
        };
        entries.into_iter().filter_map(read).collect()
    }
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

/// A value, or why it is none: so that one that is wrong does not hide the others.
struct Lenient<T>(Result<T, String>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        Ok(Self(T::deserialize(value).map_err(|error| error.message().to_owned())))
    }
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
    ports: Vec<Spanned<Lenient<Ports>>>,
    #[serde(default)]
    interfaces: Vec<String>,
    #[serde(default)]
    addresses: Vec<Spanned<Lenient<Prefix>>>,
    #[serde(default)]
    include: Vec<Spanned<Lenient<Name>>>,
    mode: Option<Spanned<Lenient<Mode>>>,
    action: Option<Spanned<Lenient<Action>>>,
    when_empty: Option<Spanned<Lenient<WhenEmpty>>>,
    #[serde(default)]
    entries: Vec<Spanned<Entry>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Group {
    follow: Option<PathBuf>,
    entries: Vec<Spanned<Entry>>,
}

/// A string, or a table with an entry and what is said about it; or what is wrong with its end.
struct Entry(Result<DocumentEntry, String>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor).map(Self)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Result<DocumentEntry, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#""10.0.0.0/8" or { entry = "10.0.0.0/8", comment = "office" }"#)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Ok(DocumentEntry::Bare(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Ok(DocumentEntry::Bare(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            entry: String,
            comment: Option<String>,
            expires_at: Option<Lenient<End>>,
        }
        let Full { entry, comment, expires_at } =
            Full::deserialize(MapAccessDeserializer::new(map))?;
        let expires_at = expires_at.map(|Lenient(end)| end.map(|End(end)| end)).transpose();
        Ok(expires_at.map(|expires_at| EntrySpec { entry, comment, expires_at }.into()))
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
