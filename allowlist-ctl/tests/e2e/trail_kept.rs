//! The audit trail as it is kept: found, whole, and in the log as well.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{support::Server, trail::too_much};

fn entry(entry: &str) -> Value {
    json!({"entries": [{ "entry": entry }]})
}

fn ports(port: &str) -> Value {
    json!({ "ports": [port] })
}

#[test]
fn rows_are_found_by_name_time_and_number() -> Result<()> {
    let server = Server::with_options(&[])?;
    let many: Vec<Value> =
        (0..600).map(|n| json!(format!("10.1.{}.{}", n / 250, n % 250))).collect();
    let service = |port: &str, entries: &[Value]| json!({"ports": [port], "entries": entries});
    let policy = json!({"service": {
        "alpha": service("tcp/1", &many), "omega": service("tcp/2", &[json!("10.0.0.1")])
    }});
    server.make("PUT /v1/policy", &policy)?;
    // More than are told one by one, and of another list than those that are.
    let changed = json!({"service": {
        "alpha": service("tcp/1", &[json!("10.0.0.1")]), "omega": service("tcp/2", &many)
    }});
    server.make("PUT /v1/policy", &changed)?;
    let middle = Timestamp::now();
    server.make("POST /v1/lists/omega/add", &entry("10.0.0.2"))?;
    server.make("POST /v1/lists/alpha/add", &entry("10.0.0.3"))?;
    let ids = |query: &str| -> Result<Vec<i64>> {
        let found = server.get(&format!("/v1/audit?{query}"))?;
        let rows = found["rows"].as_array().context("no rows")?;
        Ok(rows.iter().filter_map(|row| row["id"].as_i64()).collect())
    };
    let since = format!("since={middle}");
    let table: [(&str, &[i64]); 8] = [
        ("", &[1, 2, 3, 4]),
        ("name=omega", &[1, 2, 3]),
        ("name=alpha", &[1, 2, 4]),
        ("name=none", &[]),
        (&since, &[3, 4]),
        (&format!("{since}&name=alpha"), &[4]),
        ("limit=2", &[3, 4]),
        ("limit=1&name=omega", &[3]),
    ];
    for (query, expected) in table {
        ensure!(ids(query)? == expected, "{query}: {:?}", ids(query)?);
    }
    for query in ["limit=x", "since=yesterday", "nmae=alpha"] {
        server.ask(&format!("GET /v1/audit?{query}"), &Value::Null)?.refused(400, "invalid")?;
    }
    Ok(())
}

/// Alters the database while no daemon runs.
#[test]
fn the_command_line_shows_the_trail() -> Result<()> {
    let server = Server::with_options(&[])?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.0.0.1", "--comment", "a visitor"])?;
    server.fails(&["remove", "redis", "10.0.0.1"], 5, "accessible to everyone")?;
    server.done(&["group", "office"])?;
    let told = server.done(&["audit"])?;
    for said in ["+ service redis: tcp/6379", "+ redis 10.0.0.1/32 # a", "refused", "office"] {
        ensure!(told.contains(said), "{said}: {told}");
    }
    let told = server.done(&["audit", "--name", "redis", "--since", "1h", "--limit", "1"])?;
    ensure!(told.contains("refused") && !told.contains("office"), "{told}");
    let trail = server.json(&["audit", "--name", "redis"])?;
    let rows: Vec<_> = trail["rows"].as_array().context("no rows")?.iter().collect();
    ensure!(rows.len() == 3 && rows[2]["result"] == "refused", "{trail}");
    let told = server.done(&["audit", "--verify"])?;
    let (told, hash) = told.split_once("with this hash:\n").context("no hash")?;
    ensure!(told.starts_with("The audit trail is whole: 4 rows, 1 to 4\n"), "{told}");
    ensure!(server.log().contains(&format!("audit=4 hash={}", hash.trim())), "{hash}");
    Ok(())
}

fn alter(database: &Path, statement: &str) -> Result<()> {
    let connection = Connection::open(database)?;
    let altered = connection.execute(statement, [])?;
    ensure!(altered > 0, "{statement} altered nothing");
    Ok(())
}

