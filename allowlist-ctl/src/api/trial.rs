//! A policy on trial, and what it would do otherwise.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CutConnection, MAX_WATCH, SshSession};
use crate::policy::{Author, Name};

/// How a policy is to be put on trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialQuery {
    /// For so many seconds: 1 to 604800, a week.
    #[schemars(range(min = 1, max = MAX_WATCH))]
    pub seconds: u64,
    /// The caller's own SSH session, named first where the policy would cut it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SshSession>,
}

/// A policy on trial.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// By which it can be ended.
    pub id: u64,
    /// The change that would make it the policy in force.
    pub what: String,
    /// Who put it on trial.
    pub by: Author,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
    /// How long that is from now.
    pub seconds_left: u64,
    /// The revision from which it was made.
    pub revision: u64,
}

/// What a policy on trial would do otherwise, as far as packets have come.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialReport {
    /// The trial.
    pub trial: Trial,
    /// When it was over; not given: it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Whether the policy on trial differs at all from the one from which it was made.
    pub differs: bool,
    /// The revision in force, which may have moved on since.
    pub revision: u64,
    /// Packets that both policies have judged.
    pub packets: u64,
    /// Those of them that pass and would be dropped.
    pub newly_dropped: u64,
    /// Those that are dropped and would be admitted.
    pub newly_admitted: u64,
    /// Where those came from, the most packets first.
    pub sources: Vec<TrialSource>,
    /// Established connections that it would cut.
    pub cuts: Vec<CutConnection>,
    /// Services that are closed and would admit everyone.
    pub opens: Vec<Name>,
    /// Whether so many sources were noted that some may be missing.
    pub incomplete: bool,
}

/// A source whose packets would be judged otherwise.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialSource {
    /// Its address.
    pub source: IpAddr,
    /// The service by whichever policy drops its packets; none of unreadable packets.
    pub service: Option<Name>,
    /// What would become of them.
    pub would: WouldBe,
    /// Packets, nearly.
    pub packets: u64,
    /// When the first one was.
    pub first: Timestamp,
    /// When the last one was.
    pub last: Timestamp,
}

/// What would become of packets that are judged otherwise.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WouldBe {
    /// They pass, and would be dropped.
    Dropped,
    /// They are dropped, and would be admitted.
    Admitted,
}
