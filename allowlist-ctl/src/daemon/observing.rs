//! The routes by which packets are watched. They change no policy, so the audit trail has nothing of them.

use axum::extract::{Request, State};
use tokio::task::spawn_blocking;

use super::{
    answer::{Answer, NoQuery, body, query, read_json},
    learning,
    routes::{Answered, Office, Subject, caller, name},
};
use crate::api::{
    ErrorCode, MAX_BODY, MAX_WATCH, Problem, Proposal, ProposalQuery, WatchQuery, WatchSettings,
    Watching,
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
) -> Answered<Watching> {
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
    // The kernel is asked for much, which must not hold up other requests.
    let shared = office.shared;
    let proposal = spawn_blocking(move || learning::propose(&shared, &service, tighten)).await;
    proposal.map_err(|error| Problem::new(ErrorCode::Failed, error))?.map(Answer)
}
