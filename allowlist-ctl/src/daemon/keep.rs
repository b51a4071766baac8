//! How much of the past is kept.

use serde::Deserialize;

use crate::store::KeepRevisions;

/// The limits as they are written: `keep_revisions = 200`, or `keep_revisions = { count = 200, days = 90 }`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoreConfig {
    keep_revisions: RevisionLimits,
    keep_audit: KeepAudit,
}

/// How much of the past is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Keep {
    pub(super) revisions: KeepRevisions,
    pub(super) audit: KeepAudit,
}

impl StoreConfig {
    pub(super) fn keep(&self) -> Keep {
        let RevisionLimits { count, days, entries } = self.keep_revisions;
        Keep { revisions: KeepRevisions { count, days, entries }, audit: self.keep_audit }
    }
}

/// How many revisions are kept: those that hold by each of the limits.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "Written")]
struct RevisionLimits {
    count: u64,
    days: u32,
    entries: u64,
}

impl Default for RevisionLimits {
    fn default() -> Self {
        Self { count: 200, days: 90, entries: 5_000_000 }
    }
}

/// How many rows of the audit trail are kept: those that hold by both limits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "Written")]
pub(super) struct KeepAudit {
    /// How many.
    pub(super) count: u64,
    /// For how many days.
    pub(super) days: u32,
}

impl Default for KeepAudit {
    fn default() -> Self {
        Self { count: 100_000, days: 365 }
    }
}

/// A bare number, which is a count, or single limits; what is not written is as ever.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a number, or { count = N, days = N } (and entries = N of revisions)"
)]
enum Written {
    Count(u64),
    Limits(Limits),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    count: Option<u64>,
    days: Option<u32>,
    entries: Option<u64>,
}

impl From<Written> for Limits {
    fn from(written: Written) -> Self {
        match written {
            Written::Count(count) => Self { count: Some(count), ..Self::default() },
            Written::Limits(limits) => limits,
        }
    }
}

impl From<Written> for RevisionLimits {
    fn from(written: Written) -> Self {
        let (written, usual) = (Limits::from(written), Self::default());
        Self {
            count: written.count.unwrap_or(usual.count),
            days: written.days.unwrap_or(usual.days),
            entries: written.entries.unwrap_or(usual.entries),
        }
    }
}

impl TryFrom<Written> for KeepAudit {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let (written, usual) = (Limits::from(written), Self::default());
        if written.entries.is_some() {
            return Err("keep_audit has no limit of entries: write count and days");
        }
        Ok(Self {
            count: written.count.unwrap_or(usual.count),
            days: written.days.unwrap_or(usual.days),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_a_number_or_several() {
        let keep = |text: &str| toml::from_str::<StoreConfig>(text).map(|config| config.keep());
        let usual = keep("").unwrap();
        let found = keep("keep_revisions = 7\nkeep_audit = { days = 3 }").unwrap();
        assert_eq!(found.revisions, KeepRevisions { count: 7, ..usual.revisions });
        assert_eq!(found.audit, KeepAudit { days: 3, ..usual.audit });
        let found = keep("keep_revisions = { count = 1, days = 2, entries = 3 }").unwrap();
        assert_eq!(found.revisions, KeepRevisions { count: 1, days: 2, entries: 3 });
        for (text, expected) in [
            ("keep_revisions = -1", "a number, or { count = N"),
            ("keep_revisions = { weeks = 1 }", "a number, or { count = N"),
            ("keep_audit = { entries = 1 }", "no limit of entries"),
            ("keep = 1", "unknown field `keep`"),
        ] {
            let error = keep(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
