//! The words of the audit trail that whoever keeps it and whoever tells it have in common.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What came of a change.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditResult {
    /// It is in force.
    Done,
    /// A role, a guard or a rule refused it.
    Refused,
    /// It could not be done.
    Failed,
}

crate::words::words!(AuditResult { Done: "done", Refused: "refused", Failed: "failed" });

/// A place at which the trail was altered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Break {
    /// The row; a forged one may have any number.
    pub id: i64,
    /// How.
    pub what: BreakKind,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.id, self.what)
    }
}

/// How a trail was altered.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum BreakKind {
    /// The row's hash is not that of its content and the hash before it.
    #[error("its hash does not follow from its content and the row before it")]
    Altered,
    /// The row, and perhaps some after it, is gone from the middle.
    #[error("it is missing, and there are later rows")]
    Missing,
    /// The row, and perhaps some after it, is gone from the beginning.
    #[error("it is missing at the beginning of the trail, and was not pruned")]
    MissingAtBeginning,
    /// The row, and perhaps some after it, is gone from the end.
    #[error("it is missing at the end of the trail")]
    MissingAtEnd,
    /// The row was pruned or never written, and yet there is something of it.
    #[error("it is not part of the trail, and yet it is there")]
    OutOfNowhere,
    /// The head is gone, or is not the last row's.
    #[error("the head of the trail is missing, or does not belong to this last row")]
    Head,
    /// The checkpoint does not bear its seal.
    #[error("the checkpoint, up to which the trail was pruned, was altered")]
    Checkpoint,
}
