//! The audit trail: one row for each change, refusal and failure.

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::support::Server;

fn entry(entry: &str) -> Value {
    json!({"entries": [{ "entry": entry }]})
}

fn commented(entry: &str, comment: &str) -> Value {
    json!({"entries": [{"entry": entry, "comment": comment}]})
}

fn ports(port: &str) -> Value {
    json!({ "ports": [port] })
}

/// More sets of services that share a port by address than the kernel's table holds.
pub(crate) fn too_much() -> Value {
    let mut services = serde_json::Map::new();
    for number in 0..260 {
        for address in ["10.0.0.1", "10.0.0.2"] {
            let name = format!("s{number}-{}", &address[7..]);
            let port = format!("tcp/{}", 10_000 + number);
            services.insert(name, json!({"ports": [port], "addresses": [address]}));
        }
    }
    json!({ "service": services })
}

/// A request and the row that it leaves.
struct Case {
    line: &'static str,
    body: Value,
    status: u16,
    result: &'static str,
    action: &'static str,
    subjects: Value,
    /// A part of the message; nothing: there is none.
    message: &'static str,
    /// What the row tells of each thing that differs.
    details: Value,
}

fn case(line: &'static str, body: Value, action: &'static str, subjects: &[&str]) -> Case {
    Case {
        line,
        body,
        status: 200,
        result: "done",
        action,
        subjects: json!(subjects),
        message: "",
        details: Value::Null,
    }
}

impl Case {
    fn tells(self, message: &'static str) -> Self {
        Self { message, ..self }
    }

    fn of(self, items: &Value) -> Self {
        Self { details: json!({"items": items, "omitted": 0}), ..self }
    }

    fn refused(self, status: u16, message: &'static str) -> Self {
        Self { status, result: "refused", message, ..self }
    }

    fn check(&self, server: &Server) -> Result<()> {
        let (rows, revision) = (server.trail()?, server.revision()?);
        let dry = if self.line.contains('?') { "&dry_run=true" } else { "?dry_run=true" };
        // That has no dry run, and of a query that cannot be read it is not known.
        if self.action != "shutdown" && !self.line.contains("yse") {
            server.ask(&format!("{}{dry}", self.line), &self.body)?;
            ensure!(server.trail()? == rows, "a dry run left a row");
        }

        let before = Timestamp::now();
        let reply = server.ask(self.line, &self.body)?;
        ensure!(reply.status == self.status, "{reply:?}");
        let mut after = server.trail()?;
        let row = after.pop().context("no row")?;
        ensure!(after == rows, "not one row more: {row}, {after:?}");
        let last = rows.last().map_or(0, |row| row["id"].as_i64().unwrap_or_default());
        for (field, expected) in [
            ("id", json!(last + 1)),
            ("author", json!({"uid": 0, "name": "root"})),
            ("action", json!(self.action)),
            ("subjects", self.subjects.clone()),
            ("from_revision", json!(revision)),
            ("to_revision", json!(server.revision()?)),
            ("result", json!(self.result)),
        ] {
            ensure!(row[field] == expected, "{field} should be {expected}: {row}");
        }
        let time: Timestamp = row["time"].as_str().context("no time")?.parse()?;
        ensure!((before..=Timestamp::now()).contains(&time) || row["time"] == json!(before));
        ensure!(row["message"].as_str().unwrap_or_default().contains(self.message), "{row}");
        ensure!(row["message"].is_null() == self.message.is_empty(), "{row}");
        ensure!(self.details.is_null() || row["details"] == self.details, "{row}");
        let changed = self.result == "done" && server.revision()? > revision;
        ensure!(!changed || !row["details"]["items"][0].is_null(), "nothing is told: {row}");
        Ok(())
    }
}

fn check_all(server: &Server, cases: &[Case]) -> Result<()> {
    for case in cases {
        case.check(server).with_context(|| format!("{} {}", case.line, case.body))?;
    }
    Ok(())
}

