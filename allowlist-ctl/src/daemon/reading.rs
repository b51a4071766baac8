//! The routes that only read.

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    answer::{Answer, query},
    listing,
    routes::{Answered, Office, caller, name},
    status,
};
use crate::{
    api::{AuditTrail, AuditVerification, Drops, ErrorCode, Problem, Revisions, Status},
    store::audit::Filter,
};

impl Office {
    /// Checks that whoever sent a request may read.
    fn viewer(&self, request: &Request) -> Result<(), Problem> {
        self.access.require_viewer(&caller(request)?)
    }
}

pub(super) async fn status(State(office): State<Office>, request: Request) -> Answered<Status> {
    office.viewer(&request)?;
    status::status(&office.shared).map(Answer)
}

fn json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

pub(super) async fn list_all(
    State(office): State<Office>,
    request: Request,
) -> Result<Response, Problem> {
    office.viewer(&request)?;
    let policy = office.shared.policy();
    let names = policy.services.keys().chain(policy.groups.keys()).cloned().collect();
    Ok(json(listing::listing(&policy, names, &office.shared.hits())))
}

pub(super) async fn list_one(
    State(office): State<Office>,
    Path(list): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    office.viewer(&request)?;
    let list = name(&list)?;
    let policy = office.shared.policy();
    if policy.entries(&list).is_none() {
        let message = format!("there is no service or group '{list}'");
        return Err(Problem::new(ErrorCode::NotFound, message)
            .hint("`allowlist-ctl status` shows those there are"));
    }
    Ok(json(listing::listing(&policy, vec![list], &office.shared.hits())))
}

pub(super) async fn export(
    State(office): State<Office>,
    request: Request,
) -> Result<Response, Problem> {
    office.viewer(&request)?;
    Ok(json(listing::document(&office.shared.policy())))
}

pub(super) async fn revisions(
    State(office): State<Office>,
    request: Request,
) -> Answered<Revisions> {
    office.viewer(&request)?;
    office.desk.revisions().await.map(Answer)
}

/// The query of a request for the audit trail.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AuditQuery {
    /// Only rows about this service, group or interface.
    name: Option<String>,
    /// Only rows of this time and later.
    since: Option<Timestamp>,
    /// At most so many, the latest.
    limit: Option<usize>,
}

/// So many rows of the audit trail are told unless somebody says otherwise, and at most.
const AUDIT_ROWS: usize = 1000;
const MAX_AUDIT_ROWS: usize = 100_000;

pub(super) async fn audit(State(office): State<Office>, request: Request) -> Answered<AuditTrail> {
    office.viewer(&request)?;
    let AuditQuery { name, since, limit } = query(request.uri())?;
    let limit = limit.unwrap_or(AUDIT_ROWS).min(MAX_AUDIT_ROWS);
    office.desk.audit(Filter { name, since, limit }).await.map(Answer)
}

pub(super) async fn verify_audit(
    State(office): State<Office>,
    request: Request,
) -> Answered<AuditVerification> {
    office.viewer(&request)?;
    office.desk.verify_audit().await.map(Answer)
}

/// The query of a request for drops.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DropsQuery {
    limit: Option<usize>,
}

pub(super) async fn drops(State(office): State<Office>, request: Request) -> Answered<Drops> {
    office.viewer(&request)?;
    let query: DropsQuery = query(request.uri())?;
    Ok(Answer(office.shared.drops.recent(query.limit.unwrap_or(usize::MAX))))
}

pub(super) async fn follow_drops(
    State(office): State<Office>,
    request: Request,
) -> Result<Response, Problem> {
    office.viewer(&request)?;
    let stream = office.shared.drops.follow();
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], stream).into_response())
}
