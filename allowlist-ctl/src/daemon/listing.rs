//! Lists as a stream of JSON, so that a million entries are never in memory as text.

use std::{convert::Infallible, io, path::Path, sync::Arc};

use axum::body::Body;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use jiff::Timestamp;
use serde::Serialize;

use super::status::state;
use crate::{
    api::{DocumentEntry, EntrySpec, EntryView, GroupDocument, List, ListKind, ServiceDocument},
    kernel::Hits,
    policy::{Entries, Entry, EntryKey, Group, Name, Origin, Policy, Service},
};

/// Entries in one chunk of the stream.
const CHUNK: usize = 1000;

/// [`crate::api::Listing`] of some lists of a policy.
pub(super) fn listing(policy: &Policy, names: Vec<Name>, hits: &Arc<Hits>) -> Body {
    let now = Timestamp::now();
    let revision = policy.revision;
    let lists: Vec<(List, Entries)> =
        names.into_iter().filter_map(|name| head(policy, name)).collect();
    let hits = Arc::clone(hits);
    let lists = lists.into_iter().enumerate().flat_map(move |(index, (head, entries))| {
        let (hits, follow) = (Arc::clone(&hits), head.follow.clone());
        let view = move |key: EntryKey, entry: Entry| {
            entry_view(&key, &entry, follow.as_deref(), &hits, now)
        };
        let separator = if index == 0 { "" } else { "," };
        std::iter::once(separator.to_owned()).chain(with_entries(
            &head,
            json_entries(entries, move |key, entry| Some(view(key, entry))),
        ))
    });
    stream(
        std::iter::once(format!("{{\"revision\":{revision},\"lists\":["))
            .chain(lists)
            .chain(std::iter::once("]}\n".to_owned())),
    )
}

/// An entry of a list, which follows a file or none.
pub(super) fn entry_view(
    key: &EntryKey,
    entry: &Entry,
    follow: Option<&Path>,
    hits: &Hits,
    now: Timestamp,
) -> EntryView {
    let origin = match (key.origin, follow) {
        (Origin::File, Some(path)) => format!("file:{}", path.display()),
        (Origin::File, None) => "file".to_owned(),
        (Origin::Manual, _) => "manual".to_owned(),
    };
    EntryView {
        id: entry.id,
        prefix: key.prefix,
        kind: key.kind,
        origin,
        comment: entry.comment.as_deref().map(Into::into),
        added_by: entry.added_by.as_ref().clone(),
        added_at: entry.added_at,
        expires_at: entry.expires_at,
        expired: entry.is_expired(now),
        last_hit: hits.last(entry.id, entry.added_at),
    }
}

/// A list without its entries, and those.
fn head(policy: &Policy, name: Name) -> Option<(List, Entries)> {
    let empty = |name, kind| List {
        name,
        kind,
        state: None,
        include: Vec::new(),
        follow: None,
        entries: Vec::new(),
    };
    if let Some(service) = policy.services.get(&name) {
        let head = List {
            state: Some(state(policy, service)),
            include: service.includes.iter().cloned().collect(),
            ..empty(name, ListKind::Service)
        };
        return Some((head, service.entries.clone()));
    }
    let group = policy.groups.get(&name)?;
    let head = List { follow: group.follow.clone(), ..empty(name, ListKind::Group) };
    Some((head, group.entries.clone()))
}

/// [`crate::api::PolicyDocument`] of a policy.
pub(super) fn document(policy: &Policy) -> Body {
    let services =
        policy.services.clone().into_iter().enumerate().flat_map(|(index, (name, service))| {
            named(index, &name)
                .chain(with_entries(&service_head(&service), manual(&service.entries)))
        });
    let groups =
        policy.groups.clone().into_iter().enumerate().flat_map(|(index, (name, group))| {
            named(index, &name).chain(with_entries(&group_head(&group), manual(&group.entries)))
        });
    stream(
        std::iter::once("{\"service\":{".to_owned())
            .chain(services)
            .chain(std::iter::once("},\"group\":{".to_owned()))
            .chain(groups)
            .chain(std::iter::once("}}\n".to_owned())),
    )
}

fn named(index: usize, name: &Name) -> impl Iterator<Item = String> + use<> {
    let separator = if index == 0 { "" } else { "," };
    std::iter::once(format!("{separator}{}:", to_json(name)))
}

fn service_head(service: &Service) -> ServiceDocument {
    ServiceDocument {
        ports: service.ports.iter().copied().collect(),
        interfaces: service.interfaces.iter().cloned().collect(),
        addresses: service.addresses.iter().copied().collect(),
        include: service.includes.iter().cloned().collect(),
        mode: service.mode,
        action: service.action,
        when_empty: service.when_empty,
        entries: Vec::new(),
    }
}

fn group_head(group: &Group) -> GroupDocument {
    GroupDocument { follow: group.follow.clone(), entries: Vec::new() }
}

/// The entries that somebody added by command: a file that is followed says the others.
fn manual(entries: &Entries) -> impl Iterator<Item = String> + use<> {
    json_entries(entries.clone(), |key, entry| {
        let spec = EntrySpec {
            entry: key.to_string(),
            comment: entry.comment.as_deref().map(Into::into),
            expires_at: entry.expires_at,
        };
        (key.origin == Origin::Manual).then(|| DocumentEntry::from(spec))
    })
}

/// A document whose last field is an empty array of entries, with these in it.
fn with_entries<H: Serialize, I: Iterator<Item = String>>(
    head: &H,
    entries: I,
) -> impl Iterator<Item = String> + use<H, I> {
    let head = to_json(head);
    let open = head.strip_suffix("]}").unwrap_or(&head).to_owned();
    std::iter::once(open).chain(entries).chain(std::iter::once("]}".to_owned()))
}

/// Entries as pieces of a JSON array.
fn json_entries<T: Serialize>(
    entries: Entries,
    view: impl Fn(EntryKey, Entry) -> Option<T>,
) -> impl Iterator<Item = String> {
    let mut entries = entries.into_iter().peekable();
    let mut first = true;
    std::iter::from_fn(move || {
        entries.peek()?;
        let mut text = Vec::new();
        for view in entries.by_ref().take(CHUNK).filter_map(|(key, entry)| view(key, entry)) {
            if !std::mem::take(&mut first) {
                text.push(b',');
            }
            // Writing to memory does not fail.
            let _: io::Result<()> = serde_json::to_writer(&mut text, &view).map_err(Into::into);
        }
        String::from_utf8(text).ok()
    })
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn stream(pieces: impl Iterator<Item = String> + Send + 'static) -> Body {
    let frames = pieces.filter(|text| !text.is_empty());
    let frames = frames.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    Body::new(StreamBody::new(tokio_stream::iter(frames)))
}
