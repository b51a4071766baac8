//! Requests read and answers written, with every failure in the one form.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::api::{ChangeOptions, ErrorCode, Failure, Problem};

/// A body must have arrived within this time.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// A value as JSON.
pub(super) struct Answer<T>(pub(super) T);

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
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The options in a request's query.
///
/// # Errors
/// [`ErrorCode::Invalid`], with what is wrong.
pub(super) fn options(uri: &Uri) -> Result<ChangeOptions, Problem> {
    query(uri)
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
/// Those of [`body`], and [`ErrorCode::Invalid`].
pub(super) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(ErrorCode::Invalid, format!("the request cannot be read: {error}"))
    })
}
