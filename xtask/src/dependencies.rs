//! CONTRIBUTING.md says of each dependency what it is for, in a table that is compared here with the manifests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use serde_json::Value;

use crate::{binaries, output};

/// The workspace, and what is built apart from it.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "allowlist-common/fuzz/Cargo.toml"];

/// Crates, each with who uses it, such as `xtask` or `allowlist-ctl (tests)`.
type Users = BTreeMap<String, BTreeSet<String>>;

#[test]
fn each_dependency_has_a_line_that_says_what_it_is_for_and_each_line_a_dependency() {
    let mut used = Users::new();
    for manifest in MANIFESTS {
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
        cargo.arg("--manifest-path").arg(binaries::root().join(manifest));
        add(&mut used, &serde_json::from_str(&output(&mut cargo).unwrap()).unwrap());
    }
    let text = fs::read_to_string(binaries::root().join("CONTRIBUTING.md")).unwrap();
    let complaints = compare(&used, &text);
    assert!(complaints.is_empty(), "CONTRIBUTING.md, Dependencies:\n{}", complaints.join("\n"));
}

/// Adds what cargo says of packages and their dependencies.
fn add(used: &mut Users, metadata: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for package in list(&metadata["packages"]) {
        let package_name = package["name"].as_str().unwrap();
        let dependencies = list(&package["dependencies"]);
        let is_linked = |name: &Value| {
            dependencies.iter().any(|other| other["name"] == *name && other["kind"].is_null())
        };
        // The project's own crates need no reason, and one that is linked none for its tests.
        for dependency in dependencies.iter().filter(|one| one["path"].is_null()) {
            let by = match dependency["kind"].as_str() {
                None => package_name.to_owned(),
                Some(_) if is_linked(&dependency["name"]) => continue,
                Some("dev") => format!("{package_name} (tests)"),
                Some(kind) => format!("{package_name} ({kind})"),
            };
            let name = dependency["name"].as_str().unwrap().to_owned();
            used.entry(name).or_default().insert(by);
        }
    }
}

/// What is wrong with the table in this text, in sentences.
fn compare(used: &Users, text: &str) -> Vec<String> {
    let section = text.split("\n## ").find(|section| section.starts_with("Dependencies\n"));
    let rows = section.unwrap_or_default().lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (users, reason) = rest.split_once(" | ")?;
        let users: BTreeSet<_> = users.split(", ").map(str::to_owned).collect();
        Some((name.to_owned(), users, reason.trim_end_matches('|').trim()))
    });
    let mut complaints = Vec::new();
    let mut told = BTreeSet::new();
    for (name, users, reason) in rows {
        match used.get(&name) {
            None => complaints.push(format!("{name} has a line, and nothing depends on it")),
            Some(real) if *real != users => {
                complaints.push(format!("{name} is used by {real:?}, not {users:?}"));
            }
            Some(_) => {}
        }
        if reason.is_empty() {
            complaints.push(format!("{name} has no reason"));
        }
        if !told.insert(name.clone()) {
            complaints.push(format!("{name} has two lines"));
        }
    }
    let untold = used.keys().filter(|name| !told.contains(*name));
    complaints.extend(untold.map(|name| format!("{name} has no line")));
    complaints
}

#[test]
fn a_table_that_tells_something_else_than_the_manifests_is_complained_of() {
    let metadata = serde_json::json!({ "packages": [
        { "name": "a", "dependencies": [
            { "name": "one", "kind": null }, { "name": "one", "kind": "dev" },
            { "name": "own", "kind": null, "path": "/own" }, { "name": "two", "kind": "dev" },
        ] },
        { "name": "b", "dependencies": [{ "name": "one", "kind": "build" }] },
    ] });
    let mut used = Users::new();
    add(&mut used, &metadata);
    let (one, two) =
        ("| `one` | a, b (build) | counts |\n", "| `two` | a (tests) | counts, too |\n");
    for (name, table, expected) in [
        ("all told", format!("{one}{two}"), &[][..]),
        ("a dependency without a line", one.into(), &["two has no line"]),
        (
            "a line without a dependency",
            format!("{one}{two}| `three` | a | is gone |\n"),
            &["three has a line, and nothing depends on it"],
        ),
        ("two lines", format!("{one}{two}{one}"), &["one has two lines"]),
        ("no reason", format!("{one}| `two` | a (tests) | |\n"), &["two has no reason"]),
        (
            "another user",
            format!("{one}| `two` | b | counts, too |\n"),
            &[r#"two is used by {"a (tests)"}, not {"b"}"#],
        ),
    ] {
        let text = format!("# A\n\n## Dependencies\n\n{table}\n## B\n\n| `four` | a | not one |\n");
        assert_eq!(compare(&used, &text), expected, "{name}");
    }
    assert_eq!(compare(&used, "# A\n"), ["one has no line", "two has no line"], "no table");
}
