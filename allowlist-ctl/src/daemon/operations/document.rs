//! The description of the interface, an `OpenAPI` 3.1 document.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{
    operation::{Body, Operation},
    schemas::Schemas,
};
use crate::{
    api::{DEFAULT_SOCKET, ErrorCode, Failure, InterfaceName},
    policy::Name,
};

/// The description of these operations.
pub(super) fn document(operations: &[Operation]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_default();
        path.insert(operation.method.to_owned(), described(operation, &mut schemas));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Allowlist",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "HTTP/1.1 over the daemon's Unix socket, {DEFAULT_SOCKET} unless configured otherwise: \
                 `curl --unix-socket {DEFAULT_SOCKET} http://localhost/v1/status`. The caller's role follows from the \
                 user and groups of the process at the other end. Every failure is answered with a `Failure`. A \
                 method that is not described here is answered with 405."
            ),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "http://localhost", "description": "The daemon at its Unix socket"}],
        "paths": paths,
    });
    let schemas = schemas.finish(&mut document);
    document["components"] = json!({ "schemas": schemas });
    document
}

fn described(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut parameters: Vec<Value> = path_parameter(operation.path, schemas).into_iter().collect();
    parameters.extend(
        operation.query.into_iter().flat_map(|query| query_parameters(schemas.read(query))),
    );
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": format!("For {}.", operation.role.told()),
        "parameters": parameters,
        "responses": responses(operation, schemas),
    });
    if let Some(body) = &operation.body {
        described["requestBody"] = request_body(body, schemas);
    }
    described
}

/// The one parameter that a path may have.
fn path_parameter(path: &str, schemas: &mut Schemas) -> Option<Value> {
    let (before, rest) = path.split_once('{')?;
    let (name, _) = rest.split_once('}')?;
    let schema = if before == "/v1/interfaces/" {
        schemas.read(SchemaGenerator::subschema_for::<InterfaceName>)
    } else {
        schemas.read(SchemaGenerator::subschema_for::<Name>)
    };
    Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
}

/// The fields of a query's type as parameters.
fn query_parameters(mut query: Value) -> Vec<Value> {
    let required = query["required"].take();
    let is_required = |name: &str| {
        required.as_array().is_some_and(|required| required.iter().any(|one| one == name))
    };
    let Value::Object(fields) = query["properties"].take() else { return Vec::new() };
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema["description"].take();
        json!({
            "name": name,
            "in": "query",
            "required": is_required(&name),
            "description": description,
            "schema": without_null(schema),
        })
    };
    fields.into_iter().map(parameter).collect()
}

/// The schema of a text in a query, where null cannot be written: what has no value is left out.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array_mut() {
        types.retain(|one| one != "null");
        if let [one] = types.as_mut_slice() {
            schema["type"] = one.take();
        }
    }
    if let Some(options) = schema["anyOf"].as_array_mut() {
        options.retain(|option| option["type"] != "null");
        if let [one] = options.as_mut_slice() {
            return one.take();
        }
    }
    // Reading a field that is not there makes it null.
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    schema
}

fn request_body(body: &Body, schemas: &mut Schemas) -> Value {
    let mut content = json!({ "application/json": {"schema": schemas.read(body.shape)} });
    if let Some(lines) = body.lines {
        content["text/plain"] = json!({ "schema": {"type": "string", "description": lines} });
    }
    json!({ "required": body.is_required, "content": content })
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let failure = schemas.told(SchemaGenerator::subschema_for::<Failure>);
    let answer = |description: String, content_type: &str, schema: Value| json!({ "description": description, "content": {content_type: {"schema": schema}} });
    let mut codes: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in &operation.failures {
        let of_status = codes.entry(code.http_status()).or_default();
        if !of_status.contains(code) {
            of_status.push(*code);
        }
    }
    let mut responses: Map<String, Value> = codes
        .into_iter()
        .map(|(status, codes)| {
            let codes: Vec<String> =
                codes.iter().map(|code| format!("`{}`", word(*code))).collect();
            (status.to_string(), answer(codes.join(", "), "application/json", failure.clone()))
        })
        .collect();
    let busy = "`failed`: too many connections are open at once".to_owned();
    responses.insert("503".into(), answer(busy, "application/json", failure));
    let reply = schemas.told(operation.reply);
    responses.insert("200".into(), answer("It is so".into(), operation.content_type, reply));
    responses.into()
}

/// A code as it is written.
fn word(code: ErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(Value::String(word)) => word,
        _ => format!("{code:?}"),
    }
}
