//! The audit trail, as `audit` tells it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::Author;
pub use crate::policy::audit::{AuditResult, Break as AuditBreak, BreakKind as AuditBreakKind};

/// Rows of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditTrail {
    /// The rows in the order in which they were written.
    pub rows: Vec<AuditRow>,
    /// Where there are none and nothing has the name that was asked for: a name that was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

/// What somebody did or tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRow {
    /// Number of the row.
    pub id: i64,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub author: Author,
    /// What was asked for, one word.
    pub action: String,
    /// Services, groups and interfaces that it is about.
    pub subjects: BTreeSet<String>,
    /// The policy's revision before.
    pub from_revision: u64,
    /// The policy's revision after.
    pub to_revision: u64,
    /// What came of it.
    pub result: AuditResult,
    /// Why it was refused or failed, or a remark.
    pub message: Option<String>,
    /// What it was before and after; null where there is nothing to tell.
    pub details: Value,
    /// Hash of the trail up to this row, in hexadecimal.
    pub hash: String,
}

/// Whether the audit trail is as it was written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditVerification {
    /// Number of rows that are there.
    pub rows: u64,
    /// The oldest of them.
    pub first: Option<i64>,
    /// The newest of them.
    pub last: Option<i64>,
    /// Number of rows that were pruned.
    pub pruned: i64,
    /// Hash of the whole trail in hexadecimal, to compare with one that was noted elsewhere.
    pub head_hash: String,
    /// Where the trail was altered first; `None` where it is whole.
    pub broken: Option<AuditBreak>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_has_stable_names() {
        let document = json!({
            "id": 7, "time": "2026-11-22T02:00:00.123456Z", "author": {"uid": 0, "name": "root"},
            "action": "add", "subjects": ["redis"], "from_revision": 6, "to_revision": 7,
            "result": "refused", "message": null, "details": {"added": []}, "hash": "00ff"
        });
        let row: AuditRow = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(row.result, AuditResult::Refused);
        assert_eq!(serde_json::to_value(row).unwrap(), document);
    }

    #[test]
    fn every_way_of_altering_has_a_word_of_its_own() {
        let table = [
            (AuditBreakKind::Altered, "altered"),
            (AuditBreakKind::Missing, "missing"),
            (AuditBreakKind::MissingAtBeginning, "missing_at_beginning"),
            (AuditBreakKind::MissingAtEnd, "missing_at_end"),
            (AuditBreakKind::OutOfNowhere, "out_of_nowhere"),
            (AuditBreakKind::Head, "head"),
            (AuditBreakKind::Checkpoint, "checkpoint"),
        ];
        for (what, word) in table {
            let document = json!({
                "rows": 9, "first": 4, "last": 12, "pruned": 3, "head_hash": "00ff",
                "broken": {"id": 5, "what": word}
            });
            let verification: AuditVerification = serde_json::from_value(document.clone()).unwrap();
            assert_eq!(verification.broken, Some(AuditBreak { id: 5, what }));
            assert_eq!(serde_json::to_value(verification).unwrap(), document, "{what:?}");
        }
    }
}
