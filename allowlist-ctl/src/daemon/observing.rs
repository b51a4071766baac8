//! The routes by which packets are watched. They change no policy, so the audit trail has nothing of them.

use std::sync::Arc;

use axum::extract::{Request, State};

use super::{
    answer::{Answer, NoQuery, at_length, body, query, read_json},
    changing::{entries_of, is_text},
    document::plan,
    learning,
    office::{Answered, Office, Subject, caller, name},
    owner::Noted,
};
use crate::{
    api::{
        EndedWatches, ErrorCode, MAX_BODY, MAX_LIST_BODY, MAX_WATCH, Problem, Proposal,
        ProposalQuery, Trial, TrialQuery, TrialReport, WatchQuery, WatchSettings, Watching,
    },
    policy::change::Change,
};

/// Checks how long something is to be watched.
fn check_length(seconds: u64) -> Result<u64, Problem> {
    if (1..=MAX_WATCH).contains(&seconds) {
        return Ok(seconds);
    }
    let message = format!("{seconds} seconds are no time to watch for");
    Err(Problem::new(ErrorCode::Invalid, message)
        .hint(format!("give 1 to {MAX_WATCH} seconds, a week")))
}

pub(super) async fn watch(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Watching> {
    let (caller, service) = (caller(&request)?, name(&service)?);
    office.access.require_editor(&caller, &service)?;
    let NoQuery {} = query(request.uri())?;
    let WatchSettings { seconds } = read_json(&body(request, MAX_BODY).await?)?;
    let seconds = check_length(seconds)?;
    office.desk.watch(service, seconds, caller).await.map(Answer)
}

pub(super) async fn end_watch(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<EndedWatches> {
    let (caller, service) = (caller(&request)?, name(&service)?);
    office.access.require_editor(&caller, &service)?;
    let WatchQuery { id } = query(request.uri())?;
    office.desk.end_watch(service, id).await.map(Answer)
}

pub(super) async fn proposal(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Proposal> {
    office.access.require_viewer(&caller(&request)?)?;
    let service = name(&service)?;
    let ProposalQuery { tighten } = query(request.uri())?;
    let shared = office.shared;
    at_length(move || learning::propose(&shared, &service, tighten)).await.map(Answer)
}

pub(super) async fn try_policy(State(office): State<Office>, request: Request) -> Answered<Trial> {
    let read = |body: &[u8]| Ok(Change::Apply(plan(read_json(body)?)?));
    try_out(&office, request, read).await
}

pub(super) async fn try_list(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Answered<Trial> {
    let (name, is_text) = (name(&list), is_text(&request));
    let read =
        move |body: &[u8]| Ok(Change::Replace { name: name?, entries: entries_of(body, is_text)? });
    try_out(&office, request, read).await
}

/// Puts on trial what the policy would be after a change.
async fn try_out(
    office: &Office,
    request: Request,
    read: impl FnOnce(&[u8]) -> Result<Change, Problem> + Send + 'static,
) -> Answered<Trial> {
    let caller = caller(&request)?;
    office.access.require_admin(&caller)?;
    let settings: TrialQuery = query(request.uri())?;
    check_length(settings.seconds)?;
    let _turn = office.turn(&caller).await?;
    let body = body(request, MAX_LIST_BODY).await?;
    let change = at_length(move || read(&body)).await?;
    office.desk.try_out(change, settings, caller).await.map(Answer)
}

pub(super) async fn trial(State(office): State<Office>, request: Request) -> Answered<TrialReport> {
    office.access.require_viewer(&caller(&request)?)?;
    let NoQuery {} = query(request.uri())?;
    let sightings = Arc::clone(&office.shared.sightings);
    let noted = at_length(move || Noted::read(&sightings)).await?;
    office.desk.trial_report(noted).await.map(Answer)
}

pub(super) async fn end_trial(
    State(office): State<Office>,
    request: Request,
) -> Answered<TrialReport> {
    office.access.require_admin(&caller(&request)?)?;
    let WatchQuery { id } = query(request.uri())?;
    office.desk.end_trial(id).await.map(Answer)
}
