//! What is answered where something cannot be done.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CutConnection;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What is wrong.
    pub error: Problem,
}

/// What is wrong and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The kind of problem.
    pub code: ErrorCode,
    /// What happened, one sentence.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Single things that are wrong, such as the lines of a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Connections that the change would cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<CutConnection>,
    /// The policy's revision, where the problem depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be read.
    Invalid,
    /// Lines of a list cannot be read.
    InvalidLines,
    /// Something that is named does not exist.
    NotFound,
    /// The caller's role does not allow it.
    Forbidden,
    /// The guard refuses; `force` overrides.
    Guarded,
    /// A closed service would admit everyone; `yes` answers.
    Unconfirmed,
    /// The policy has another revision than the caller thinks.
    RevisionConflict,
    /// A change waits to be confirmed, or a policy is on trial, and no other one can be.
    Pending,
    /// Something else depends on it.
    InUse,
    /// It contradicts something that exists.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// The request did not arrive in time.
    Timeout,
    /// The daemon could not do it; also what an older reader makes of a kind that it does not know.
    #[serde(other)]
    Failed,
}

impl ErrorCode {
    /// The HTTP status it is answered with (RFC 9110, section 15).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid | Self::InvalidLines => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Timeout => 408,
            Self::Guarded | Self::Unconfirmed | Self::Pending | Self::InUse | Self::Conflict => 409,
            Self::RevisionConflict => 412,
            Self::TooLarge => 413,
            Self::Failed => 500,
        }
    }
}

impl Problem {
    /// A problem without more to say.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            hint: None,
            details: Vec::new(),
            cuts: Vec::new(),
            revision: None,
        }
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
