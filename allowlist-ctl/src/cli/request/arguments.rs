//! Arguments, read.

use std::{
    fmt::{Display, Write as _},
    path::{self, Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    api::{EntrySpec, EntrySpecs, ServiceSettings},
    cli::{
        args::{EndArgs, EntryArgs, ProtectArgs},
        error::Error,
        when,
    },
    host::{MAX_INTERFACE_NAME, is_interface_name},
    policy::{
        Name, Prefix,
        entry::{parse_comment, parse_keys},
        prefix::InvalidPrefix,
    },
};

/// Arguments that cannot be read, collected so that all of them are named.
#[derive(Default)]
pub(super) struct Wrong(Vec<String>);

impl Wrong {
    /// What was read, or nothing where that failed, which is kept.
    pub(super) fn take<T, E: Display>(&mut self, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.0.push(error.to_string())).ok()
    }

    /// Whether all could be read.
    ///
    /// # Errors
    /// [`Error::Usage`]
    pub(super) fn none(&mut self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Usage(std::mem::take(&mut self.0))) }
    }
}

/// What a service is to be.
pub(super) fn settings(args: &ProtectArgs, wrong: &mut Wrong) -> ServiceSettings {
    let ports = args.ports.iter().filter_map(|ports| wrong.take(ports.parse())).collect();
    ServiceSettings {
        ports,
        interfaces: listed("--interface", "all", &args.interfaces, interface, wrong),
        addresses: listed("--address", "any", &args.addresses, address, wrong),
        include: listed("--include", "none", &args.include, str::parse::<Name>, wrong),
        mode: args.mode.map(Into::into),
        action: args.action.map(Into::into),
        when_empty: args.when_empty.map(Into::into),
    }
}

/// Entries to remove.
pub(super) fn keys(entries: &EntryArgs, wrong: &mut Wrong) -> EntrySpecs {
    specs(entries, None, None, wrong)
}

/// Entries to add.
pub(super) fn lasting(
    entries: &EntryArgs,
    comment: Option<&str>,
    end: &EndArgs,
    now: Timestamp,
    wrong: &mut Wrong,
) -> EntrySpecs {
    let lasting = end.lasting.as_ref().map(|span| when::end_after(span, now));
    let end = lasting.or_else(|| end.until.as_ref().map(|moment| when::end_at(moment, now)));
    let end = end.and_then(|end| wrong.take(end));
    specs(entries, comment, end, wrong)
}

fn specs(
    entries: &EntryArgs,
    comment: Option<&str>,
    expires_at: Option<Timestamp>,
    wrong: &mut Wrong,
) -> EntrySpecs {
    // An empty one is sent, too: it takes away the one that is there.
    let comment = comment.and_then(|comment| wrong.take(parse_comment(comment)));
    let comment = comment.map(|comment| comment.as_deref().unwrap_or_default().to_owned());
    let entries = entries.cidrs.iter().filter_map(|cidr| {
        let cidr = cidr.trim();
        let mark = if entries.except && !cidr.starts_with('!') { "!" } else { "" };
        let entry = format!("{mark}{cidr}");
        wrong.take(parse_keys(&entry))?;
        Some(EntrySpec { entry, comment: comment.clone(), expires_at })
    });
    EntrySpecs { entries: entries.collect() }
}

/// What an option lists; nothing typed leaves it as it is, and one word empties the list.
fn listed<T, E: Display>(
    option: &str,
    emptying: &str,
    typed: &[String],
    read: impl Fn(&str) -> Result<T, E>,
    wrong: &mut Wrong,
) -> Option<Vec<T>> {
    if typed.iter().any(|text| text == emptying) {
        if typed.len() > 1 {
            wrong.0.push(format!("'{option} {emptying}' stands for none of them: give it alone"));
        }
        return Some(Vec::new());
    }
    let list = typed.iter().filter_map(|text| wrong.take(read(text))).collect();
    (!typed.is_empty()).then_some(list)
}

/// The name of an interface.
fn interface(name: &str) -> Result<String, String> {
    check_interface(name).map(|()| name.to_owned())
}

/// A destination; no range, not even one that is just a prefix.
fn address(text: &str) -> Result<Prefix, InvalidPrefix> {
    let prefix = text.parse()?;
    if text.contains('-') { Err(InvalidPrefix::NotOne(text.to_owned())) } else { Ok(prefix) }
}

/// The path of an interface, escaped.
pub(super) fn interface_path(name: &str, wrong: &mut Wrong) -> String {
    wrong.take(check_interface(name));
    format!("/v1/interfaces/{}", escape(name))
}

/// A text as a part of a path or query.
pub(super) fn escape(text: &str) -> String {
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

fn check_interface(name: &str) -> Result<(), String> {
    if !is_interface_name(name) {
        return Err(format!(
            "'{name}' is no name of an interface: use one that `ip link` shows, at most {MAX_INTERFACE_NAME} bytes"
        ));
    }
    Ok(())
}

/// The file that a group is to follow, from / on; an empty path stands for none.
pub(super) fn follow(file: &Path) -> Result<PathBuf, String> {
    if file == Path::new("none") {
        return Ok(PathBuf::new());
    }
    let shown = file.display();
    let path = path::absolute(file).map_err(|error| format!("'{shown}' is no file: {error}"))?;
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(path),
        _ => Err(format!("'{shown}' is no line of text: give the file another name")),
    }
}
