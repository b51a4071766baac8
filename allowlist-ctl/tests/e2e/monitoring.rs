//! The dashboard and the alerts that come with it, and the guide to them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use xtask::lab::INTERFACE;

use super::support::{METRICS, Server, promtool};

/// Prometheus makes this one, of each scrape.
const UP: &str = "up";

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(name)
}

/// The names of metrics in an expression: words with an underscore that are neither functions nor labels.
fn metrics(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| {
        *word == UP || word.starts_with("allowlist_") || word.starts_with("process_")
    });
    ours.map(ToOwned::to_owned).collect()
}

/// The expressions in a document.
fn expressions(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => {
                        found.push(text.clone());
                    }
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn the_alert_rules_are_sound_and_fire_when_they_are_to() -> Result<()> {
    let rules = shipped("monitoring/alerts.yml").display().to_string();
    promtool(&["check", "rules", "--lint-fatal", &rules], "")?;
    let tests = shipped("monitoring/alerts_test.yml").display().to_string();
    promtool(&["test", "rules", &tests], "")?;
    // Each of them, or its test would be missing.
    let (rules, tests) = (fs::read_to_string(rules)?, fs::read_to_string(tests)?);
    let alerts: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    ensure!(alerts.len() >= 6, "{alerts:?}");
    for alert in alerts {
        let fires = tests.split("- eval_time:").any(|case| {
            case.contains(&format!("alertname: {alert}\n")) && case.contains("exp_alerts:")
        });
        ensure!(fires, "no test has {alert} fire");
    }
    Ok(())
}

#[test]
fn every_metric_that_dashboard_and_alerts_name_is_one() -> Result<()> {
    let server = Server::with_options(&["--interface", INTERFACE, "--metrics", METRICS])?;
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
    let entry = json!({"entry": "10.1.0.0/16", "expires_at": "2999-01-01T00:00:00Z"});
    server.make("POST /v1/lists/web/add", &json!({"entries": [entry]}))?;
    let scrape = server.scrape()?;
    let known = scrape.names();

    let dashboard = fs::read_to_string(shipped("monitoring/dashboard.json"))?;
    let mut queries = Vec::new();
    expressions(&serde_json::from_str(&dashboard)?, &mut queries);
    ensure!(queries.len() > 20, "{queries:?}");
    let rules = fs::read_to_string(shipped("monitoring/alerts.yml"))?;
    let of_rules = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    queries.extend(of_rules.map(ToOwned::to_owned));
    let named: BTreeSet<String> = queries.iter().flat_map(|query| metrics(query)).collect();
    ensure!(named.len() > 15, "{named:?}");
    let unknown: Vec<_> =
        named.iter().filter(|name| *name != UP && !known.contains(name.as_str())).collect();
    ensure!(unknown.is_empty(), "there are no such metrics: {unknown:?}");
    Ok(())
}
