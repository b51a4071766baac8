//! Replies as text for people.

mod audit;
mod changed;
mod check;
mod cuts;
mod differences;
mod drops;
mod list;
mod proposal;
mod revisions;
mod status;
mod trial;

use jiff::Timestamp;

pub(super) use self::{
    audit::{audit, verification},
    changed::changed,
    check::{check_line, checks, fragment_name},
    cuts::cut_lines,
    drops::{LiveDrops, drop_reason, drops},
    list::list,
    proposal::proposal,
    revisions::revisions,
    status::status,
    trial::trial,
};
use crate::{
    api::ServiceState,
    policy::{Name, Prefix},
};

/// What to type where nothing is protected.
const FIRST_STEP: &str =
    "Nothing is protected yet. Protect a port: allowlist-ctl protect redis tcp/6379";

/// Whom a service without entries admits, as every command that shows it says it.
fn without_entries(name: &Name, state: ServiceState) -> String {
    match state {
        ServiceState::Open => format!("No entries: {name} is accessible to everyone."),
        ServiceState::Closed => format!("No entries: {name} is accessible to trusted alone."),
    }
}

/// A moment in UTC, to the second (RFC 3339).
pub(super) fn time(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A moment in UTC to the second, without the date where that is today's.
fn short_time(moment: Timestamp, now: Timestamp) -> String {
    let full = time(moment);
    match full.split_once('T') {
        Some((date, of_day)) if time(now).starts_with(date) => of_day.to_owned(),
        _ => full,
    }
}

/// A span of time in seconds, by its two largest units.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    if seconds <= 120 {
        return format!("{seconds} s");
    }
    let mut rest = seconds;
    let parts = UNITS.into_iter().map(|(unit, length)| {
        let count = rest / length;
        rest %= length;
        (count, unit)
    });
    let parts = parts.skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    parts.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// A number of things, in words.
fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// Things one after another, with something between them.
fn join<T: ToString>(things: impl IntoIterator<Item = T>, separator: &str) -> String {
    things.into_iter().map(|thing| thing.to_string()).collect::<Vec<_>>().join(separator)
}

/// A prefix, a single address without its length.
fn destination(prefix: &Prefix) -> String {
    let net = prefix.net();
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_told_by_its_two_largest_units() {
        let table = [
            (0, "0 s"),
            (60, "60 s"),
            (120, "120 s"),
            (121, "2m 1s"),
            (300, "5m"),
            (9000, "2h 30m"),
            (3601, "1h"),
            (604_800, "7d"),
            (100_000, "1d 3h"),
        ];
        for (seconds, expected) in table {
            assert_eq!(span(seconds), expected);
        }
    }
}
