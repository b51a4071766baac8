//! The routes that only read.

use axum::{
    body::Body,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use http_body_util::StreamBody;
use hyper::body::Bytes;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{
    answer::{Answer, NoQuery, Reply, Streamed, at_length, body, query, read_json},
    listing, metrics,
    office::{Answered, Office, Subject, caller, name},
    status,
};
use crate::{
    api::{
        Answers, AuditTrail, AuditVerification, ChangeEvent, CheckAnswer, Checks, DroppedPacket,
        Drops, ErrorCode, EventKinds, InterfaceStatus, Listing, LostEvents, MAX_BODY,
        MAX_QUESTIONS, PolicyDocument, Problem, Question, Questions, Revisions, Status,
    },
    policy::{Name, near::nearest},
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
    // It reads many counters, and now and then all sockets.
    at_length(move || status::status(&office.shared)).await.map(Answer)
}

pub(super) async fn list_all(
    State(office): State<Office>,
    request: Request,
) -> Result<Streamed<Listing>, Problem> {
    office.viewer(&request)?;
    let policy = office.shared.policy();
    let names = policy.services.keys().chain(policy.groups.keys()).cloned().collect();
    Ok(Streamed::new(listing::listing(&policy, names, &office.shared.hits())))
}

pub(super) async fn list_one(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Result<Streamed<Listing>, Problem> {
    office.viewer(&request)?;
    let list = name(&list)?;
    let policy = office.shared.policy();
    if policy.entries(&list).is_none() {
        let unknown = policy.unknown_list(&list);
        let message = format!("there is no service or group {unknown}");
        let problem = Problem::new(ErrorCode::NotFound, message);
        if unknown.has_near() {
            return Err(problem);
        }
        return Err(problem.hint("`allowlist-ctl status` shows those there are"));
    }
    Ok(Streamed::new(listing::listing(&policy, vec![list], &office.shared.hits())))
}

pub(super) async fn export(
    State(office): State<Office>,
    request: Request,
) -> Result<Streamed<PolicyDocument>, Problem> {
    office.viewer(&request)?;
    Ok(Streamed::new(listing::document(&office.shared.policy())))
}

pub(super) async fn revisions(
    State(office): State<Office>,
    request: Request,
) -> Answered<Revisions> {
    office.viewer(&request)?;
    office.desk.revisions().await.map(Answer)
}

/// The query of a request for the audit trail.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Only rows about this service, group or interface.
    name: Option<String>,
    /// Only rows of this time and later.
    since: Option<Timestamp>,
    /// At most so many, the latest: 1000 if not given, and never more than 10000.
    limit: Option<usize>,
}

/// So many rows of the audit trail are told unless somebody says otherwise, and at most.
const AUDIT_ROWS: usize = 1000;
const MAX_AUDIT_ROWS: usize = 10_000;

pub(super) async fn audit(State(office): State<Office>, request: Request) -> Answered<AuditTrail> {
    office.viewer(&request)?;
    let AuditQuery { name, since, limit } = query(request.uri())?;
    let limit = limit.unwrap_or(AUDIT_ROWS).min(MAX_AUDIT_ROWS);
    let mut trail = office.desk.audit(Filter { name: name.clone(), since, limit }).await?;
    if let Some(name) = name.filter(|_| trail.rows.is_empty()) {
        let (policy, interfaces) = (office.shared.policy(), office.shared.interface_names());
        let lists = policy.services.keys().chain(policy.groups.keys()).map(Name::as_str);
        let known: Vec<&str> = lists.chain(interfaces.values().map(String::as_str)).collect();
        if !known.contains(&name.as_str()) {
            trail.did_you_mean = nearest(&name, known);
        }
    }
    Ok(Answer(trail))
}

pub(super) async fn verify_audit(
    State(office): State<Office>,
    request: Request,
) -> Answered<AuditVerification> {
    office.viewer(&request)?;
    office.desk.verify_audit().await.map(Answer)
}

pub(super) async fn check(State(office): State<Office>, request: Request) -> Answered<Checks> {
    office.viewer(&request)?;
    let question: Question = query(request.uri())?;
    office.desk.check(question).await.map(Answer)
}

pub(super) async fn check_many(
    State(office): State<Office>,
    request: Request,
) -> Answered<Answers> {
    office.viewer(&request)?;
    let NoQuery {} = query(request.uri())?;
    let Questions { questions } = read_json(&body(request, MAX_BODY).await?)?;
    if questions.len() > MAX_QUESTIONS {
        let message = format!("these are {} questions", questions.len());
        return Err(Problem::new(ErrorCode::Invalid, message)
            .hint(format!("ask at most {MAX_QUESTIONS} at once")));
    }
    let mut answers = Vec::new();
    // Each in its turn: changes go between them.
    for question in questions {
        answers.push(match office.desk.check(question).await {
            Ok(Checks { revision, checks }) => {
                CheckAnswer { revision: Some(revision), checks, problem: None }
            }
            // What is wrong with the kernel is wrong for all of them.
            Err(problem) if problem.code == ErrorCode::Failed => return Err(problem),
            Err(problem) => {
                CheckAnswer { revision: None, checks: Vec::new(), problem: Some(problem) }
            }
        });
    }
    Ok(Answer(Answers { answers }))
}

/// The query of a request for drops.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DropsQuery {
    /// At most so many, the latest.
    limit: Option<usize>,
}

