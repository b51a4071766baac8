//! What was typed, read into what it means: the request to send.

mod arguments;

use std::{io::BufRead, path::PathBuf, time::Duration};

use hyper::{Method, body::Bytes};
use jiff::Timestamp;
use serde::Serialize;

use self::arguments::{Wrong, escape, follow, interface_path, keys, lasting, settings};
use super::{
    args::{ChangeArgs, Command, Shell},
    check::Asked,
    document,
    error::Error,
    file,
    learn::Learn,
    trial::Candidate,
    when,
};
use crate::{
    api::{AttachSettings, ChangeOptions, GroupSettings, ModeSetting, Rollback},
    policy::{Name, service::Mode},
};

/// What changes of everything are told of.
const POLICY: &str = "policy";

/// What a command line means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Show the state of everything.
    Status,
    /// Show it again and again, with such a pause.
    Watch(Duration),
    /// Show entries, of one service or of all.
    List(Option<Name>),
    /// Show the whole policy.
    Export,
    /// Show the revisions that are kept.
    Revisions,
    /// Show rows of the audit trail, by the query that asks for them.
    Audit(String),
    /// Say whether the audit trail is as it was written.
    VerifyAudit,
    /// Say how packets would be judged.
    Check(Asked),
    /// Change entries in an editor.
    Edit(Name, ChangeOptions),
    /// Show dropped packets, at most so many lines of them.
    Drops(Option<u32>),
    /// Show dropped packets as they come.
    Follow,
    /// Show everything that is counted, live.
    Top,
    /// Propose entries.
    Learn(Learn),
    /// Put a policy on trial, or end that.
    Try(Option<Candidate>),
    /// Change something.
    Change(Box<Change>),
    /// Print completions.
    Completions(Shell),
}

/// A change, and how to tell of it.
#[derive(Debug)]
pub(super) struct Change {
    /// What is changed: a service, a group, an interface or everything.
    pub(super) subject: String,
    /// What is done to it.
    pub(super) deed: Deed,
    /// The request.
    pub(super) request: Request,
}

/// What a change does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// Ports are protected, or settings changed.
    Protect,
    /// A service is switched.
    Mode(Mode),
    /// A service is removed.
    Unprotect,
    /// A group is made, or follows a file; an empty path is none.
    Group(Option<PathBuf>),
    /// A group is removed.
    Ungroup,
    /// Entries are changed.
    Entries,
    /// Entries are changed in an editor.
    Edit,
    /// Everything is made what a document says.
    Apply,
    /// Everything is made what it was, at a revision where one is given.
    Rollback(Option<u64>),
    /// The pending change is kept.
    Confirm,
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

    /// A request that does something and is no change of the policy, by its path and query.
    pub(super) fn to(method: Method, path: String, body: Body) -> Self {
        Self { method, path, options: ChangeOptions::default(), body }
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

/// A path with a query, escaped.
pub(super) fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    format!("{path}?{}", query.join("&"))
}

impl Body {
    /// A JSON document.
    pub(super) fn json(document: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(document).expect("requests are structures of plain values");
        Self::Json(bytes.into())
    }
}

impl Meaning {
    /// The state of everything, once or every so many seconds.
    fn status(watch: Option<u64>) -> Self {
        watch.map_or(Self::Status, |seconds| Self::Watch(Duration::from_secs(seconds)))
    }

