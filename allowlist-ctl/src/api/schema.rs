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
