//! What a policy on trial would do otherwise.

use std::io::{self, Write};

use jiff::Timestamp;

use super::{count, cut_lines, join, short_time, span};
use crate::{
    api::{TrialReport, TrialSource, WouldBe},
    cli::{
        console::{Paint, Style, clean},
        table::{Cell, Table},
    },
};

/// So many sources of each kind are told; JSON has all of them.
const TOLD: usize = 20;

/// Writes the report, and the command that is `next` where it is known.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn trial(
    report: &TrialReport,
    next: Option<&str>,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let TrialReport { trial, differs, revision, packets, sources, cuts, opens, .. } = report;
    let ended = report.ended.unwrap_or_else(Timestamp::now);
    // A clock may have been set back meanwhile.
    let seconds = u64::try_from(ended.duration_since(trial.since).as_secs()).unwrap_or_default();
    let time = span(seconds);
    let what = clean(&trial.what).into_owned();
    let both = if *packets == 1 { "1 packet was" } else { &format!("{packets} packets were") };
    writeln!(out, "'{what}' was on trial for {time}; {both} judged by both policies.")?;
    if *revision != trial.revision {
        let line = format!(
            "The policy in force has moved on from revision {} to {revision}: what was on trial has nothing of that.",
            trial.revision
        );
        writeln!(out, "{}", paint.paint(Style::Alarm, &line))?;
    }
    if !differs {
        writeln!(out, "It is the policy that was in force when it began.")?;
    }
    for (would, title, packets) in [
        (WouldBe::Dropped, "Would be dropped", report.newly_dropped),
        (WouldBe::Admitted, "Would be admitted", report.newly_admitted),
    ] {
        let of: Vec<&TrialSource> = sources.iter().filter(|one| one.would == would).collect();
        if of.is_empty() && packets == 0 {
            continue;
        }
        let packets =
            if packets == 1 { "1 packet".to_owned() } else { format!("{packets} packets") };
        let heading = format!("{title}: {}, {packets}", count(of.len(), "source", "sources"));
        writeln!(out, "\n{}", paint.paint(style(would), &heading))?;
        table(&of, ended).write_wrapped(out, paint)?;
        let more = of.len().saturating_sub(TOLD);
        if more > 0 {
            let more = count(more, "more source", "more sources");
            writeln!(out, "... and {more}; --json has all of them")?;
        }
    }
    if !cuts.is_empty() {
        let heading = format!(
            "Would be cut: {}",
            count(cuts.len(), "established connection", "established connections")
        );
        writeln!(out, "\n{}", paint.paint(Style::Alarm, &heading))?;
        for line in cut_lines(cuts) {
            writeln!(out, "{}", clean(&line))?;
        }
    }
    if !opens.is_empty() {
        let line = format!("Would be accessible to everyone: {}", join(opens, ", "));
        writeln!(out, "\n{}", paint.paint(Style::Alarm, &line))?;
    }
    if sources.is_empty() && cuts.is_empty() && report.newly_dropped + report.newly_admitted == 0 {
        writeln!(out, "\nNothing would change for anybody seen in {time}.")?;
    }
    if report.incomplete {
        writeln!(out, "\nSo many sources were seen that some may be missing.")?;
    }
    match next {
        Some(next) => writeln!(out, "\nTo enforce it: {}", clean(next)),
        None => Ok(()),
    }
}

const fn style(would: WouldBe) -> Style {
    match would {
        WouldBe::Dropped => Style::Alarm,
        WouldBe::Admitted => Style::Heading,
    }
}

fn table(sources: &[&TrialSource], now: Timestamp) -> Table {
    let mut table = Table::new(["SOURCE", "SERVICE", "PACKETS", "FIRST", "LAST"]);
    for one in sources.iter().take(TOLD) {
        let service = one.service.as_ref().map_or("(unreadable)", |name| name.as_str());
        table.row([
            Cell::text(one.source.to_string()),
            Cell::text(service),
            Cell::number(one.packets),
            Cell::text(short_time(one.first, now)),
            Cell::text(short_time(one.last, now)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests;
