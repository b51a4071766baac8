//! The state of everything, for a terminal of 80 columns.

mod engine;
mod groups;
mod observed;
mod open;
mod past;
mod services;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use self::{
    engine::engine, groups::groups, observed::observed, open::open, past::past, services::services,
};
use super::{FIRST_STEP, span, time, without_entries};
use crate::{
    api::{Degraded, InterfaceState, InterfaceStatus, Pending, ServiceState, Status, Traffic},
    cli::{
        console::{Paint, Style, clean},
        table::{Cell, Table, WIDTH, wrap},
    },
};

/// Columns that ports may take before they go on below.
const PORTS_WIDTH: usize = 16;
/// The same where all columns are there.
const NARROW_PORTS_WIDTH: usize = 10;
/// Columns that a line under a service may take.
const NOTE_WIDTH: usize = 60;

/// Writes the state of everything.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn status(status: &Status, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
    let Status { version, revision, store, .. } = status;
    for Degraded { what, message, since } in &status.degraded {
        let what = what.word().to_uppercase();
        let line = format!("DEGRADED: {what}, since {}: {message}", time(*since));
        for line in lines(&line, "  ") {
            writeln!(out, "{}", paint.paint(Style::Error, &line))?;
        }
    }
    if !status.degraded.is_empty() {
        writeln!(out, "What is enforced stays enforced, but for what is said here.")?;
        writeln!(out)?;
    }
    let (version, store) = (clean(version), clean(store));
    writeln!(out, "allowlistd {version}, revision {revision}, store {store}")?;
    writeln!(out)?;
    if let Some(pending) = &status.pending {
        for line in waiting(pending) {
            writeln!(out, "{}", paint.paint(Style::Alarm, &clean(&line)))?;
        }
        writeln!(out)?;
    }
    if open(&status.services, out, paint)? {
        writeln!(out)?;
    }
    for line in observed(status) {
        writeln!(out, "{}\n", clean(&line))?;
    }
    if status.interfaces.is_empty() {
        writeln!(out, "No interface has the filter.")?;
    } else {
        interfaces(&status.interfaces).write_wrapped(out, paint)?;
    }
    writeln!(out)?;
    if status.services.is_empty() {
        writeln!(out, "{FIRST_STEP}")?;
    } else {
        traffic(status, out, paint)?;
    }
    if let Some(groups) = groups(&status.groups) {
        writeln!(out)?;
        groups.write_wrapped(out, paint)?;
    }
    if let Some(state) = &status.engine {
        writeln!(out)?;
        for line in lines(&engine(state, &status.services), "") {
            writeln!(out, "{line}")?;
        }
    }
    if let Some(past) = past(&status.past_filter) {
        writeln!(out)?;
        for line in lines(&past, "") {
            writeln!(out, "{line}")?;
        }
    }
    if !status.warnings.is_empty() {
        writeln!(out)?;
    }
    let indent = " ".repeat("warning: ".len());
    for warning in &status.warnings {
        for (index, line) in lines(warning, &indent).into_iter().enumerate() {
            if index == 0 {
                write!(out, "{} ", paint.paint(Style::Alarm, "warning:"))?;
            }
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// The services and what their packets came to, and those of no service.
fn traffic(status: &Status, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
    services(&status.services).write(out, paint)?;
    let are_closed = status.services.iter().filter(|service| service.state == ServiceState::Closed);
    for service in are_closed.filter(|service| service.entries == 0) {
        let sentence = without_entries(&service.name, service.state);
        writeln!(out, "{}", paint.paint(Style::Alarm, &sentence))?;
    }
    writeln!(out)?;
    writeln!(out, "Packets of no service: {}", unmatched(&status.unmatched))?;
    let came = &status.last_minute.unmatched;
    if came.values().any(|traffic| traffic.packets > 0) {
        writeln!(out, "  last minute: {}", unmatched(came))?;
    }
    let since = time(status.counting_since);
    writeln!(out, "All are counted since {since}, or since the service was made.")
}

/// A text on lines for a terminal, made harmless. What is to be typed, in backquotes, stays on one line.
fn lines(text: &str, indent: &str) -> Vec<String> {
    let text = clean(text);
    let mut is_typed = false;
    let words = text.split(|c: char| {
        is_typed ^= c == '`';
        c == ' ' && !is_typed
    });
    let lines = wrap(words, " ", WIDTH - indent.len()).into_iter().enumerate();
    lines.map(|(index, line)| if index == 0 { line } else { format!("{indent}{line}") }).collect()
}

/// The change that is taken back unless somebody confirms it.
fn waiting(pending: &Pending) -> [String; 2] {
    let Pending { what, by, revision, seconds_left, .. } = pending;
    if *seconds_left == 0 {
        return [
            format!("NOT CONFIRMED: '{what}' of {}, is being taken back", by.name),
            format!("revision {revision}; its time is over: make the change again"),
        ];
    }
    [
        format!("TO BE CONFIRMED: '{what}' of {}, taken back in {}", by.name, span(*seconds_left)),
        format!(
            "revision {revision}; keep it: allowlist-ctl confirm, undo it: allowlist-ctl rollback"
        ),
    ]
}

fn interfaces(interfaces: &[InterfaceStatus]) -> Table {
    let has_reasons = interfaces.iter().any(|interface| interface.reason.is_some());
    let mut titles = vec!["INTERFACE", "STATE", "MODE", "PROGRAM"];
    titles.extend(has_reasons.then_some("REASON"));
    let mut table = Table::new(titles);
    for interface in interfaces {
        let InterfaceStatus { name, state, mode, program_id, reason, .. } = interface;
        let mut row = vec![
            Cell::text(name),
            interface_state(*state),
            Cell::text(mode.as_deref().unwrap_or("-")),
            Cell::number(program_id.map_or("-".to_owned(), |id| id.to_string())),
        ];
        if has_reasons {
            row.push(Cell::text(reason.as_deref().unwrap_or("-")));
        }
        table.row(row);
    }
    table
}

fn interface_state(state: InterfaceState) -> Cell {
    let style = match state {
        InterfaceState::Attached => Style::Good,
        InterfaceState::Missing | InterfaceState::Detached => Style::Alarm,
        InterfaceState::Failed => Style::Error,
    };
    Cell::text(state.word()).style(style)
}

/// What became of packets of no service; their kinds are told by JSON.
fn unmatched(counts: &BTreeMap<String, Traffic>) -> String {
    let (mut passed, mut unreadable, mut dropped) = (0_u64, 0_u64, 0_u64);
    for (kind, Traffic { packets, .. }) in counts {
        let count = match kind.as_str() {
            kind if kind.ends_with("_dropped") => &mut dropped,
            kind if kind.ends_with("_passed") => &mut unreadable,
            _ => &mut passed,
        };
        *count = count.saturating_add(*packets);
    }
    let mut told = vec![format!("{passed} passed")];
    let counts = [(unreadable, "unreadable passed"), (dropped, "unreadable dropped")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    told.extend(counts.map(|(count, what)| format!("{count} {what}")));
    told.join(", ")
}

#[cfg(test)]
mod tests;
