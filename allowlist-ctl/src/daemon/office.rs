//! Where requests are taken in: the router, who asks for what, and what is answered where there is nothing.
//!
//! Whatever is asked of a change is either done or in the audit trail as refused: [`Office::make`].

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{FromRequestParts, Path, Request, State},
    http::{StatusCode, Uri, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use hyper::body::Bytes;
use tokio::sync::Semaphore;

use super::{
    access::Access,
    answer::{Answer, at_length, body, options},
    caller::Caller,
    operations::{self, Answers},
    owner::{Deed, Desk},
    shared::Shared,
};
use crate::{
    api::{ChangeOptions, Changed, ErrorCode, MAX_BODY, Problem},
    policy::{Name, change::Change},
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
    /// Large lists are read one at a time, so that memory is bounded; one more of admins, whom nobody is to keep out.
    large: Arc<Semaphore>,
    large_of_admins: Arc<Semaphore>,
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
        large_of_admins: Arc::new(Semaphore::new(1)),
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

/// Whom a change is for.
pub(super) enum Needs<'a> {
    Admin,
    /// The editors of a list, too.
    Editor(&'a Name),
    /// The owner decides that when it knows what is changed.
    Any,
}

/// What a change is about, before its body is read.
pub(super) struct Ask<'a> {
    pub(super) action: &'static str,
    /// The service, group or interface as it was written.
    pub(super) subject: Option<&'a str>,
    pub(super) needs: Needs<'a>,
    /// Largest body, in bytes.
    pub(super) limit: usize,
}

impl<'a> Ask<'a> {
    pub(super) const fn admin(action: &'static str, subject: &'a str) -> Self {
        Self { action, subject: Some(subject), needs: Needs::Admin, limit: MAX_BODY }
    }

    pub(super) const fn editor(action: &'static str, list: &'a Name, subject: &'a str) -> Self {
        Self { action, subject: Some(subject), needs: Needs::Editor(list), limit: MAX_BODY }
    }
}

/// Whether nothing is to be changed, and so nothing recorded.
fn is_dry_run(uri: &Uri) -> bool {
    options(uri).is_ok_and(|options| options.dry_run)
}

impl Office {
    /// Reads a request for a change; what is wrong with it is in the audit trail, too.
    pub(super) async fn read<T: Send + 'static>(
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
    pub(super) async fn name(
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
        Ok((at_length(move || read(&body)).await?, options))
    }

    /// Makes a change.
    pub(super) async fn make(
        &self,
        ask: Ask<'_>,
        request: Request,
        read: impl FnOnce(&[u8]) -> Result<Change, Problem> + Send + 'static,
    ) -> Answered<Changed> {
        let (change, options, caller) = self.read(&ask, request, read).await?;
        self.desk.change(change, options, caller).await.map(Answer)
    }

    /// Waits for the turn to read a large body.
    pub(super) async fn turn(
        &self,
        caller: &Caller,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        let is_admin = self.access.is_admin(caller);
        let turns = if is_admin { &self.large_of_admins } else { &self.large };
        turns.acquire().await.map_err(|error| Problem::new(ErrorCode::Failed, error))
    }
}