#[test]
fn rows_survive_a_kill_and_what_is_altered_is_named() -> Result<()> {
    let mut server = Server::with_options(&[])?;
    server.make("PUT /v1/services/redis", &ports("tcp/6379"))?;
    for number in 1..5 {
        server.make("POST /v1/lists/redis/add", &entry(&format!("10.0.0.{number}")))?;
    }
    server.ask("POST /v1/lists/none/add", &entry("10.0.0.9"))?.refused(404, "not_found")?;
    let rows = server.trail()?;
    server.daemon()?.kill()?;
    server.start()?;
    ensure!(server.trail()? == rows && rows.len() == 6);
    ensure!(server.get("/v1/audit/verify")?["broken"].is_null());

    let (state, kept) = (server.path("state"), server.path("kept"));
    server.daemon()?.terminate()?;
    fs::create_dir(&kept)?;
    let copy = |from: &Path, to: &Path| -> Result<()> {
        for file in fs::read_dir(to)? {
            fs::remove_file(file?.path())?;
        }
        for file in fs::read_dir(from)? {
            let file = file?;
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
        Ok(())
    };
    copy(&state, &kept)?;
    for (statement, id, what) in [
        ("UPDATE audit SET uid = 4001 WHERE id = 3", 3, "altered"),
        ("UPDATE audit SET message = 'nothing was wrong' WHERE id = 6", 6, "altered"),
        ("UPDATE audit_subject SET name = 'web' WHERE id = 2", 2, "altered"),
        ("DELETE FROM audit WHERE id = 4", 4, "missing"),
        ("DELETE FROM audit WHERE id = 6", 6, "missing_at_end"),
        ("DELETE FROM audit WHERE id < 3", 1, "missing_at_beginning"),
    ] {
        alter(&state.join("allowlist.db"), statement)?;
        server.start()?;
        server.fails(&["audit", "--verify"], 1, "is not as it was written")?;
        let verified = server.get("/v1/audit/verify")?;
        ensure!(verified["broken"] == json!({"id": id, "what": what}), "{statement}: {verified}");
        // What comes afterwards does not mend it.
        server.make("POST /v1/lists/redis/add", &entry("10.0.0.8"))?;
        let verified = server.get("/v1/audit/verify")?;
        ensure!(verified["broken"]["id"] == id, "{statement}, and a row more: {verified}");
        server.daemon()?.terminate()?;
        copy(&kept, &state)?;
        // What is put back is older than what is in force.
        ensure!(server.allowlistd(&["--detach"]).status()?.success());
    }
    server.start()?;
    ensure!(server.trail()? == rows);
    Ok(())
}

#[test]
fn the_log_has_a_line_for_each_row() -> Result<()> {
    let mut server = Server::prepare(&[])?;
    let config = server.write("allowlistd.toml", "[log]\nformat = \"json\"\n")?;
    server.set_options(&["--config", &config]);
    server.start()?;
    server.make("PUT /v1/services/redis", &ports("tcp/6379"))?;
    server.make("POST /v1/lists/redis/add?confirm=600", &entry("10.0.0.1"))?;
    server.make("POST /v1/confirm", &Value::Null)?;
    server.ask("DELETE /v1/services/redis", &Value::Null)?.refused(409, "unconfirmed")?;
    let failed = server.ask("PUT /v1/policy?yes=true", &too_much())?;
    failed.refused(500, "failed")?;
    let rows = server.trail()?;
    let mut lines: BTreeMap<i64, Value> = BTreeMap::new();
    for line in server.log().lines() {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if let Some(id) = line["fields"]["audit"].as_i64() {
            ensure!(lines.insert(id, line.clone()).is_none(), "twice: {line}");
        }
    }
    ensure!(lines.len() == rows.len() && rows.len() == 5, "{lines:?}");
    for row in rows {
        let id = row["id"].as_i64().context("no id")?;
        let fields = &lines.get(&id).with_context(|| format!("no line of {row}"))?["fields"];
        for (field, expected) in [
            ("hash", &row["hash"]),
            ("from", &row["from_revision"]),
            ("revision", &row["to_revision"]),
            ("action", &row["action"]),
            ("by", &row["author"]["name"]),
            ("uid", &row["author"]["uid"]),
            ("result", &row["result"]),
        ] {
            ensure!(fields[field] == *expected, "{field} of {fields}, {row}");
        }
        let action = row["action"].as_str().context("no action")?;
        let said = fields["message"].as_str().context("no message")?;
        ensure!(said.starts_with(action), "{fields}");
    }
    Ok(())
}

#[test]
fn who_took_the_filter_off_is_in_the_trail() -> Result<()> {
    let mut server = Server::new()?;
    server.allowlistd(&["--detach"]).output()?;
    server.start()?;
    let row = server.trail()?.pop().context("no row")?;
    ensure!(row["action"] == "shutdown" && row["result"] == "done", "{row}");
    ensure!(row["message"] == "took the filter off every interface", "{row}");
    ensure!(row["author"]["name"] == "root", "{row}");
    // Stopping it otherwise changes nothing.
    server.restart()?;
    ensure!(server.trail()?.len() == 1);
    Ok(())
}
