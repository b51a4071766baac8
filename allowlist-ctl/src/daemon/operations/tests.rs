use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{document::document, operations, router, schemas::references};

fn description() -> Value {
    document(&operations())
}

/// Each operation with its method and path.
fn described(description: &Value) -> Vec<(String, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &'_ Value)| {
        let named = |method: &String| format!("{method} {path}");
        methods.as_object().unwrap().keys().map(named).collect::<Vec<_>>()
    };
    let names: Vec<String> = paths.iter().flat_map(of_path).collect();
    let operation = |name: String| {
        let (method, path) = name.split_once(' ').unwrap();
        let operation = &description["paths"][path][method];
        (name, operation)
    };
    names.into_iter().map(operation).collect()
}

#[test]
fn the_served_description_is_the_document() {
    let (_, served) = router();
    assert_eq!(serde_json::from_slice::<Value>(&served).unwrap(), description());
}

#[test]
fn every_reference_leads_to_a_schema_and_every_schema_is_referred_to() {
    let mut description = description();
    let known: BTreeSet<String> =
        description["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    let mut named = BTreeSet::new();
    references(&mut description, &mut |reference| {
        let name = reference.strip_prefix("#/components/schemas/").unwrap_or(reference);
        named.insert(name.to_owned());
    });
    assert_eq!(named, known);
}

#[test]
fn every_operation_has_what_an_operation_needs() {
    let description = description();
    let mut ids = BTreeSet::new();
    for (name, operation) in described(&description) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{name}: {id} is taken");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path: Vec<String> = parameters
            .iter()
            .filter(|one| one["in"] == "path" && one["required"] == true)
            .map(|one| format!("{{{}}}", one["name"].as_str().unwrap()))
            .collect();
        let wanted: Vec<&str> = name.split('/').filter(|part| part.starts_with('{')).collect();
        assert_eq!(in_path, wanted, "{name}");
        for parameter in parameters {
            assert!(parameter["schema"].is_object(), "{name}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
            assert!(response["content"].is_object(), "{name} {status}");
        }
    }
    assert_eq!(ids.len(), operations().len());
}

#[test]
fn every_operation_tells_how_it_can_fail() {
    let description = description();
    let told = |name: &str| -> Vec<u16> {
        let all = described(&description);
        let (_, operation) = all.into_iter().find(|(known, _)| known == name).unwrap();
        let responses = operation["responses"].as_object().unwrap();
        responses.keys().map(|status| status.parse().unwrap()).collect()
    };
    let table: [(&str, &[u16]); 6] = [
        ("get /v1/status", &[200, 403, 500, 503]),
        ("get /v1/audit", &[200, 400, 403, 500, 503]),
        ("get /v1/lists/{name}", &[200, 400, 403, 404, 500, 503]),
        ("post /v1/confirm", &[200, 400, 403, 404, 408, 409, 412, 413, 500, 503]),
        ("post /v1/shutdown", &[200, 400, 403, 408, 413, 500, 503]),
        ("put /v1/policy", &[200, 400, 403, 404, 408, 409, 412, 413, 500, 503]),
    ];
    for (name, statuses) in table {
        assert_eq!(told(name), statuses, "{name}");
    }
}

#[test]
fn options_of_a_change_are_parameters() {
    let description = description();
    let parameters = &description["paths"]["/v1/policy"]["put"]["parameters"];
    let schemas: Value = parameters
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap().to_owned(), one["schema"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let flag = json!({"type": "boolean", "default": false});
    assert_eq!(
        schemas,
        json!({
            "yes": flag, "force": flag, "dry_run": flag,
            "confirm": {"type": "integer", "format": "uint64", "minimum": 1, "maximum": 604_800},
            "session": {"$ref": "#/components/schemas/SshSession"},
            "if_revision": {"type": "integer", "format": "uint64", "minimum": 0},
        })
    );
}

#[test]
fn a_type_that_is_read_and_told_has_two_schemas_where_they_differ() {
    let description = description();
    let schemas = &description["components"]["schemas"];
    assert_eq!(schemas["PolicyDocument"]["required"], json!(["service", "group"]));
    assert_eq!(schemas["PolicyDocumentRequest"]["required"], Value::Null);
    assert_eq!(schemas["PolicyDocumentRequest"]["additionalProperties"], false);
    let service = &schemas["PolicyDocumentRequest"]["properties"]["service"];
    let services = service["patternProperties"].as_object().unwrap();
    let schema = services.values().next().unwrap();
    assert_eq!(schema["$ref"], "#/components/schemas/ServiceDocumentRequest");
    assert_eq!(schemas["NameRequest"], Value::Null);
}

/// The guide's page about all this.
const GUIDE: &str = include_str!("../../../../docs/reference/api.md");

/// The rows of the page's table that is headed so.
fn rows_of_the_guide(heading: &str) -> Vec<&'static str> {
    let (_, table) = GUIDE.split_once(heading).unwrap();
    table.lines().skip(2).take_while(|line| line.starts_with("| ")).collect()
}

#[test]
fn the_guide_lists_every_operation_with_its_role() {
    let row = |it: &super::Operation| {
        let method = it.method.to_uppercase();
        format!("| `{method} {}` | {} | {} |", it.path, it.role.told(), it.summary)
    };
    let expected: Vec<String> = operations().iter().map(row).collect();
    let listed = rows_of_the_guide("| request | for | does |");
    assert_eq!(listed, expected, "docs/reference/api.md should have\n{}", expected.join("\n"));
}

#[test]
fn the_guide_lists_every_code_with_its_status() {
    let failures = operations().into_iter().flat_map(|operation| operation.failures);
    let expected: BTreeSet<(String, String)> = failures
        .map(|code| (json!(code).as_str().unwrap().to_owned(), code.http_status().to_string()))
        .collect();
    let cells = |row: &str| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    };
    let listed: BTreeSet<(String, String)> =
        rows_of_the_guide("| code | status | means |").into_iter().map(cells).collect();
    assert_eq!(listed, expected);
}
