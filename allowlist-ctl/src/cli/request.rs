//! What was typed, read into what it means: the request to send.

use std::{
    fmt::{Display, Write as _},
    io::BufRead,
};

use hyper::{Method, body::Bytes};
use serde::Serialize;

use super::{
    args::{ChangeArgs, Command, EntryArgs, Shell},
    error::Error,
    file,
};
use crate::{
    api::{AttachSettings, ChangeOptions, EntrySpec, EntrySpecs, ModeSetting, ServiceSettings},
    policy::{
        Name, Prefix,
        entry::{parse_comment, parse_keys},
        prefix::InvalidPrefix,
        service::Mode,
    },
};

/// What a command line means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Show the state of everything.
    Status,
    /// Show entries, of one service or of all.
    List(Option<Name>),
    /// Show dropped packets, at most so many lines of them.
    Drops(Option<u32>),
    /// Show dropped packets as they come.
    Follow,
    /// Change something.
    Change(Change),
    /// Print completions.
    Completions(Shell),
}

/// A change, and how to tell of it.
#[derive(Debug)]
pub(super) struct Change {
    /// What is changed: a service or an interface.
    pub(super) subject: String,
    /// What is done to it.
    pub(super) deed: Deed,
    /// The request.
    pub(super) request: Request,
}

/// What a change does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// Ports are protected, or settings changed.
    Protect,
    /// A service is switched.
    Mode(Mode),
    /// A service is removed.
    Unprotect,
    /// Entries are changed.
    Entries,
    /// The filter is put on.
    Attach,
    /// The filter is taken off.
    Detach,
}

/// A request to the daemon.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The method.
    pub(super) method: Method,
    /// The path, escaped; with its query where it only reads.
    pub(super) path: String,
    /// What a change takes; nothing of it is sent with what only reads.
    pub(super) options: ChangeOptions,
    /// The body.
    pub(super) body: Body,
}

/// The body of a request.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// None.
    Empty,
    /// A JSON document.
    Json(Bytes),
    /// A list as text.
    Text(Bytes),
}

impl Request {
    /// A request that only reads.
    pub(super) fn get(path: impl Into<String>) -> Self {
        let (path, options) = (path.into(), ChangeOptions::default());
        Self { method: Method::GET, path, options, body: Body::Empty }
    }

    /// Path and query; of the query only what says something.
    pub(super) fn target(&self) -> String {
        let ChangeOptions { yes, force, dry_run, confirm, session, if_revision } = self.options;
        let flags = [("yes", yes), ("force", force), ("dry_run", dry_run)];
        let flags =
            flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| format!("{name}=true"));
        let revision = if_revision.map(|revision| format!("if_revision={revision}"));
        let confirm = confirm.map(|seconds| format!("confirm={seconds}"));
        let session = session.map(|session| format!("session={}", escape(&session.to_string())));
        let query: Vec<String> = flags.chain(confirm).chain(session).chain(revision).collect();
        if query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, query.join("&"))
        }
    }
}

impl Body {
    fn json(document: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(document).expect("requests are structures of plain values");
        Self::Json(bytes.into())
    }
}

impl Meaning {
    /// Reads what was typed, and the file it names.
    ///
    /// # Errors
    /// [`Error::Usage`] with every argument that cannot be read; [`Error::File`].
    pub(super) fn of(command: &Command, stdin: &mut dyn BufRead) -> Result<Self, Error> {
        let mut wrong = Wrong::default();
        let meaning = match command {
            Command::Status => Self::Status,
            Command::Completions { shell } => Self::Completions(*shell),
            Command::List { name } => {
                Self::List(name.as_ref().and_then(|name| wrong.take(name.parse())))
            }
            Command::Drops { follow: true, .. } => Self::Follow,
            Command::Drops { follow: false, limit } => Self::Drops(*limit),
            Command::Protect {
                name,
                ports,
                interfaces,
                addresses,
                mode,
                action,
                when_empty,
                change,
            } => {
                wrong.take(name.parse::<Name>());
                let ports = ports.iter().filter_map(|ports| wrong.take(ports.parse())).collect();
                let settings = ServiceSettings {
                    ports,
                    interfaces: limit("--interface", "all", interfaces, interface, &mut wrong),
                    addresses: limit("--address", "any", addresses, address, &mut wrong),
                    include: None,
                    mode: mode.map(Into::into),
                    action: action.map(Into::into),
                    when_empty: when_empty.map(Into::into),
                };
                let (path, body) = (format!("/v1/services/{name}"), Body::json(&settings));
                Change::meant(name, Deed::Protect, Method::PUT, path, *change, body)
            }
            Command::Mode { name, mode, change } => {
                wrong.take(name.parse::<Name>());
                let mode = Mode::from(*mode);
                let (path, body) =
                    (format!("/v1/services/{name}/mode"), Body::json(&ModeSetting { mode }));
                Change::meant(name, Deed::Mode(mode), Method::PUT, path, *change, body)
            }
            Command::Unprotect { name, change } => {
                wrong.take(name.parse::<Name>());
                let path = format!("/v1/services/{name}");
                Change::meant(name, Deed::Unprotect, Method::DELETE, path, *change, Body::Empty)
            }
            Command::Add { name, entries, comment, change } => {
                wrong.take(name.parse::<Name>());
                let body = specs(entries, comment.as_deref(), &mut wrong);
                let path = format!("/v1/lists/{name}/add");
                Change::meant(name, Deed::Entries, Method::POST, path, *change, body)
            }
            Command::Remove { name, entries, change } => {
                wrong.take(name.parse::<Name>());
                let body = specs(entries, None, &mut wrong);
                let path = format!("/v1/lists/{name}/remove");
                Change::meant(name, Deed::Entries, Method::POST, path, *change, body)
            }
            Command::Replace { name, file, change } => {
                wrong.take(name.parse::<Name>());
                wrong.none()?;
                let (path, body) = (format!("/v1/lists/{name}"), file::read(file, stdin)?);
                Change::meant(name, Deed::Entries, Method::PUT, path, *change, Body::Text(body))
            }
            Command::Attach { interface, xdp_mode, change } => {
                let path = interface_path(interface, &mut wrong);
                let body = Body::json(&AttachSettings { mode: *xdp_mode });
                Change::meant(interface, Deed::Attach, Method::PUT, path, *change, body)
            }
            Command::Detach { interface, change } => {
                let path = interface_path(interface, &mut wrong);
                Change::meant(interface, Deed::Detach, Method::DELETE, path, *change, Body::Empty)
            }
        };
        wrong.none()?;
        Ok(meaning)
    }
}

