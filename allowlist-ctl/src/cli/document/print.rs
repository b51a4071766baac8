//! A policy, printed: an entry a line, so that versions of it are pleasant to compare.

use std::io::{self, Write};

use crate::api::{DocumentEntry, EntrySpec, GroupDocument, PolicyDocument, ServiceDocument};

const HEADING: &str = "\
# The policy of allowlistd, as `allowlist-ctl export` prints it. To make it so:
# allowlist-ctl apply -f FILE, which --dry-run only tells.
";

/// Prints a policy.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn print(policy: &PolicyDocument, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEADING.as_bytes())?;
    for (name, service) in &policy.service {
        // Names are bare keys of TOML.
        writeln!(out, "\n[service.{name}]")?;
        print_service(service, out)?;
    }
    for (name, group) in &policy.group {
        writeln!(out, "\n[group.{name}]")?;
        let GroupDocument { follow, entries } = group;
        if let Some(path) = follow {
            writeln!(out, "follow = {}", quoted(&path.to_string_lossy()))?;
        }
        print_entries(entries, out)?;
    }
    Ok(())
}

fn print_service(service: &ServiceDocument, out: &mut dyn Write) -> io::Result<()> {
    let ServiceDocument {
        ports,
        interfaces,
        addresses,
        include,
        mode,
        action,
        when_empty,
        entries,
    } = service;
    writeln!(out, "ports = {}", array(ports.iter().map(ToString::to_string)))?;
    let limits = [
        ("interfaces", interfaces.clone()),
        ("addresses", addresses.iter().map(ToString::to_string).collect()),
        ("include", include.iter().map(ToString::to_string).collect()),
    ];
    for (key, values) in limits.into_iter().filter(|(_, values)| !values.is_empty()) {
        writeln!(out, "{key} = {}", array(values.into_iter()))?;
    }
    writeln!(out, "mode = \"{}\"", mode.word())?;
    writeln!(out, "action = \"{}\"", action.word())?;
    writeln!(out, "when_empty = \"{}\"", when_empty.word())?;
    print_entries(entries, out)
}

fn print_entries(entries: &[DocumentEntry], out: &mut dyn Write) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(out, "entries = []");
    }
    writeln!(out, "entries = [")?;
    for entry in entries {
        match entry {
            DocumentEntry::Bare(entry) => writeln!(out, "    {},", quoted(entry))?,
            DocumentEntry::Full(EntrySpec { entry, comment, expires_at }) => {
                write!(out, "    {{ entry = {}", quoted(entry))?;
                if let Some(comment) = comment {
                    write!(out, ", comment = {}", quoted(comment))?;
                }
                if let Some(end) = expires_at {
                    write!(out, ", expires_at = \"{end}\"")?;
                }
                writeln!(out, " }},")?;
            }
        }
    }
    writeln!(out, "]")
}

fn array(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.map(|value| quoted(&value)).collect();
    format!("[{}]", values.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
