//! Replies as text for people.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the command that shows the trail is not there yet")
)]
mod audit;
mod changed;
mod drops;
mod list;
mod status;

use jiff::Timestamp;

pub(super) use self::{
    changed::changed,
    drops::{LiveDrops, drops},
    list::list,
    status::status,
};
use crate::{
    api::ServiceState,
    policy::{Name, service::Mode},
};

/// What to type where nothing is protected.
const FIRST_STEP: &str =
    "Nothing is protected yet. Protect a port: allowlist-ctl protect redis tcp/6379";

/// Whom a service without entries admits, as every command that shows it says it.
fn without_entries(name: &Name, state: ServiceState) -> String {
    match state {
        ServiceState::Open => format!("No entries: {name} is accessible to everyone."),
        ServiceState::Closed => format!("No entries: {name} is accessible to no one."),
    }
}

/// A moment in UTC, to the second (RFC 3339).
fn time(moment: Timestamp) -> String {
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

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Monitor => "monitor",
        Mode::Off => "off",
    }
}

const fn state_name(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Open => "open",
        ServiceState::Closed => "closed",
    }
}
