//! The audit trail.

use std::io::{self, Write};

use jiff::Timestamp;

use super::{differences, short_time};
use crate::{
    api::{AuditResult, AuditRow, AuditTrail, AuditVerification},
    cli::{
        console::{Paint, Style, clean},
        table::{Cell, NARROWEST, Table, WIDTH, wrap},
    },
};

/// Names and values that are told before the rest is counted.
const TOLD: usize = 3;
/// Names go on below where they are longer, in characters.
const NAMES_WIDTH: usize = 16;
/// Columns that are left for a text under its row, right of a time with its date.
const UNDER_WIDTH: usize = WIDTH - "2026-11-22T02:00:00Z  ".len();
/// Longest text about what was done, in characters; `--json` has all of it.
const LONGEST: usize = 240;

/// Writes rows of the trail; times of today are told without their date.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn audit(
    trail: &AuditTrail,
    now: Timestamp,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    if trail.rows.is_empty() {
        if let Some(near) = &trail.did_you_mean {
            let near = clean(near);
            return writeln!(out, "The audit trail has nothing of that; did you mean '{near}'?");
        }
        return writeln!(out, "The audit trail has nothing of that.");
    }
    // What was done stands in a column where there is room for one, and else under its row.
    if table(trail, now, Some(NARROWEST)).fits() {
        table(trail, now, Some(LONGEST)).write_wrapped(out, paint)
    } else {
        table(trail, now, None).write(out, paint)
    }
}

/// The rows with a column for what was done, which tells that many characters of it; or without one.
fn table(trail: &AuditTrail, now: Timestamp, what_column: Option<usize>) -> Table {
    let titles = ["TIME", "WHO", "ACTION", "NAME", "REVISION", "RESULT"];
    let mut table = Table::new(titles.into_iter().chain(what_column.map(|_| "WHAT")));
    for row in &trail.rows {
        let what = what(row);
        let cells = [
            Cell::text(short_time(row.time, now)),
            Cell::text(&row.author.name),
            Cell::text(&row.action),
            names(row),
            Cell::text(revision(row)),
            result(row.result),
        ];
        let what_cell = what_column.map(|room| Cell::text(clipped(&what, room)));
        table.row(cells.into_iter().chain(what_cell));
        if what_column.is_none() && what != "-" {
            for line in wrap(clean(&clipped(&what, LONGEST)).split(' '), " ", UNDER_WIDTH) {
                table.note(&line);
            }
        }
    }
    table
}

fn names(row: &AuditRow) -> Cell {
    if row.subjects.is_empty() {
        return Cell::text("-");
    }
    let names = first_few(row.subjects.iter().cloned(), row.subjects.len(), ", ");
    Cell::lines(wrap(names.split(' '), " ", NAMES_WIDTH))
}

fn revision(row: &AuditRow) -> String {
    match (row.from_revision, row.to_revision) {
        (from, to) if from == to => to.to_string(),
        (from, to) => format!("{from} -> {to}"),
    }
}

fn result(result: AuditResult) -> Cell {
    let style = match result {
        AuditResult::Done => Style::Plain,
        AuditResult::Refused => Style::Alarm,
        AuditResult::Failed => Style::Error,
    };
    Cell::text(result.word()).style(style)
}

/// The row's message, and what differs since.
fn what(row: &AuditRow) -> String {
    let differences = serde_json::from_value(row.details.clone());
    let differences =
        differences.map_or(String::new(), |found| differences::in_short(&found, TOLD));
    match (&row.message, differences.is_empty()) {
        (Some(message), true) => message.clone(),
        (Some(message), false) => format!("{message}: {differences}"),
        (None, false) => differences,
        (None, true) => "-".to_owned(),
    }
}

fn first_few(texts: impl Iterator<Item = String>, count: usize, separator: &str) -> String {
    let told = texts.take(TOLD).collect::<Vec<_>>().join(separator);
    match count.saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

fn clipped(text: &str, room: usize) -> String {
    match text.char_indices().nth(room) {
        None => text.to_owned(),
        Some(_) => text.chars().take(room - 3).chain("...".chars()).collect(),
    }
}

/// Writes whether the trail is whole, and the hash to compare with the daemon's log; or where it was altered first.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn verification(
    verification: &AuditVerification,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let AuditVerification { rows, first, last, pruned, head_hash, broken } = verification;
    if let Some(broken) = broken {
        let sentence = format!("The audit trail was altered at {broken}");
        return writeln!(out, "{}", paint.paint(Style::Error, &sentence));
    }
    let pruned = if *pruned == 0 { String::new() } else { format!(" ({pruned} were pruned)") };
    let rows = match (rows, first, last) {
        (1, Some(first), _) => format!("1 row, {first}"),
        (rows, Some(first), Some(last)) => format!("{rows} rows, {first} to {last}"),
        _ => format!("no rows{pruned}"),
    };
    writeln!(out, "The audit trail is {}: {rows}", paint.paint(Style::Good, "whole"))?;
    let Some(last) = last else { return Ok(()) };
    writeln!(
        out,
        "The daemon's log, too, should have row {last} with this hash:\n{}",
        clean(head_hash)
    )
}

#[cfg(test)]
mod tests;
