//! The routes that change something, and what is answered where there is none.
//!
//! Whatever is asked of a change route is either done or in the audit trail as refused: [`Office::make`].

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{FromRequestParts, Path, Request, State},
    http::{StatusCode, Uri, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use hyper::body::Bytes;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    access::Access,
    answer::{Answer, NoQuery, body, options, query, read_json, read_optional_json},
    caller::Caller,
    config::check_interface_name,
    document::{check_path, plan},
    entries,
    operations::{self, Answers},
    owner::{Deed, Desk},
    shared::Shared,
};
use crate::{
    api::{
        AttachSettings, ChangeOptions, Changed, EntrySpecs, ErrorCode, GroupSettings, MAX_BODY,
        MAX_LIST_BODY, ModeSetting, Problem, Rollback, ServiceSettings, Shutdown,
    },
    policy::{
        Name,
        change::{Change, Settings},
        entry::NewEntry,
    },
};

/// Up to so many bytes a body is read sooner than another thread is woken for it.
const SHORT_BODY: usize = 16 << 10;

/// What handlers work with.
#[derive(Clone)]
pub(super) struct Office {
    pub(super) desk: Desk,
    pub(super) shared: Arc<Shared>,
    pub(super) access: Arc<Access>,
    /// What `/v1/openapi.json` says.
    pub(super) description: Bytes,
    /// Large lists are read one at a time, so that memory is bounded.
    large: Arc<Semaphore>,
}

pub(super) type Answered<T> = Result<Answer<T>, Problem>;

/// The routes of `/v1/`.
pub(super) fn router(desk: Desk, shared: Arc<Shared>, access: Arc<Access>) -> Router {
    let (router, description) = operations::router();
    let timed = middleware::from_fn_with_state(Arc::clone(&shared), timed);
    let router = router.fallback(no_route).method_not_allowed_fallback(no_method);
    router.layer(timed).with_state(Office {
        desk,
        shared,
        access,
        description,
        large: Arc::new(Semaphore::new(1)),
    })
}

/// Observes how long an answer took.
async fn timed(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let answer = next.run(request).await;
    let operation = answer.extensions().get().map(|Answers(operation)| *operation);
    shared.metrics.observe_request(operation, begin.elapsed());
    answer
}

async fn no_route() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such page")
        .hint("/v1/openapi.json describes those there are")
}

async fn no_method(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let problem = Problem::new(ErrorCode::Invalid, format!("{method} is not to be had on {path}"))
        .hint("the header 'allow' names what is");
    // Axum adds that header.
    (StatusCode::METHOD_NOT_ALLOWED, problem).into_response()
}

/// The service, group or interface in a path, as it was written.
pub(super) struct Subject(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Subject {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        name.map(|Path(name)| Self(name))
            .map_err(|error| Problem::new(ErrorCode::Invalid, error.body_text()))
    }
}

/// Who sent a request.
///
/// # Errors
/// Never, but for a mistake in this program.
pub(super) fn caller(request: &Request) -> Result<Caller, Problem> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Problem::new(ErrorCode::Failed, "the caller is not known"))
}

/// A name of a path.
///
/// # Errors
/// [`ErrorCode::Invalid`]
pub(super) fn name(text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|error| Problem::new(ErrorCode::Invalid, error))
}

fn interface_name(text: String) -> Result<String, Problem> {
    check_interface_name(&text).map_err(|error| Problem::new(ErrorCode::Invalid, error))?;
    Ok(text)
}

/// Whom a change is for.
enum Needs<'a> {
    Admin,
    /// The editors of a list, too.
    Editor(&'a Name),
    /// The owner decides that when it knows what is changed.
    Any,
}

/// What a change is about, before its body is read.
struct Ask<'a> {
    action: &'static str,
    /// The service, group or interface as it was written.
    subject: Option<&'a str>,
    needs: Needs<'a>,
    /// Largest body, in bytes.
    limit: usize,
}

impl<'a> Ask<'a> {
    const fn admin(action: &'static str, subject: &'a str) -> Self {
        Self { action, subject: Some(subject), needs: Needs::Admin, limit: MAX_BODY }
    }

    const fn editor(action: &'static str, list: &'a Name, subject: &'a str) -> Self {
        Self { action, subject: Some(subject), needs: Needs::Editor(list), limit: MAX_BODY }
    }
}

