//! Lists as a stream of JSON, so that a million entries are never in memory as text.

use std::{convert::Infallible, io, sync::Arc};

use axum::body::Body;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use serde::Serialize;

use super::status::state;
use crate::{
    api::{EntryView, ServiceState},
    kernel::Hits,
    policy::{Entries, Entry, EntryKey, Name, Policy, Service},
};

/// Entries in one chunk of the stream.
const CHUNK: usize = 1000;

/// The head of a list: what stands before its entries.
#[derive(Serialize)]
struct Head<'a> {
    name: &'a Name,
    state: ServiceState,
}

/// [`crate::api::Listing`] of some lists of a policy.
pub(super) fn stream(policy: &Policy, names: Vec<Name>, hits: &Arc<Hits>) -> Body {
    let hits = Arc::clone(hits);
    let revision = policy.revision;
    let services: Vec<(Name, Arc<Service>)> = names
        .into_iter()
        .filter_map(|name| policy.services.get(&name).cloned().map(|service| (name, service)))
        .collect();
    let lists = services.into_iter().enumerate().flat_map(move |(index, (name, service))| {
        let separator = if index == 0 { "" } else { "," };
        let head = to_json(&Head { name: &name, state: state(&service) });
        let open = head.strip_suffix('}').unwrap_or(&head).to_owned();
        std::iter::once(format!("{separator}{open},\"entries\":["))
            .chain(chunks(&service.entries, Arc::clone(&hits)))
            .chain(std::iter::once("]}".to_owned()))
    });
    let all = std::iter::once(format!("{{\"revision\":{revision},\"lists\":["))
        .chain(lists)
        .chain(std::iter::once("]}\n".to_owned()));
    let frames = all.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

/// The entries of a list as pieces of a JSON array.
fn chunks(entries: &Entries, hits: Arc<Hits>) -> impl Iterator<Item = String> + use<> {
    let mut entries = entries.clone().into_iter();
    let mut first = true;
    std::iter::from_fn(move || {
        let mut text = Vec::new();
        for (key, entry) in entries.by_ref().take(CHUNK) {
            if !std::mem::take(&mut first) {
                text.push(b',');
            }
            // Writing to memory does not fail.
            let _: io::Result<()> =
                serde_json::to_writer(&mut text, &view(&key, &entry, &hits)).map_err(Into::into);
        }
        if text.is_empty() { None } else { String::from_utf8(text).ok() }
    })
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn view(key: &EntryKey, entry: &Entry, hits: &Hits) -> EntryView {
    EntryView {
        id: entry.id,
        prefix: key.prefix,
        kind: key.kind,
        comment: entry.comment.as_deref().map(Into::into),
        added_by: entry.added_by.as_ref().clone(),
        added_at: entry.added_at,
        expires_at: entry.expires_at,
        last_hit: hits.last(entry.id, entry.added_at),
    }
}
