//! The routes of the HTTP interface.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::Deserialize;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    access::Access,
    answer::{Answer, body, options, query, read_json},
    caller::Caller,
    config::check_interface_name,
    document::{check_path, plan},
    entries, listing,
    owner::Desk,
    shared::Shared,
    status,
};
use crate::{
    api::{
        AttachSettings, Changed, EntrySpecs, ErrorCode, GroupSettings, MAX_BODY, MAX_LIST_BODY,
        ModeSetting, Problem, Revisions, Rollback, ServiceSettings, Shutdown,
    },
    policy::{
        Name,
        change::{Change, Settings},
        entry::NewEntry,
    },
};

/// What handlers work with.
#[derive(Clone)]
struct Office {
    desk: Desk,
    shared: Arc<Shared>,
    access: Arc<Access>,
    /// Large lists are read one at a time, so that memory is bounded.
    large: Arc<Semaphore>,
}

type Answered<T> = Result<Answer<T>, Problem>;

/// The routes of `/v1/`.
pub(super) fn router(desk: Desk, shared: Arc<Shared>, access: Arc<Access>) -> Router {
    Router::new()
        .route("/v1/status", get(show_status))
        .route("/v1/lists", get(list_all))
        .route("/v1/lists/{name}", get(list_one).put(replace))
        .route("/v1/lists/{name}/add", post(add))
        .route("/v1/lists/{name}/remove", post(remove))
        .route("/v1/services/{name}", put(protect).delete(unprotect))
        .route("/v1/services/{name}/mode", put(set_mode))
        .route("/v1/groups/{name}", put(set_group).delete(remove_group))
        .route("/v1/policy", get(export).put(apply))
        .route("/v1/revisions", get(revisions))
        .route("/v1/confirm", post(confirm))
        .route("/v1/rollback", post(roll_back))
        .route("/v1/drops", get(show_drops))
        .route("/v1/drops/follow", get(follow_drops))
        .route("/v1/interfaces/{name}", put(attach).delete(detach))
        .route("/v1/shutdown", post(shutdown))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(Office { desk, shared, access, large: Arc::new(Semaphore::new(1)) })
}

async fn no_route() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such page; those there are begin with /v1/")
}

async fn no_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Problem::new(ErrorCode::Invalid, format!("{method} is not to be had on {path}"))
}

/// Who sent a request.
///
/// # Errors
/// Never, but for a mistake in this program.
fn caller(request: &Request) -> Result<Caller, Problem> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Problem::new(ErrorCode::Failed, "the caller is not known"))
}

impl Office {
    /// Checks that whoever sent a request may read.
    fn viewer(&self, request: &Request) -> Result<(), Problem> {
        self.access.require_viewer(&caller(request)?)
    }

    /// Who sent a request, who may do everything.
    fn admin(&self, request: &Request) -> Result<Caller, Problem> {
        let caller = caller(request)?;
        self.access.require_admin(&caller)?;
        Ok(caller)
    }

    /// Who sent a request, who may change the entries of a list.
    fn editor(&self, request: &Request, list: &Name) -> Result<Caller, Problem> {
        let caller = caller(request)?;
        self.access.require_editor(&caller, list)?;
        Ok(caller)
    }
}

fn name(text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|error| Problem::new(ErrorCode::Invalid, error))
}

fn interface_name(text: String) -> Result<String, Problem> {
    check_interface_name(&text).map_err(|error| Problem::new(ErrorCode::Invalid, error))?;
    Ok(text)
}

async fn show_status(
    State(office): State<Office>,
    request: Request,
) -> Answered<crate::api::Status> {
    office.viewer(&request)?;
    status::status(&office.shared).map(Answer)
}

fn json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn list_all(State(office): State<Office>, request: Request) -> Result<Response, Problem> {
    office.viewer(&request)?;
    let policy = office.shared.policy();
    let names = policy.services.keys().chain(policy.groups.keys()).cloned().collect();
    Ok(json(listing::listing(&policy, names, &office.shared.hits())))
}

