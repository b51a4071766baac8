//! What happens, as it is told to whoever listens at `/v1/events`.

use std::{borrow::Cow, collections::BTreeSet, str::FromStr};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::policy::Author;

/// A kind of events; its word is the event's name on the stream.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A packet was dropped, or would have been in mode enforce: a [`super::DroppedPacket`].
    Drop,
    /// Something was changed: a [`ChangeEvent`].
    Change,
    /// How an interface fares is other than it was: an [`super::InterfaceStatus`].
    Interface,
}

crate::words::words!(EventKind { Drop: "drop", Change: "change", Interface: "interface" });

/// Some kinds of events; as text their words with commas between them.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct EventKinds(pub BTreeSet<EventKind>);

/// A text that names no kinds of events.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "there are no events of the kind '{0}': name drop, change or interface, with commas between them"
)]
pub struct InvalidKinds(String);

/// Longest part of a bad text that is repeated, in characters.
const SHOWN: usize = 120;

impl Default for EventKinds {
    fn default() -> Self {
        Self(EventKind::ALL.into())
    }
}

impl FromStr for EventKinds {
    type Err = InvalidKinds;

    fn from_str(text: &str) -> Result<Self, InvalidKinds> {
        let kind = |word: &str| {
            let known = EventKind::ALL.into_iter().find(|kind| kind.word() == word);
            known.ok_or_else(|| InvalidKinds(word.chars().take(SHOWN).collect()))
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for EventKinds {
    type Error = InvalidKinds;

    fn try_from(text: String) -> Result<Self, InvalidKinds> {
        text.parse()
    }
}

impl JsonSchema for EventKinds {
    fn schema_name() -> Cow<'static, str> {
        "EventKinds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Kinds of events, with commas between them.",
            "pattern": "^(drop|change|interface)(,(drop|change|interface))*$",
            "examples": ["drop", "change,interface"],
        })
    }
}

/// Somebody changed something, or a change was confirmed or taken back. It is in the audit trail, in the same words.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeEvent {
    /// The policy's revision after it; as before where the policy is none of what was changed.
    pub revision: u64,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub author: Author,
    /// What was asked for, one word.
    pub action: String,
    /// Services, groups and interfaces that it is about.
    pub subjects: BTreeSet<String>,
    /// What action and subjects leave open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it is to stay.
    pub state: ChangeState,
}

/// Whether a change is to stay.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// It is.
    #[default]
    Done,
    /// It is taken back unless it is confirmed.
    Pending,
    /// The one that waited for it is confirmed by this.
    Confirmed,
    /// The one that waited to be confirmed is taken back by this.
    Reverted,
}

/// Told where somebody missed events: too many at once, or more than the reader could take.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LostEvents {
    /// How many events it missed.
    pub events: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        use EventKind::{Change, Drop, Interface};
        let table: [(&str, Option<&[EventKind]>); 9] = [
            ("drop", Some(&[Drop])),
            ("change,interface", Some(&[Change, Interface])),
            ("interface,change,drop", Some(&[Drop, Change, Interface])),
            ("drop,drop", Some(&[Drop])),
            ("", None),
            ("drop,", None),
            ("drop, change", None),
            ("Drop", None),
            ("lost", None),
        ];
        let schema = schemars::schema_for!(EventKinds);
        let pattern = schema.get("pattern").and_then(|pattern| pattern.as_str());
        assert_eq!(pattern, Some("^(drop|change|interface)(,(drop|change|interface))*$"));
        for (text, expected) in table {
            let expected = expected.map(|kinds| EventKinds(kinds.iter().copied().collect()));
            assert_eq!(text.parse().ok(), expected, "{text:?}");
            let json = json!(text);
            assert_eq!(serde_json::from_value(json).ok(), expected, "{text:?} in JSON");
        }
        for kind in EventKind::ALL {
            assert_eq!(json!(kind), kind.word());
        }
    }

    #[test]
    fn a_change_has_stable_names() {
        let document = json!({
            "revision": 7, "time": "2026-11-22T02:00:00.123456Z", "author": {"uid": 0, "name": "root"},
            "action": "mode", "subjects": ["redis"], "message": "mode redis monitor", "state": "pending"
        });
        let change: ChangeEvent = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(change).unwrap(), document);
        let table = [
            (ChangeState::Done, "done"),
            (ChangeState::Pending, "pending"),
            (ChangeState::Confirmed, "confirmed"),
            (ChangeState::Reverted, "reverted"),
        ];
        for (state, word) in table {
            assert_eq!(json!(state), word);
        }
    }
}
