//! How packets would be judged, and why.

use std::io::{self, Write};

use super::{FIRST_STEP, time};
use crate::{
    api::{Check, CheckReason, CheckVerdict, CheckedEntry, Checks, Fragment, ListedBy},
    cli::{
        console::{Paint, Style, clean},
        table::{Cell, Table},
    },
    policy::{EntryKey, Kind},
};

/// Writes how packets would be judged: each with its reasons where it was asked for one port, and else a line for each
/// service.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn checks(
    checks: &Checks,
    explained: bool,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    if checks.checks.is_empty() {
        return writeln!(out, "{FIRST_STEP}");
    }
    if !explained {
        return table(&checks.checks).write_wrapped(out, paint);
    }
    for check in &checks.checks {
        let line = check_line(check);
        writeln!(out, "{}", paint.paint(style(check), &clean(&line)))?;
        for reason in reasons(check) {
            writeln!(out, "  {}", clean(&reason))?;
        }
    }
    Ok(())
}

/// The word for a fragment.
pub(in crate::cli) const fn fragment_name(fragment: Fragment) -> &'static str {
    match fragment {
        Fragment::First => "first",
        Fragment::Later => "later",
    }
}

/// A packet and its verdict, in a line.
pub(in crate::cli) fn check_line(check: &Check) -> String {
    let Check { address, port, interface, verdict, service, .. } = check;
    let to = service.as_ref().map_or_else(|| port.to_string(), |name| format!("{name} ({port})"));
    let on = interface.as_ref().map(|interface| format!(" on {interface}")).unwrap_or_default();
    let verdict = match verdict {
        CheckVerdict::Admitted if check.would_be_dropped => "admitted by mode monitor alone",
        verdict => verdict.word(),
    };
    format!("{address} to {to}{on}: {verdict}")
}

fn style(check: &Check) -> Style {
    match check.verdict {
        CheckVerdict::Dropped => Style::Error,
        CheckVerdict::Admitted if check.would_be_dropped => Style::Alarm,
        CheckVerdict::Admitted => match check.reason {
            CheckReason::Open | CheckReason::Off | CheckReason::NotFiltered => Style::Alarm,
            _ => Style::Good,
        },
    }
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new(vec!["SERVICE", "PORT", "VERDICT", "WHY"]);
    for check in checks {
        let verdict = match check.verdict {
            CheckVerdict::Admitted if check.would_be_dropped => "monitored",
            verdict => verdict.word(),
        };
        table.row(vec![
            Cell::text(check.service.as_ref().map_or("-", |name| name.as_str())),
            Cell::text(check.port.to_string()),
            Cell::text(verdict).style(style(check)),
            Cell::text(why(check)),
        ]);
    }
    table
}

/// Why, in a few words.
fn why(check: &Check) -> String {
    match (&check.entry, check.reason) {
        (Some(entry), _) => {
            let comment = entry.entry.comment.as_deref();
            let comment = comment.map(|comment| format!(": {comment}")).unwrap_or_default();
            format!("{}{comment}", told(entry))
        }
        (None, reason) => short_reason(reason).to_owned(),
    }
}

const fn short_reason(reason: CheckReason) -> &'static str {
    match reason {
        CheckReason::Allowed => "an entry allows it",
        CheckReason::Excepted => "an except denies it",
        CheckReason::NotCovered => "no entry covers it",
        CheckReason::Open => "no entries: accessible to everyone",
        CheckReason::NoService => "the port belongs to no service there",
        CheckReason::Off => "the service is off",
        CheckReason::NotFiltered => "the filter is not there",
        CheckReason::LaterFragment => "later fragments pass",
        CheckReason::FragmentRefused => "no service of the strict interface admits its source",
    }
}

/// An entry and where it stands.
fn told(entry: &CheckedEntry) -> String {
    let CheckedEntry { list, by, entry } = entry;
    let key = EntryKey::manual(entry.prefix, entry.kind);
    let list = match by {
        ListedBy::Own => list.to_string(),
        ListedBy::Group => format!("group {list}"),
        ListedBy::Trusted => "trusted".to_owned(),
    };
    format!("{key} of {list}")
}

/// Why, a sentence a line.
fn reasons(check: &Check) -> Vec<String> {
    let Check { address, service, interface, entry, .. } = check;
    let name = service.as_ref().map_or("the service", |name| name.as_str());
    let mut reasons = Vec::new();
    let add = format!("`allowlist-ctl add {name} {address}` admits it");
    match (check.reason, entry) {
        (CheckReason::Allowed, Some(entry)) => {
            reasons.push(format!("{} allows it", told(entry)));
            reasons.extend(about(entry));
        }
        (CheckReason::Excepted, Some(entry)) => {
            reasons.push(format!("{} denies it", told(entry)));
            reasons.extend(about(entry));
            let net = entry.entry.prefix.net();
            if net.prefix_len() == net.max_prefix_len() {
                // No entry is more specific, and of equal ones the except decides.
                let (list, key) = (&entry.list, EntryKey::manual(entry.entry.prefix, Kind::Except));
                reasons.push(format!("`allowlist-ctl remove {list} '{key}'` takes it away"));
            } else {
                reasons.push(format!("{add}, for it is more specific"));
            }
        }
        (CheckReason::NotCovered, _) => {
            reasons.push("no entry covers it".to_owned());
            reasons.push(add);
        }
        (CheckReason::Open, _) => {
            reasons.push(format!("No entries: {name} is accessible to everyone."));
        }
        (CheckReason::NoService, _) => {
            let there = interface.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
            reasons.push(format!("{} belongs to no service{there}: it is not judged", check.port));
            reasons.push(format!("`allowlist-ctl protect NAME {}` protects it", check.port));
        }
        (CheckReason::Off, _) => {
            reasons.push(format!("{name} is off: its packets are not judged"));
            reasons.push(format!("`allowlist-ctl mode {name} enforce` judges them"));
        }
        (CheckReason::NotFiltered, _) => {
            let (there, which) = interface
                .as_ref()
                .map_or(("any interface that it is on", "IF"), |name| (name.as_str(), name));
            reasons.push(format!("the filter is not on {there}: nothing is judged"));
            reasons.push(format!("`allowlist-ctl attach {which}` puts it there"));
        }
        (reason, _) => reasons.push(short_reason(reason).to_owned()),
    }
    reasons.extend(check.next.as_ref().map(|next| {
        let verb = if next.entry.kind == Kind::Allow { "allow" } else { "deny" };
        format!("without that, {} would {verb} it", told(next))
    }));
    if let Some(mode) = check.mode.filter(|_| check.would_be_dropped) {
        let mode = mode.word();
        reasons.push(format!("{name} is in mode {mode}; in mode enforce it would be dropped"));
    }
    reasons
}

/// What else there is to say of an entry.
fn about(entry: &CheckedEntry) -> Vec<String> {
    let entry = &entry.entry;
    let mut lines = Vec::new();
    lines.extend(entry.comment.as_ref().map(|comment| format!("  comment:  {comment}")));
    lines.push(format!("  added:    {} by {}", time(entry.added_at), entry.added_by.name));
    lines.extend(
        entry.origin.strip_prefix("file:").map(|path| format!("  from:     the file {path}")),
    );
    lines.extend(entry.expires_at.map(|end| format!("  expires:  {}", time(end))));
    let hit = entry.last_hit.map_or_else(|| "never yet".to_owned(), time);
    lines.push(format!("  last hit: {hit}"));
    lines
}

#[cfg(test)]
mod tests;
