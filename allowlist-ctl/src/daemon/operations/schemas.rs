//! The schemas of types, each under one name: as it is read, as it is told, or both where that is the same.

use std::collections::BTreeSet;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::operation::Shape;

/// Where a description keeps its schemas.
const PATH: &str = "#/components/schemas/";
/// Where those of requests are before it is known which of them are the same.
const REQUESTS: &str = "#/components/requests/";
/// Behind the name of a type that is read otherwise than it is told: what has a default may be left out.
const READ: &str = "Request";

/// Gathers the schemas.
pub(super) struct Schemas {
    told: SchemaGenerator,
    read: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let at = |path: &str| {
            let path = path.trim_matches(['#', '/']).to_owned();
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = format!("/{path}").into();
                settings.meta_schema = None;
            })
        };
        Self {
            told: at(PATH).for_serialize().into_generator(),
            read: at(REQUESTS).for_deserialize().into_generator(),
        }
    }

    /// The schema of something that is answered.
    pub(super) fn told(&mut self, shape: Shape) -> Value {
        shape(&mut self.told).to_value()
    }

    /// The schema of something that is asked.
    pub(super) fn read(&mut self, shape: Shape) -> Value {
        shape(&mut self.read).to_value()
    }

    /// Gives all schemas, and each reference of the description its place.
    pub(super) fn finish(mut self, description: &mut Value) -> Map<String, Value> {
        let mut schemas = self.told.take_definitions(true);
        let mut read = self.read.take_definitions(true);
        let different = different(&read, &schemas);
        let mut place = |reference: &mut String| {
            let Some(name) = reference.strip_prefix(REQUESTS) else { return };
            let suffix = if different.contains(name) { READ } else { "" };
            *reference = format!("{PATH}{name}{suffix}");
        };
        references(description, &mut place);
        for (name, mut schema) in std::mem::take(&mut read) {
            references(&mut schema, &mut place);
            let suffix = if different.contains(&name) { READ } else { "" };
            schemas.insert(name + suffix, schema);
        }
        schemas
    }
}

/// The names of the types that are read otherwise than they are told, or have one in them.
fn different(read: &Map<String, Value>, told: &Map<String, Value>) -> BTreeSet<String> {
    let mut different = BTreeSet::new();
    loop {
        let before = different.len();
        for (name, schema) in read {
            let Some(told) = told.get(name) else { continue };
            let mut schema = schema.clone();
            let mut has_different = false;
            references(&mut schema, &mut |reference| {
                if let Some(name) = reference.strip_prefix(REQUESTS) {
                    has_different |= different.contains(name);
                    *reference = format!("{PATH}{name}");
                }
            });
            if has_different || schema != *told {
                different.insert(name.clone());
            }
        }
        if different.len() == before {
            return different;
        }
    }
}

/// Visits the references in a document.
pub(super) fn references(document: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match document {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(reference) if name == "$ref" => visit(reference),
                    value => references(value, visit),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| references(value, visit)),
        _ => {}
    }
}