/// Whether nothing is to be changed, and so nothing recorded.
fn is_dry_run(uri: &Uri) -> bool {
    options(uri).is_ok_and(|options| options.dry_run)
}

impl Office {
    /// Reads a request for a change; what is wrong with it is in the audit trail, too.
    async fn read<T: Send + 'static>(
        &self,
        ask: &Ask<'_>,
        request: Request,
        read: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
    ) -> Result<(T, ChangeOptions, Caller), Problem> {
        let caller = caller(&request)?;
        let is_dry_run = is_dry_run(request.uri());
        match self.read_unrecorded(ask, request, read, &caller).await {
            Ok((body, options)) => Ok((body, options, caller)),
            // Nothing was to be changed.
            Err(problem) if is_dry_run => Err(problem),
            Err(problem) => Err(self.refused(ask.action, ask.subject, &caller, problem).await),
        }
    }

    /// Records that something was refused before the owner heard of it.
    async fn refused(
        &self,
        action: &'static str,
        subject: Option<&str>,
        caller: &Caller,
        problem: Problem,
    ) -> Problem {
        let author = caller.author();
        let deed = match subject {
            Some(subject) => Deed::about(action, subject, &author),
            None => Deed::of_everything(action, action.to_owned(), &author),
        };
        self.desk.refused(deed, problem).await
    }

    /// The name in a path of a change.
    async fn name(
        &self,
        action: &'static str,
        text: &str,
        caller: &Caller,
        uri: &Uri,
    ) -> Result<Name, Problem> {
        match name(text) {
            Ok(name) => Ok(name),
            Err(problem) if is_dry_run(uri) => Err(problem),
            // It is no name that the trail could be asked for.
            Err(problem) => Err(self.refused(action, None, caller, problem).await),
        }
    }

    async fn read_unrecorded<T: Send + 'static>(
        &self,
        ask: &Ask<'_>,
        request: Request,
        read: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
        caller: &Caller,
    ) -> Result<(T, ChangeOptions), Problem> {
        match ask.needs {
            Needs::Editor(list) => self.access.require_editor(caller, list)?,
            Needs::Admin => self.access.require_admin(caller)?,
            Needs::Any => {}
        }
        let options = options(request.uri())?;
        let body = body(request, ask.limit).await?;
        if body.len() <= SHORT_BODY {
            return Ok((read(&body)?, options));
        }
        // Lists may be long, and reading them must not hold up other requests.
        let read = spawn_blocking(move || read(&body)).await;
        Ok((read.map_err(|error| Problem::new(ErrorCode::Failed, error))??, options))
    }

    /// Makes a change.
    async fn make(
        &self,
        ask: Ask<'_>,
        request: Request,
        read: impl FnOnce(&[u8]) -> Result<Change, Problem> + Send + 'static,
    ) -> Answered<Changed> {
        let (change, options, caller) = self.read(&ask, request, read).await?;
        self.desk.change(change, options, caller).await.map(Answer)
    }
}

pub(super) async fn protect(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("protect", &service, &caller(&request)?, request.uri()).await?;
    let read = move |body: &[u8]| {
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
    };
    office.make(Ask::admin("protect", &service), request, read).await
}

pub(super) async fn set_mode(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("mode", &service, &caller(&request)?, request.uri()).await?;
    let read = move |body: &[u8]| {
        let ModeSetting { mode } = read_json(body)?;
        Ok(Change::SetMode { name, mode })
    };
    office.make(Ask::admin("mode", &service), request, read).await
}

pub(super) async fn unprotect(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("unprotect", &service, &caller(&request)?, request.uri()).await?;
    let read = move |_: &[u8]| Ok(Change::Unprotect { name });
    office.make(Ask::admin("unprotect", &service), request, read).await
}

pub(super) async fn set_group(
    State(office): State<Office>,
    Subject(group): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("group", &group, &caller(&request)?, request.uri()).await?;
    let read = move |body: &[u8]| {
        let settings: GroupSettings = read_optional_json(body)?;
        let follow = settings.follow.map(|path| (!path.as_os_str().is_empty()).then_some(path));
        if let Some(Some(path)) = &follow {
            check_path(path).map_err(|error| Problem::new(ErrorCode::Invalid, error))?;
        }
        Ok(Change::SetGroup { name, follow })
    };
    office.make(Ask::admin("group", &group), request, read).await
}

