//! Which engine looks sources up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How sources are looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineStatus {
    /// What the configuration says.
    pub kind: EngineKind,
    /// Bytes of the kernel's memory that entries take: of tries in the kernel at most so many, of flat memory exactly.
    pub memory_used: u64,
    /// Bytes that they may take.
    pub memory_limit: u64,
}

/// Which engine looks sources up, as the configuration says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// Tries in the kernel for short lists, flat memory for longer ones.
    Auto,
    /// Tries in the kernel.
    Lpm,
    /// Flat memory.
    Flat,
}

crate::words::words!(EngineKind { Auto: "auto", Lpm: "lpm", Flat: "flat" });

/// What a list of prefixes is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A trie in the kernel.
    Lpm,
    /// Flat memory.
    Flat,
}

/// What the entries of a service are in; nothing where it has none of a family.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceEngines {
    /// The IPv4 ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Engine>,
    /// The IPv6 ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Engine>,
}
