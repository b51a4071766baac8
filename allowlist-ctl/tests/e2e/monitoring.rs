//! The dashboard and the alerts that come with it, and the guide to them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::INTERFACE;

use super::support::{CTL, METRICS, Outcome, Server, promtool};

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

/// The commands of a guide, in their order.
fn commands(guide: &str) -> String {
    let blocks = guide.split("```sh\n").skip(1);
    let commands = blocks.filter_map(|block| block.split("```").next());
    commands.collect::<Vec<_>>().join("\n")
}

#[test]
fn whoever_types_what_the_guide_says_sees_an_alert_fire_and_end() -> Result<()> {
    let server = Server::prepare(&[])?;
    let commands = commands(&fs::read_to_string(shipped("alerts.md"))?);
    ensure!(commands.contains("prometheus --config.file"), "{commands}");
    // The usual places of everything are the test's own; so are its processes, which end with the shell.
    let root = server.path("root");
    for directory in ["etc/prometheus", "run", "log", "lib", "tmp"] {
        fs::create_dir_all(root.join(directory))?;
    }
    let script = format!(
        r"
        set -eu
        mount --bind {bpffs} /sys/fs/bpf
        cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache {root}/etc
        mount --bind {root}/etc /etc
        mount --bind {root}/lib /var/lib
        mount --bind {root}/log /var/log
        mount --bind {root}/run /run
        PATH={programs}:$PATH
        cd {project}
        {commands}
        ",
        // The project itself may lie below /tmp, which therefore stays where it is.
        commands = commands.replace("/tmp/", &format!("{}/tmp/", root.display())),
        bpffs = server.bpffs().display(),
        root = root.display(),
        programs = PathBuf::from(CTL).parent().context("no directory")?.display(),
        project = shipped("..").display(),
    );
    let outcome: Outcome = server
        .network
        .server
        .namespace
        .command("timeout")
        .args(["120", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["bash", "-c", &script])
        .output()?
        .into();
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ensure!(outcome.stdout.contains("service=\"trial\""), "{outcome:?}");
    let log = fs::read_to_string(root.join("log/allowlistd.log"))?;
    ensure!(log.contains("serving metrics"), "{log}");
    Ok(())
}
