//! How a packet would be judged, as `check` tells it.

use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{EntryView, Problem};
use crate::policy::{
    Name,
    port::Ports,
    service::{Action, Mode},
};

/// Questions that are answered at once, at most.
pub const MAX_QUESTIONS: usize = 1000;

/// An address as requests have it.
fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}],
        "examples": ["203.0.113.7", "2001:db8::7"],
    })
}

fn optional_address(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [address(generator), {"type": "null"}] })
}

/// A made-up packet.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Where it comes from.
    #[schemars(schema_with = "address")]
    pub address: IpAddr,
    /// Where it goes: the name of a service, a port such as `tcp/6379`, or the number of a port of whatever protocol;
    /// not given: to every service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The interface that it comes in on; not given: one that the filter is on, and that the service is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Destination address; not given: one of the service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_address")]
    pub to: Option<IpAddr>,
    /// VLAN id of a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Whether it is a fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragment: Option<Fragment>,
}

/// A part of a packet that was cut to pieces on the way.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Fragment {
    /// The one with the ports.
    First,
    /// One of those behind it, which have none.
    Later,
}

/// Several questions.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    /// At most 1000.
    pub questions: Vec<Question>,
}

/// The answers to several questions, each by the policy of its moment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answers {
    /// In the order of the questions.
    pub answers: Vec<CheckAnswer>,
}

/// The answer to a question.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckAnswer {
    /// The policy's revision, where it is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// How it would be judged, for each service that was asked for.
    pub checks: Vec<Check>,
    /// Why it cannot be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// How packets from an address would be judged.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checks {
    /// The policy's revision.
    pub revision: u64,
    /// For each service that was asked for.
    pub checks: Vec<Check>,
}

/// How a packet would be judged, by the program in the kernel.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Where it comes from.
    pub address: IpAddr,
    /// Its destination's port.
    pub port: Ports,
    /// Destination address.
    pub to: IpAddr,
    /// The interface that it comes in on; none where the filter is on none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Whether it goes on to the network stack.
    pub verdict: CheckVerdict,
    /// Why.
    pub reason: CheckReason,
    /// The service that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
    /// The service's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What becomes of what it denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Whether it would be dropped if the service did not only monitor.
    pub would_be_dropped: bool,
    /// The entry that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<CheckedEntry>,
    /// What would decide without it: the next less specific entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<CheckedEntry>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// It goes on to the network stack.
    Admitted,
    /// It does not.
    Dropped,
}

crate::words::words!(CheckVerdict { Admitted: "admitted", Dropped: "dropped" });

/// Why a packet is judged as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckReason {
    /// An entry allows its source.
    Allowed,
    /// An except denies its source.
    Excepted,
    /// No entry covers its source.
    NotCovered,
    /// The service has no entries, and admits everyone.
    Open,
    /// Its port belongs to no service there.
    NoService,
    /// Its service is off.
    Off,
    /// The filter is not on the interface.
    NotFiltered,
    /// A later fragment, which passes.
    LaterFragment,
    /// A later fragment on a strict interface, whose source no service admits.
    FragmentRefused,
}

/// An entry that decides.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedEntry {
    /// The service or group whose entry it is.
    pub list: Name,
    /// How the service comes by it.
    pub by: ListedBy,
    /// The entry.
    #[serde(flatten)]
    pub entry: EntryView,
}

/// How a service comes by an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListedBy {
    /// It is its own.
    Own,
    /// It is that of a group that it includes.
    Group,
    /// It is trusted's, which every service includes.
    Trusted,
}
