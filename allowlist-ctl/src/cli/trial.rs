//! A policy on trial.

use std::{io::BufRead, path::PathBuf, time::Duration};

use hyper::Method;

use super::{
    args::TryArgs,
    client::Client,
    console::Console,
    document,
    error::Error,
    file,
    interrupt::Interrupts,
    render,
    request::{Body, Request, with_query},
    run::print_json,
    when,
};
use crate::{
    api::{Trial, TrialReport},
    policy::Name,
};

/// What is to be put on trial.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The list whose entries it changes; none: it is a whole policy.
    list: Option<Name>,
    /// The file that it comes from.
    file: PathBuf,
    /// The list or the policy.
    body: Body,
    /// For how long.
    seconds: u64,
}

impl Candidate {
    /// Reads what was typed, and the file it names; `None` where the trial is to be ended.
    ///
    /// # Errors
    /// [`Error::Usage`], [`Error::File`], [`Error::Policy`]
    pub(super) fn of(args: &TryArgs, stdin: &mut dyn BufRead) -> Result<Option<Self>, Error> {
        let TryArgs { name, file: path, lasting, end: _ } = args;
        // Without a file, what is on trial is to be ended.
        let Some(path) = path else { return Ok(None) };
        let list = name.as_ref().map(|name| name.parse::<Name>()).transpose();
        let list = list.map_err(|error| error.to_string());
        let seconds = when::watching(lasting).map_err(|error| error.to_string());
        let (list, seconds) = match (list, seconds) {
            (Ok(list), Ok(seconds)) => (list, seconds),
            (list, seconds) => {
                let wrong = list.err().into_iter().chain(seconds.err());
                return Err(Error::Usage(wrong.collect()));
            }
        };
        let body = match list {
            Some(_) => Body::Text(file::read(path, stdin)?),
            None => Body::json(&document::read(path, stdin)?),
        };
        Ok(Some(Self { list, file: path.clone(), body, seconds }))
    }

    /// The command that makes it the policy in force.
    fn next(&self) -> String {
        let file = self.file.display();
        match &self.list {
            Some(list) => format!("allowlist-ctl replace {list} -f {file}"),
            None => format!("allowlist-ctl apply -f {file}"),
        }
    }
}

/// Puts a policy on trial, waits until that is over or somebody has seen enough, and tells what it would do otherwise.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn try_out(
    client: &Client,
    candidate: &Candidate,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let interrupts = Interrupts::take(client)?;
    let Candidate { list, body, seconds, .. } = candidate;
    let path = list.as_ref().map_or("/v1/trial".to_owned(), |list| format!("/v1/trial/{list}"));
    let mut query = vec![("seconds", seconds.to_string())];
    query.extend((console.session)().map(|session| ("session", session.to_string())));
    let request = Request::to(Method::POST, with_query(&path, &query), body.clone());
    let trial: Trial = client.send(&request)?.document()?;
    if !json {
        let (time, until) = (render::span(*seconds), render::time(trial.until));
        writeln!(
            console.stderr,
            "on trial for {time}, until {until}; no packet is touched; Ctrl-C ends it and tells what was seen"
        )?;
    }
    interrupts.wait(client, Duration::from_secs(*seconds));
    end(client, Some(trial.id), Some(&candidate.next()), json, console)
}

/// Ends a trial, by its id or whichever it is, and tells what the policy would do otherwise.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn end(
    client: &Client,
    id: Option<u64>,
    next: Option<&str>,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let path = "/v1/trial";
    let path = id.map_or(path.to_owned(), |id| with_query(path, &[("id", id.to_string())]));
    let report: TrialReport =
        client.send(&Request::to(Method::DELETE, path, Body::Empty))?.document()?;
    if json {
        return print_json(&report, console);
    }
    Ok(render::trial(&report, next, console.stdout, console.paint)?)
}

#[cfg(test)]
mod tests;
