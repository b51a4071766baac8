//! Entries proposed for a service, from the sources that are seen.

use std::time::Duration;

use hyper::Method;

use super::{
    args::LearnArgs,
    client::Client,
    console::Console,
    error::Error,
    interrupt::Interrupts,
    render,
    request::{Body, Request},
    run::print_json,
    when,
};
use crate::{
    api::{ErrorCode, MAX_WATCH, Proposal, ServiceState, WatchSettings, Watching},
    policy::{Name, service::Mode},
};

/// So many seconds longer than this waits the daemon notes, so that nothing but a mishap ends it before.
const SLACK: u64 = 2;

/// What is to be proposed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Learn {
    /// The service.
    pub(super) name: Name,
    /// For so many seconds its sources are noted before.
    pub(super) seconds: Option<u64>,
    /// Whether its own allowed entries are left out.
    pub(super) tighten: bool,
}

impl Learn {
    /// Reads what was typed.
    ///
    /// # Errors
    /// [`Error::Usage`]
    pub(super) fn of(args: &LearnArgs) -> Result<Self, Error> {
        let LearnArgs { name, lasting, tighten } = args;
        let name = name.parse::<Name>().map_err(|error| error.to_string());
        let seconds = lasting.as_deref().map(when::watching).transpose();
        match (name, seconds.map_err(|error| error.to_string())) {
            (Ok(name), Ok(seconds)) => Ok(Self { name, seconds, tighten: *tighten }),
            (name, seconds) => {
                Err(Error::Usage(name.err().into_iter().chain(seconds.err()).collect()))
            }
        }
    }
}

/// Proposes entries: a file for `replace`, or the daemon's document.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn learn(
    client: &Client,
    learn: &Learn,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let Learn { name, seconds, tighten } = learn;
    let is_lost = match seconds {
        Some(seconds) => !note(client, name, *seconds, json, console)?,
        None => false,
    };
    let path = format!("/v1/services/{name}/proposal?tighten={tighten}");
    let proposal: Proposal = client.send(&Request::get(path))?.document()?;
    if json {
        return print_json(&proposal, console);
    }
    render::proposal(&proposal, console.stdout)?;
    let mut warnings = warnings(&proposal, seconds.is_some());
    if is_lost {
        warnings.push(
            "the daemon was started anew or the service removed meanwhile: what was seen before that is lost".to_owned(),
        );
    }
    Ok(console.warn(&warnings)?)
}

/// Has the sources noted for a while, or until somebody has seen enough; `false` where somebody ended it before.
fn note(
    client: &Client,
    name: &Name,
    seconds: u64,
    json: bool,
    console: &mut Console<'_>,
) -> Result<bool, Error> {
    let interrupts = Interrupts::take(client)?;
    let path = format!("/v1/services/{name}/watch");
    let body = Body::json(&WatchSettings { seconds: (seconds + SLACK).min(MAX_WATCH) });
    let watching: Watching =
        client.send(&Request::to(Method::POST, path.clone(), body))?.document()?;
    if !json {
        let until = watching.since.checked_add(Duration::from_secs(seconds));
        let (time, until) = (render::span(seconds), render::time(until.unwrap_or(watching.until)));
        writeln!(
            console.stderr,
            "{name}: noting for {time}, until {until}, whose packets pass; Ctrl-C proposes from those so far"
        )?;
    }
    interrupts.wait(client, Duration::from_secs(seconds));
    let path = format!("{path}?id={}", watching.id);
    match client.send(&Request::to(Method::DELETE, path, Body::Empty)) {
        Err(Error::Refused(problem)) if problem.code == ErrorCode::NotFound => Ok(false),
        ended => ended.map(|_| true),
    }
}

/// What to know of a proposal that may be less than was hoped for.
fn warnings(proposal: &Proposal, has_waited: bool) -> Vec<String> {
    let Proposal { service, mode, state, noted, seen, .. } = proposal;
    let mut warnings = proposal.warnings.clone();
    if seen.packets == 0 && !noted && !has_waited {
        let who = match (mode, state) {
            (Mode::Enforce, ServiceState::Open) => format!("{service} is open, and its"),
            _ => format!("{service}'s"),
        };
        warnings.push(format!(
            "{who} sources are not noted, so only its established connections are known: `allowlist-ctl learn {service} --for 10m` notes them for a while"
        ));
    }
    if proposal.incomplete {
        warnings.push("so many sources were seen that some may be missing".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests;
