//! How texts look that have no type of their own.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A network interface's name.
pub(crate) enum InterfaceName {}

impl JsonSchema for InterfaceName {
    fn schema_name() -> Cow<'static, str> {
        "InterfaceName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A network interface's name: at most 15 bytes, and neither '.' nor '..'.",
            "pattern": r"^[^/:\s\u0000-\u001f\u007f-\u009f]{1,15}$",
            "examples": ["eth0"],
        })
    }
}

/// An entry as it is written.
pub(super) enum EntryText {}

impl JsonSchema for EntryText {
    fn schema_name() -> Cow<'static, str> {
        "EntryText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An address, a prefix without host bits or a range; `!` before it makes an except.",
            "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"pattern": r"^(!\s*)?\s*[0-9A-Fa-f.:]+(/[0-9]+|\s*-\s*[0-9A-Fa-f.:]+\s*)?$"}],
            "examples": [
                "203.0.113.7", "203.0.113.0/24", "2001:db8::/32", "10.0.0.1-10.0.0.9", "!203.0.113.64/26",
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::SshSession,
        policy::{Name, Prefix, entry::parse_keys, port::Ports},
    };

    #[test]
    fn every_example_can_be_read() {
        type Reads = fn(&str) -> bool;
        let table: [(Schema, Reads); 5] = [
            (schemars::schema_for!(Name), |text| text.parse::<Name>().is_ok()),
            (schemars::schema_for!(Ports), |text| text.parse::<Ports>().is_ok()),
            (schemars::schema_for!(Prefix), |text| text.parse::<Prefix>().is_ok()),
            (schemars::schema_for!(SshSession), |text| text.parse::<SshSession>().is_ok()),
            (schemars::schema_for!(EntryText), |text| parse_keys(text).is_ok()),
        ];
        for (schema, reads) in table {
            let examples = schema.get("examples").unwrap().as_array().unwrap();
            assert!(!examples.is_empty());
            for example in examples {
                assert!(reads(example.as_str().unwrap()), "{example}");
            }
        }
    }
}