pub(super) async fn drops(State(office): State<Office>, request: Request) -> Answered<Drops> {
    office.viewer(&request)?;
    let query: DropsQuery = query(request.uri())?;
    Ok(Answer(office.shared.drops.recent(query.limit.unwrap_or(usize::MAX))))
}

/// The query of a request for events.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Only events of these kinds; not given: all of them. How many of them were lost is told in any case.
    only: Option<EventKinds>,
}

pub(super) async fn events(
    State(office): State<Office>,
    request: Request,
) -> Result<EventStream, Problem> {
    office.viewer(&request)?;
    let EventsQuery { only } = query(request.uri())?;
    let events = office.shared.broadcast.follow(&only.unwrap_or_default());
    Ok(EventStream(Body::new(StreamBody::new(events))))
}

/// Server-sent events.
pub(super) struct EventStream(Body);

impl Reply for EventStream {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Server-sent events without end, with a comment now and then; the data of each is JSON.",
            "x-events": {
                "drop": generator.subschema_for::<DroppedPacket>(),
                "change": generator.subschema_for::<ChangeEvent>(),
                "interface": generator.subschema_for::<InterfaceStatus>(),
                "lost": generator.subschema_for::<LostEvents>(),
            },
        })
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, Self::CONTENT_TYPE)], self.0).into_response()
    }
}

/// Figures in Prometheus' text format.
pub(super) struct MetricsText(String);

impl Reply for MetricsText {
    const CONTENT_TYPE: &'static str = metrics::TEXT_FORMAT;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A metric a line, its HELP and TYPE before it." })
    }
}

impl IntoResponse for MetricsText {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, Self::CONTENT_TYPE)], self.0).into_response()
    }
}

pub(super) async fn metrics(
    State(office): State<Office>,
    request: Request,
) -> Result<MetricsText, Problem> {
    office.viewer(&request)?;
    at_length(move || metrics::text(&office.shared)).await.map(MetricsText)
}

/// A document of any shape.
pub(super) struct Description(Bytes);

impl Reply for Description {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "An OpenAPI 3.1 document." })
    }
}

impl IntoResponse for Description {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, Self::CONTENT_TYPE)], self.0).into_response()
    }
}

pub(super) async fn description(
    State(office): State<Office>,
    request: Request,
) -> Result<Description, Problem> {
    office.viewer(&request)?;
    Ok(Description(office.description))
}