    /// Reads what was typed, and the file it names.
    ///
    /// # Errors
    /// [`Error::Usage`] with every argument that cannot be read; [`Error::File`].
    pub(super) fn of(command: &Command, stdin: &mut dyn BufRead) -> Result<Self, Error> {
        let mut wrong = Wrong::default();
        let meaning = match command {
            Command::Status { watch } => Self::status(*watch),
            Command::Completions { shell } => Self::Completions(*shell),
            Command::List { name } => {
                Self::List(name.as_ref().and_then(|name| wrong.take(name.parse())))
            }
            Command::Top => Self::Top,
            Command::Check(check) => Self::Check(Asked::of(check, stdin)?),
            Command::Drops { follow: true, .. } => Self::Follow,
            Command::Drops { follow: false, limit } => Self::Drops(*limit),
            Command::Learn(args) => Self::Learn(Learn::of(args)?),
            Command::Try(args) => Self::Try(Candidate::of(args, stdin)?),
            Command::Protect(protect) => {
                let (name, change) = (&protect.name, protect.change);
                wrong.take(name.parse::<Name>());
                let body = Body::json(&settings(protect, &mut wrong));
                let path = format!("/v1/services/{name}");
                Change::meant(name, Deed::Protect, Method::PUT, path, change, body)
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
            Command::Group { name, follow: file, change } => {
                wrong.take(name.parse::<Name>());
                let follow = file.as_deref().and_then(|file| wrong.take(follow(file)));
                let settings = GroupSettings { follow: follow.clone() };
                let (path, body) = (format!("/v1/groups/{name}"), Body::json(&settings));
                Change::meant(name, Deed::Group(follow), Method::PUT, path, *change, body)
            }
            Command::Ungroup { name, change } => {
                wrong.take(name.parse::<Name>());
                let path = format!("/v1/groups/{name}");
                Change::meant(name, Deed::Ungroup, Method::DELETE, path, *change, Body::Empty)
            }
            Command::Add { name, entries, comment, end, change } => {
                wrong.take(name.parse::<Name>());
                let now = Timestamp::now();
                let specs = lasting(entries, comment.as_deref(), end, now, &mut wrong);
                let (path, body) = (format!("/v1/lists/{name}/add"), Body::json(&specs));
                Change::meant(name, Deed::Entries, Method::POST, path, *change, body)
            }
            Command::Remove { name, entries, change } => {
                wrong.take(name.parse::<Name>());
                let body = Body::json(&keys(entries, &mut wrong));
                let path = format!("/v1/lists/{name}/remove");
                Change::meant(name, Deed::Entries, Method::POST, path, *change, body)
            }
            Command::Replace { name, file, change } => {
                wrong.take(name.parse::<Name>());
                wrong.none()?;
                let (path, body) = (format!("/v1/lists/{name}"), file::read(file, stdin)?);
                Change::meant(name, Deed::Entries, Method::PUT, path, *change, Body::Text(body))
            }
            Command::Edit { name, change } => {
                let name = name.parse::<Name>().map_err(|error| error.to_string());
                Self::Edit(name.map_err(|error| Error::Usage(vec![error]))?, (*change).into())
            }
            Command::Export => Self::Export,
            Command::Revisions => Self::Revisions,
            Command::Audit { verify: true, .. } => Self::VerifyAudit,
            Command::Audit { name, since, limit, verify: false } => {
                let now = Timestamp::now();
                let since = since.as_deref().and_then(|span| wrong.take(when::before(span, now)));
                Self::Audit(audit_query(name.as_deref(), since, *limit))
            }
            Command::Apply { file, change } => {
                let body = Body::json(&document::read(file, stdin)?);
                let path = "/v1/policy".to_owned();
                Change::meant(POLICY, Deed::Apply, Method::PUT, path, *change, body)
            }
            Command::Confirm => {
                let (path, change) = ("/v1/confirm".to_owned(), ChangeArgs::default());
                Change::meant(POLICY, Deed::Confirm, Method::POST, path, change, Body::Empty)
            }
            Command::Rollback { to, change } => {
                let (path, body) = ("/v1/rollback".to_owned(), Body::json(&Rollback { to: *to }));
                Change::meant(POLICY, Deed::Rollback(*to), Method::POST, path, *change, body)
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

/// The query that asks for rows of the audit trail.
fn audit_query(name: Option<&str>, since: Option<Timestamp>, limit: u32) -> String {
    let name = name.map(|name| format!("&name={}", escape(name))).unwrap_or_default();
    let since = since.map(|since| format!("&since={}", escape(&since.to_string())));
    format!("limit={limit}{name}{}", since.unwrap_or_default())
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
        Meaning::Change(Box::new(Self { subject: subject.to_owned(), deed, request }))
    }
}

#[cfg(test)]
mod tests;