async fn list_one(
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

async fn export(State(office): State<Office>, request: Request) -> Result<Response, Problem> {
    office.viewer(&request)?;
    Ok(json(listing::document(&office.shared.policy())))
}

/// Hands a change in, once its body is read.
async fn make(
    office: &Office,
    caller: Caller,
    request: Request,
    limit: usize,
    read: impl FnOnce(&[u8]) -> Result<Change, Problem> + Send + 'static,
) -> Answered<Changed> {
    let options = options(request.uri())?;
    let body = body(request, limit).await?;
    // Lists may be long, and reading them must not hold up other requests.
    let change = spawn_blocking(move || read(&body))
        .await
        .map_err(|error| Problem::new(ErrorCode::Failed, error))??;
    office.desk.change(change, options, caller).await.map(Answer)
}

async fn apply(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let caller = office.admin(&request)?;
    let closed = |error| Problem::new(ErrorCode::Failed, error);
    let _turn = office.large.acquire().await.map_err(closed)?;
    make(&office, caller, request, MAX_LIST_BODY, |body| Ok(Change::Apply(plan(read_json(body)?)?)))
        .await
}

async fn set_group(
    State(office): State<Office>,
    Path(group): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let (name, caller) = (name(&group)?, office.admin(&request)?);
    make(&office, caller, request, MAX_BODY, move |body| {
        let settings: GroupSettings = read_json(body)?;
        let follow = settings.follow.map(|path| (!path.as_os_str().is_empty()).then_some(path));
        if let Some(Some(path)) = &follow {
            check_path(path).map_err(|error| Problem::new(ErrorCode::Invalid, error))?;
        }
        Ok(Change::SetGroup { name, follow })
    })
    .await
}

async fn remove_group(
    State(office): State<Office>,
    Path(group): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let (name, caller) = (name(&group)?, office.admin(&request)?);
    make(&office, caller, request, MAX_BODY, move |_| Ok(Change::RemoveGroup { name })).await
}

async fn revisions(State(office): State<Office>, request: Request) -> Answered<Revisions> {
    office.viewer(&request)?;
    office.desk.revisions().await.map(Answer)
}

async fn confirm(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let caller = caller(&request)?;
    office.desk.confirm(caller, Arc::clone(&office.access)).await.map(Answer)
}

async fn roll_back(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let (caller, options) = (caller(&request)?, options(request.uri())?);
    let Rollback { to } = read_json(&body(request, MAX_BODY).await?)?;
    office.desk.roll_back(to, options, caller, Arc::clone(&office.access)).await.map(Answer)
}

async fn protect(
    State(office): State<Office>,
    Path(service): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let (name, caller) = (name(&service)?, office.admin(&request)?);
    make(&office, caller, request, MAX_BODY, move |body| {
        let settings: ServiceSettings = read_json(body)?;
        let interfaces = settings.interfaces.map(|names| names.into_iter().map(interface_name));
        let settings = Settings {
            ports: settings.ports.into_iter().collect(),
            interfaces: interfaces.map(Iterator::collect).transpose()?,
            addresses: settings.addresses.map(|prefixes| prefixes.into_iter().collect()),
            includes: settings.include.map(|names| names.into_iter().collect()),
            mode: settings.mode,
            action: settings.action,
            when_empty: settings.when_empty,
        };
        Ok(Change::Protect { name, settings })
    })
    .await
}

async fn set_mode(
    State(office): State<Office>,
    Path(service): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let (name, caller) = (name(&service)?, office.admin(&request)?);
    make(&office, caller, request, MAX_BODY, move |body| {
        let ModeSetting { mode } = read_json(body)?;
        Ok(Change::SetMode { name, mode })
    })
    .await
}

/// The query of a request for drops.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DropsQuery {
    limit: Option<usize>,
}

async fn show_drops(State(office): State<Office>, request: Request) -> Answered<crate::api::Drops> {
    office.viewer(&request)?;
    let query: DropsQuery = query(request.uri())?;
    Ok(Answer(office.shared.drops.recent(query.limit.unwrap_or(usize::MAX))))
}

async fn follow_drops(State(office): State<Office>, request: Request) -> Result<Response, Problem> {
    office.viewer(&request)?;
    let stream = office.shared.drops.follow();
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], stream).into_response())
}

async fn unprotect(
    State(office): State<Office>,
    Path(service): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let (name, caller) = (name(&service)?, office.admin(&request)?);
    make(&office, caller, request, MAX_BODY, move |_| Ok(Change::Unprotect { name })).await
}

async fn add(
    State(office): State<Office>,
    Path(list): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let name = name(&list)?;
    let caller = office.editor(&request, &name)?;
    make(&office, caller, request, MAX_BODY, move |body| {
        Ok(Change::Add { name, entries: entries::lasting(specified(body)?)? })
    })
    .await
}

async fn remove(
    State(office): State<Office>,
    Path(list): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let name = name(&list)?;
    let caller = office.editor(&request, &name)?;
    make(&office, caller, request, MAX_BODY, move |body| {
        let specs: EntrySpecs = read_json(body)?;
        Ok(Change::Remove { name, keys: entries::keys(&specs.entries)? })
    })
    .await
}

async fn replace(
    State(office): State<Office>,
    Path(list): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let name = name(&list)?;
    let caller = office.editor(&request, &name)?;
    let closed = |error| Problem::new(ErrorCode::Failed, error);
    let _turn = office.large.acquire().await.map_err(closed)?;
    let is_text = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("text/plain"));
    make(&office, caller, request, MAX_LIST_BODY, move |body| {
        let entries = if is_text { entries::from_text(body)? } else { specified(body)? };
        Ok(Change::Replace { name, entries })
    })
    .await
}

fn specified(body: &[u8]) -> Result<Vec<NewEntry>, Problem> {
    entries::new_entries(&read_json::<EntrySpecs>(body)?.entries)
}

async fn attach(
    State(office): State<Office>,
    Path(interface): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let caller = office.admin(&request)?;
    let interface = interface_name(interface)?;
    let options = options(request.uri())?;
    let settings: AttachSettings = read_json(&body(request, MAX_BODY).await?)?;
    office.desk.attach(interface, settings.mode, options, caller).await.map(Answer)
}

async fn detach(
    State(office): State<Office>,
    Path(interface): Path<String>,
    request: Request,
) -> Answered<Changed> {
    let caller = office.admin(&request)?;
    let options = options(request.uri())?;
    office.desk.detach(interface_name(interface)?, options, caller).await.map(Answer)
}

async fn shutdown(State(office): State<Office>, request: Request) -> Answered<Shutdown> {
    office.admin(&request)?;
    let shutdown: Shutdown = read_json(&body(request, MAX_BODY).await?)?;
    office.desk.stop(shutdown.detach).await?;
    Ok(Answer(shutdown))
}
