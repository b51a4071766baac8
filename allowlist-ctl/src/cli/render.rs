//! Replies as text for people.

mod changed;
mod list;
mod status;

pub(super) use self::{changed::changed, list::list, status::status};
use crate::{api::ServiceState, policy::Name};

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

const fn state_name(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Open => "open",
        ServiceState::Closed => "closed",
    }
}
