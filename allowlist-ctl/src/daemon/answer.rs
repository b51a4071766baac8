//! Requests read and answers written, with every failure in the one form.

use std::{marker::PhantomData, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{task::spawn_blocking, time::timeout};

use crate::api::{ChangeOptions, ErrorCode, Failure, MAX_CONFIRM, Problem};

/// A body must have arrived within this time.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);
const JSON: &str = "application/json";

/// What a request that succeeds is answered with.
pub(super) trait Reply: IntoResponse {
    /// Its media type.
    const CONTENT_TYPE: &'static str;

    /// What it looks like.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A value as JSON.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize + JsonSchema> Reply for Answer<T> {
    const CONTENT_TYPE: &'static str = JSON;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// A value as JSON, of which there may be too much to have it in memory.
pub(super) struct Streamed<T>(Body, PhantomData<T>);

impl<T> Streamed<T> {
    pub(super) const fn new(body: Body) -> Self {
        Self(body, PhantomData)
    }
}

impl<T: JsonSchema> Reply for Streamed<T> {
    const CONTENT_TYPE: &'static str = JSON;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl<T> IntoResponse for Streamed<T> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, JSON)], self.0).into_response()
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => json(StatusCode::OK, body),
            Err(error) => Problem::new(ErrorCode::Failed, error).into_response(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A failure is strings and numbers, which are always JSON.
        json(status, serde_json::to_vec(&Failure { error: self }).unwrap_or_default())
    }
}

fn json(status: StatusCode, mut body: Vec<u8>) -> Response {
    body.push(b'\n');
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// Does what takes a while on another thread, so that it holds up no other request.
///
/// # Errors
/// Those of the work.
pub(super) async fn at_length<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| Problem::new(ErrorCode::Failed, error))?
}

/// The query of a request that takes none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// The options in a request's query.
///
/// # Errors
/// [`ErrorCode::Invalid`], with what is wrong.
pub(super) fn options(uri: &Uri) -> Result<ChangeOptions, Problem> {
    let options: ChangeOptions = query(uri)?;
    match options.confirm {
        Some(seconds) if !(1..=MAX_CONFIRM).contains(&seconds) => {
            let message = format!("{seconds} seconds are no time to wait for a confirmation");
            Err(Problem::new(ErrorCode::Invalid, message)
                .hint(format!("give 1 to {MAX_CONFIRM} seconds, a week")))
        }
        _ => Ok(options),
    }
}

/// A request's query.
///
/// # Errors
/// [`ErrorCode::Invalid`], with what is wrong.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    axum::extract::Query::try_from_uri(uri)
        .map(|axum::extract::Query(query)| query)
        .map_err(|error| Problem::new(ErrorCode::Invalid, error.body_text()))
}

/// A request's body.
///
/// # Errors
/// [`ErrorCode::TooLarge`] past `limit` bytes, [`ErrorCode::Timeout`] where it does not arrive.
pub(super) async fn body(request: Request<Body>, limit: usize) -> Result<Bytes, Problem> {
    let body = Limited::new(request.into_body(), limit);
    match timeout(BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
            ErrorCode::TooLarge,
            format!("the request is larger than {limit} bytes"),
        )),
        Ok(Err(error)) => {
            Err(Problem::new(ErrorCode::Invalid, format!("the request cannot be read: {error}")))
        }
        Err(_) => Err(Problem::new(ErrorCode::Timeout, "the request did not arrive in time")),
    }
}

/// A request's body as JSON; an empty one is the default value's.
///
/// # Errors
/// [`ErrorCode::Invalid`]
pub(super) fn read_optional_json<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() { Ok(T::default()) } else { read_json(body) }
}

/// A request's body as JSON.
///
/// # Errors
/// [`ErrorCode::Invalid`]
pub(super) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(ErrorCode::Invalid, format!("the request cannot be read: {error}"))
    })
}
