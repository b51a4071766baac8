//! How sources are looked up, as the configuration says it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};

use crate::kernel::{EngineKind, EngineSettings};

/// `engine = "KIND"`, or the table `[engine]`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EngineConfig(pub(super) EngineSettings);

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
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