impl Change {
    fn meant(
        subject: &str,
        deed: Deed,
        method: Method,
        path: String,
        options: ChangeArgs,
        body: Body,
    ) -> Meaning {
        let request = Request { method, path, options: options.into(), body };
        Meaning::Change(Self { subject: subject.to_owned(), deed, request })
    }
}

/// Arguments that cannot be read, collected so that all of them are named.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn take<T, E: Display>(&mut self, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.0.push(error.to_string())).ok()
    }

    fn none(&mut self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Usage(std::mem::take(&mut self.0))) }
    }
}

fn specs(entries: &EntryArgs, comment: Option<&str>, wrong: &mut Wrong) -> Body {
    let comment = comment.and_then(|comment| wrong.take(parse_comment(comment)).flatten());
    let comment = comment.as_deref().map(ToOwned::to_owned);
    let entries = entries.cidrs.iter().filter_map(|cidr| {
        let cidr = cidr.trim();
        let mark = if entries.except && !cidr.starts_with('!') { "!" } else { "" };
        let entry = format!("{mark}{cidr}");
        wrong.take(parse_keys(&entry))?;
        Some(EntrySpec { entry, comment: comment.clone(), expires_at: None })
    });
    Body::json(&EntrySpecs { entries: entries.collect() })
}

/// What a service is limited to; nothing typed leaves the limit as it is, and one word lifts it.
fn limit<T, E: Display>(
    option: &str,
    lifting: &str,
    typed: &[String],
    read: impl Fn(&str) -> Result<T, E>,
    wrong: &mut Wrong,
) -> Option<Vec<T>> {
    if typed.iter().any(|text| text == lifting) {
        if typed.len() > 1 {
            wrong.0.push(format!("'{option} {lifting}' lifts the limit: give it alone"));
        }
        return Some(Vec::new());
    }
    let limits = typed.iter().filter_map(|text| wrong.take(read(text))).collect();
    (!typed.is_empty()).then_some(limits)
}

fn interface(name: &str) -> Result<String, String> {
    check_interface(name).map(|()| name.to_owned())
}

/// A destination; no range, not even one that is just a prefix.
fn address(text: &str) -> Result<Prefix, InvalidPrefix> {
    let prefix = text.parse()?;
    if text.contains('-') { Err(InvalidPrefix::NotOne(text.to_owned())) } else { Ok(prefix) }
}

fn interface_path(name: &str, wrong: &mut Wrong) -> String {
    wrong.take(check_interface(name));
    format!("/v1/interfaces/{}", escape(name))
}

/// A text as a part of a path or query.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        // RFC 3986, section 2.3: unreserved characters stand for themselves.
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _: std::fmt::Result = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Whether the kernel would take it for the name of an interface (`dev_valid_name` of Linux).
fn check_interface(name: &str) -> Result<(), String> {
    const LONGEST: usize = libc::IFNAMSIZ - 1;
    let is_wrong = |c: char| c == '/' || c == ':' || c.is_whitespace();
    if name.is_empty()
        || name.len() > LONGEST
        || [".", ".."].contains(&name)
        || name.contains(is_wrong)
    {
        return Err(format!(
            "'{name}' is no name of an interface: use one that `ip link` shows, at most {LONGEST} bytes"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
