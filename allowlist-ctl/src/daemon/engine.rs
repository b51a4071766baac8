//! How sources are looked up: as the configuration says it, and as `status` tells it.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};

use crate::{
    api,
    kernel::{EngineKind, EngineSettings, EngineState, InFlat, Kernel},
};

/// `engine = "KIND"`, or the table `[engine]`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EngineConfig(pub(super) EngineSettings);

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    // As in `engine = "flat"` without the table.
    #[serde(alias = "engine")]
    kind: EngineKind,
    memory: Option<Memory>,
}

/// An amount of memory in bytes: `"512 MiB"`.
#[derive(Clone, Copy, Debug)]
struct Memory(u64);

impl<'de> Deserialize<'de> for EngineConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherWay)
    }
}

struct EitherWay;

impl<'de> Visitor<'de> for EitherWay {
    type Value = EngineConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\", \"lpm\" or \"flat\", or a table with `kind` and `memory`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<EngineConfig, E> {
        let kind = EngineKind::deserialize(StrDeserializer::new(text))?;
        Ok(EngineConfig(EngineSettings { kind, ..EngineSettings::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EngineConfig, A::Error> {
        let Table { kind, memory } = Table::deserialize(MapAccessDeserializer::new(map))?;
        let memory = memory.map_or(EngineSettings::default().memory, |Memory(bytes)| bytes);
        Ok(EngineConfig(EngineSettings { kind, memory }))
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: u64 = match text[digits.len()..].trim() {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        let bytes = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(|| {
            Error::custom(format!("'{text}' is no amount of memory: write it as \"512 MiB\""))
        })
    }
}

/// How sources are looked up at present.
#[derive(Clone, Debug)]
pub(super) struct Engines {
    state: EngineState,
    in_flat: BTreeMap<u16, InFlat>,
}

impl Engines {
    pub(super) fn of(kernel: &Kernel) -> Self {
        Self { state: kernel.engine(), in_flat: kernel.in_flat() }
    }

    pub(super) fn status(&self) -> api::EngineStatus {
        let EngineState { settings: EngineSettings { kind, memory }, memory: used, .. } =
            self.state;
        let kind = match kind {
            EngineKind::Auto => api::EngineKind::Auto,
            EngineKind::Lpm => api::EngineKind::Lpm,
            EngineKind::Flat => api::EngineKind::Flat,
        };
        api::EngineStatus { kind, memory_used: used, memory_limit: memory }
    }

    /// What the entries of the service with a number are in.
    pub(super) fn of_service(&self, number: u16) -> api::ServiceEngines {
        let InFlat { v4, v6 } = self.in_flat.get(&number).copied().unwrap_or_default();
        let engine = |is_flat| if is_flat { api::Engine::Flat } else { api::Engine::Lpm };
        api::ServiceEngines { ipv4: v4.map(engine), ipv6: v6.map(engine) }
    }

    /// What the operator should know of it.
    pub(super) fn warning(&self) -> Option<String> {
        let EngineState { settings, has_flat, memory } = self.state;
        if settings.kind == EngineKind::Flat && !has_flat {
            return Some(
                "the engine is lpm, for this kernel has no flat memory: it does not call functions beside tail calls, which \
                 Linux does on arm64 from 6.0 on"
                    .into(),
            );
        }
        // So it was when the daemon started, or when the clock was set: what is in force stays so.
        (memory > settings.memory).then(|| {
            let [used, limit] = [memory, settings.memory].map(|bytes| bytes.div_ceil(1 << 20));
            format!(
                "entries take {used} MiB of the kernel's memory and may take {limit}: changes that need more are refused; \
                 raise `memory` under [engine] in the configuration and restart allowlistd, or use fewer entries"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct File {
        engine: EngineConfig,
    }

    #[test]
    fn a_kind_alone_and_a_table_are_read() {
        let defaults = EngineSettings::default();
        let mebibytes = |mebibytes: u64| mebibytes << 20;
        let table = [
            ("", defaults),
            ("engine = \"auto\"", defaults),
            ("engine = \"lpm\"", EngineSettings { kind: EngineKind::Lpm, ..defaults }),
            ("engine = \"flat\"", EngineSettings { kind: EngineKind::Flat, ..defaults }),
            ("[engine]", defaults),
            ("[engine]\nkind = \"flat\"", EngineSettings { kind: EngineKind::Flat, ..defaults }),
            ("[engine]\nengine = \"lpm\"", EngineSettings { kind: EngineKind::Lpm, ..defaults }),
            ("[engine]\nmemory = \"64 MiB\"", EngineSettings { memory: mebibytes(64), ..defaults }),
            ("[engine]\nmemory = \"2GiB\"", EngineSettings { memory: mebibytes(2048), ..defaults }),
            (
                "engine = { memory = \"1024 KiB\" }",
                EngineSettings { memory: mebibytes(1), ..defaults },
            ),
        ];
        for (text, expected) in table {
            let file: File = toml::from_str(text).unwrap();
            assert_eq!(file.engine.0, expected, "{text}");
        }
    }
}