#[test]
fn each_change_is_one_row_with_what_was_before_and_after() -> Result<()> {
    let server = Server::new()?;
    let told = |comment: Option<&str>| json!({"comment": comment, "expires_at": null});
    let differs = |before: Value, after: Value| {
        let what = json!({"what": "entry", "list": "redis", "entry": "10.77.0.2/32"});
        let mut what = what.as_object().cloned().unwrap_or_default();
        what.extend([
            ("origin".to_owned(), json!("manual")),
            ("before".to_owned(), before),
            ("after".to_owned(), after),
        ]);
        json!([what])
    };
    let add = "POST /v1/lists/redis/add";
    let file = server.write("office.txt", "192.0.2.1\n")?;
    let policy = json!({"service": {"redis": ports("tcp/6379"), "web": ports("tcp/80")}});
    let redis = &["redis"][..];
    check_all(
        &server,
        &[
            case("PUT /v1/services/redis", ports("tcp/6379"), "protect", redis),
            case(add, commented("10.77.0.2", "alice"), "add", redis)
                .of(&differs(Value::Null, told(Some("alice")))),
            case(add, commented("10.77.0.2", "her"), "add", redis)
                .of(&differs(told(Some("alice")), told(Some("her")))),
            case(
                "PUT /v1/lists/redis",
                json!({"entries": [{"entry": "192.0.2.9"}, {"entry": "10.77.0.2"}]}),
                "replace",
                redis,
            ),
            case("POST /v1/lists/redis/remove", entry("10.77.0.2"), "remove", redis)
                .of(&differs(told(None), Value::Null)),
            case("PUT /v1/services/redis/mode", json!({"mode": "monitor"}), "mode", redis)
                .tells("mode redis monitor"),
            case("PUT /v1/groups/office", Value::Null, "group", &["office"]).of(&json!([
                {"what": "group", "name": "office", "before": null, "after": {"follow": null}}
            ])),
            case("DELETE /v1/groups/office", Value::Null, "ungroup", &["office"]),
            case("PUT /v1/policy?yes=true", policy, "apply", &["redis", "web"]),
            case("POST /v1/rollback?yes=true", json!({"to": 1}), "rollback", &["web"])
                .tells("rollback to 1"),
            case("POST /v1/lists/redis/add?confirm=600", entry("10.77.0.2"), "add", redis),
            case("POST /v1/confirm", Value::Null, "confirm", &[]).tells("confirm add redis"),
            case("POST /v1/lists/redis/add?confirm=600", entry("10.77.0.3"), "add", redis),
            case("POST /v1/rollback", Value::Null, "rollback", redis)
                .tells("rollback of add redis"),
            case("DELETE /v1/interfaces/eth0?yes=true", Value::Null, "detach", &["eth0"]),
            case("PUT /v1/interfaces/eth0", Value::Null, "attach", &["eth0"]),
            case("DELETE /v1/services/redis?yes=true", Value::Null, "unprotect", redis),
        ],
    )?;
    // What changes nothing is no change.
    let rows = server.trail()?.len();
    server.make("PUT /v1/policy", &json!({}))?;
    server.make("PUT /v1/interfaces/eth0", &Value::Null)?;
    ensure!(server.trail()?.len() == rows);
    // One row: whoever has it followed answers for what is in it.
    server.make("PUT /v1/groups/office", &json!({"follow": file}))?;
    let trail = server.trail()?;
    let [group] = &trail[rows..] else { anyhow::bail!("{trail:?}") };
    ensure!(group["action"] == "group" && group["author"]["name"] == "root", "{group}");
    ensure!(group["details"]["items"][1]["entry"] == "192.0.2.1/32", "{group}");
    let verified = server.get("/v1/audit/verify")?;
    ensure!(verified["broken"].is_null() && verified["rows"] == trail.len(), "{verified}");
    ensure!(verified["head_hash"] == group["hash"], "{verified}");
    Ok(())
}