pub(super) async fn remove_group(
    State(office): State<Office>,
    Subject(group): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("ungroup", &group, &caller(&request)?, request.uri()).await?;
    let read = move |_: &[u8]| Ok(Change::RemoveGroup { name });
    office.make(Ask::admin("ungroup", &group), request, read).await
}

pub(super) async fn add(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("add", &list, &caller(&request)?, request.uri()).await?;
    let editors = name.clone();
    let read =
        move |body: &[u8]| Ok(Change::Add { name, entries: entries::lasting(specified(body)?)? });
    office.make(Ask::editor("add", &editors, &list), request, read).await
}

pub(super) async fn remove(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("remove", &list, &caller(&request)?, request.uri()).await?;
    let editors = name.clone();
    let read = move |body: &[u8]| {
        let specs: EntrySpecs = read_json(body)?;
        Ok(Change::Remove { name, keys: entries::keys(&specs.entries)? })
    };
    office.make(Ask::editor("remove", &editors, &list), request, read).await
}

pub(super) async fn replace(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("replace", &list, &caller(&request)?, request.uri()).await?;
    let editors = name.clone();
    let is_text = is_text(&request);
    let read = move |body: &[u8]| Ok(Change::Replace { name, entries: entries_of(body, is_text)? });
    let ask = Ask { limit: MAX_LIST_BODY, ..Ask::editor("replace", &editors, &list) };
    let _turn = office.turn().await?;
    office.make(ask, request, read).await
}

pub(super) async fn apply(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let ask = Ask { action: "apply", subject: None, needs: Needs::Admin, limit: MAX_LIST_BODY };
    let _turn = office.turn().await?;
    office.make(ask, request, |body| Ok(Change::Apply(plan(read_json(body)?)?))).await
}

impl Office {
    /// Waits for the turn to read a large body.
    pub(super) async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        self.large.acquire().await.map_err(|error| Problem::new(ErrorCode::Failed, error))
    }
}

/// Whether the body of a request is a list as text.
pub(super) fn is_text(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("text/plain"))
}

/// The entries of a list, as text or as JSON.
pub(super) fn entries_of(body: &[u8], is_text: bool) -> Result<Vec<NewEntry>, Problem> {
    if is_text { entries::from_text(body) } else { specified(body) }
}

fn specified(body: &[u8]) -> Result<Vec<NewEntry>, Problem> {
    entries::new_entries(&read_json::<EntrySpecs>(body)?.entries)
}

pub(super) async fn confirm(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let ask = Ask { action: "confirm", subject: None, needs: Needs::Any, limit: MAX_BODY };
    let ((), options, caller) = office.read(&ask, request, |_| Ok(())).await?;
    office.desk.confirm(options, caller, Arc::clone(&office.access)).await.map(Answer)
}

pub(super) async fn roll_back(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let ask = Ask { action: "rollback", subject: None, needs: Needs::Any, limit: MAX_BODY };
    let (Rollback { to }, options, caller) = office.read(&ask, request, read_optional_json).await?;
    office.desk.roll_back(to, options, caller, Arc::clone(&office.access)).await.map(Answer)
}

pub(super) async fn attach(
    State(office): State<Office>,
    Subject(interface): Subject,
    request: Request,
) -> Answered<Changed> {
    let named = interface.clone();
    let read =
        |body: &[u8]| Ok((interface_name(named)?, read_optional_json::<AttachSettings>(body)?));
    let ((name, settings), options, caller) =
        office.read(&Ask::admin("attach", &interface), request, read).await?;
    office.desk.attach(name, settings.mode, options, caller).await.map(Answer)
}

pub(super) async fn detach(
    State(office): State<Office>,
    Subject(interface): Subject,
    request: Request,
) -> Answered<Changed> {
    let named = interface.clone();
    let read = |_: &[u8]| interface_name(named);
    let (name, options, caller) =
        office.read(&Ask::admin("detach", &interface), request, read).await?;
    office.desk.detach(name, options, caller).await.map(Answer)
}

pub(super) async fn shutdown(State(office): State<Office>, request: Request) -> Answered<Shutdown> {
    let NoQuery {} = query(request.uri())?;
    let ask = Ask { action: "shutdown", subject: None, needs: Needs::Admin, limit: MAX_BODY };
    let (shutdown, _, caller) = office.read(&ask, request, read_optional_json::<Shutdown>).await?;
    office.desk.stop(shutdown.detach.then_some(caller)).await?;
    Ok(Answer(shutdown))
}