#[test]
fn each_refusal_and_failure_is_one_row() -> Result<()> {
    let server = Server::new()?;
    server.make("PUT /v1/groups/office", &Value::Null)?;
    server.make("PUT /v1/services/redis", &ports("tcp/6379"))?;
    server.make("POST /v1/lists/redis/add", &entry("10.77.0.2"))?;
    let web = json!({"ports": ["tcp/80"], "include": ["office"]});
    server.make("PUT /v1/services/web", &web)?;
    let before = (server.policy()?, server.revision()?);
    let add = "POST /v1/lists/redis/add";
    let add_redis = |body: Value| case(add, body, "add", &["redis"]);
    let two = json!({"entries": [{"entry": "x"}, {"entry": "y"}]});
    let not_known = json!({"detatch": true});
    let of_redis = &["redis"][..];
    check_all(
        &server,
        &[
            add_redis(entry("0.0.0.0/0")).refused(409, "covers every address"),
            case("POST /v1/lists/redis/remove", entry("10.77.0.2"), "remove", of_redis)
                .refused(409, "redis is accessible to everyone"),
            case("DELETE /v1/services/redis", Value::Null, "unprotect", of_redis)
                .refused(409, "redis is accessible to everyone"),
            case("DELETE /v1/interfaces/eth0", Value::Null, "detach", &["eth0"])
                .refused(409, "accessible to everyone on eth0"),
            case("PUT /v1/services/other", ports("tcp/6379"), "protect", &["other"])
                .refused(409, "overlaps"),
            case("DELETE /v1/groups/office", Value::Null, "ungroup", &["office"])
                .refused(409, "is included by web"),
            case("POST /v1/lists/redis/add?if_revision=1", entry("192.0.2.1"), "add", of_redis)
                .refused(412, "at revision 4, not 1"),
            case("PUT /v1/interfaces/eth0?if_revision=1", Value::Null, "attach", &["eth0"])
                .refused(412, "at revision 4, not 1"),
            case("POST /v1/lists/none/add", entry("192.0.2.1"), "add", &["none"])
                .refused(404, "there is no service or group 'none'"),
            case("POST /v1/rollback", json!({"to": 99}), "rollback", &[])
                .refused(404, "revision 99 is not kept"),
            case("PUT /v1/interfaces/eth9", Value::Null, "attach", &["eth9"])
                .refused(404, "there is no interface 'eth9'"),
            case("POST /v1/confirm", Value::Null, "confirm", &[])
                .refused(404, "nothing waits to be confirmed"),
            add_redis(entry("nonsense")).refused(400, "'nonsense' is not an address"),
            Case {
                details: json!({"problems": [
                    "'x' is not an address, a prefix or a range: write 203.0.113.7, 203.0.113.0/24, 2001:db8::/32 or 10.0.0.1-10.0.0.9",
                    "'y' is not an address, a prefix or a range: write 203.0.113.7, 203.0.113.0/24, 2001:db8::/32 or 10.0.0.1-10.0.0.9",
                ]}),
                ..add_redis(two).refused(400, "2 entries cannot be read")
            },
            add_redis(json!(7)).refused(400, "the request cannot be read"),
            case("POST /v1/lists/redis/add?yse=true", entry("192.0.2.1"), "add", of_redis)
                .refused(400, "yse"),
            case("POST /v1/rollback", json!({"too": 1}), "rollback", &[])
                .refused(400, "the request cannot be read"),
            case("PUT /v1/services/Redis", ports("tcp/1"), "protect", &[]).refused(400, "'Redis'"),
            case("PUT /v1/interfaces/a%2fb", Value::Null, "attach", &["a/b"]).refused(400, "'a/b'"),
            case("POST /v1/shutdown", not_known, "shutdown", &[])
                .refused(400, "the request cannot be read"),
            Case {
                result: "failed",
                ..case("PUT /v1/policy?yes=true&force=true", too_much(), "apply", &[])
                    .refused(500, "address")
            },
        ],
    )?;
    // Lines of a file, by the command line.
    let rows = server.trail()?.len();
    let file = server.write("bad.txt", "10.0.0.1\nnonsense\n")?;
    server.fails(&["replace", "redis", "-f", &file], 1, "line 2")?;
    let trail = server.trail()?;
    let row = trail.last().context("no row")?;
    ensure!(trail.len() == rows + 1 && row["action"] == "replace", "{row}");
    let problem = row["details"]["problems"][0].to_string();
    ensure!(row["result"] == "refused" && problem.contains("line 2: 'nonsense'"), "{row}");

    ensure!((server.policy()?, server.revision()?) == before, "a refusal changed something");
    ensure!(server.get("/v1/audit/verify")?["broken"].is_null());
    Ok(())
}
