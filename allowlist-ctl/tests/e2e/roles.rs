//! Who may do what: roles of the configuration, by the caller's user and groups as the kernel knows them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::support::{Server, User};

const ACCESS: &str = r#"
    [access]
    admins = ["4001", "@4100"]
    viewers = ["4002"]
    [[access.editor]]
    name = "redis"
    who = ["4003", "@4103"]
    [[access.editor]]
    name = "office"
    who = ["4004"]
"#;

/// `redis` is closed and includes the group `office`; `web` is open.
fn server(access: &str) -> Result<Server> {
    let server = Server::for_users(access)?;
    server.make("PUT /v1/groups/office", &Value::Null)?;
    server.make(
        "PUT /v1/services/redis",
        &json!({"ports": ["tcp/6379"], "include": ["office"], "mode": "monitor"}),
    )?;
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
    server.make("POST /v1/lists/redis/add", &entries(&["10.77.0.2"]))?;
    server.make("POST /v1/lists/office/add", &entries(&["10.77.0.2"]))?;
    Ok(server)
}

fn entries(entries: &[&str]) -> Value {
    let entries: Vec<Value> = entries.iter().map(|entry| json!({ "entry": entry })).collect();
    json!({ "entries": entries })
}

/// What one may be allowed to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Right {
    Read,
    EditRedis,
    EditOffice,
    Rule,
}

/// A request for each thing there is to do; those that change something are dry runs.
fn requests() -> Vec<(Right, String, Value)> {
    let mut requests = Vec::new();
    for path in
        ["status", "lists", "lists/redis", "policy", "revisions", "audit", "audit/verify", "drops"]
    {
        requests.push((Right::Read, format!("GET /v1/{path}"), Value::Null));
    }
    let change = |line: &str| format!("{line}?dry_run=true");
    for (right, list) in [
        (Right::EditRedis, "redis"),
        (Right::EditOffice, "office"),
        (Right::Rule, "web"),
        (Right::Rule, "trusted"),
    ] {
        let entry = entries(&["192.0.2.1"]);
        requests.push((right, change(&format!("POST /v1/lists/{list}/add")), entry.clone()));
        requests.push((right, change(&format!("POST /v1/lists/{list}/remove")), entry.clone()));
        requests.push((right, change(&format!("PUT /v1/lists/{list}")), entry));
    }
    for (line, body) in [
        ("PUT /v1/services/redis", json!({"ports": ["tcp/6379"]})),
        ("DELETE /v1/services/redis", Value::Null),
        ("PUT /v1/services/redis/mode", json!({"mode": "off"})),
        ("PUT /v1/groups/office", json!({"follow": "/etc/hosts"})),
        ("DELETE /v1/groups/office", Value::Null),
        ("PUT /v1/policy", json!({})),
        ("POST /v1/rollback", Value::Null),
        ("PUT /v1/interfaces/eth0", Value::Null),
        ("DELETE /v1/interfaces/eth0", Value::Null),
    ] {
        requests.push((Right::Rule, change(line), body));
    }
    requests
}

/// Tries everything as each of them.
fn check(server: &Server, table: &[(&str, User, &[Right])]) -> Result<()> {
    let mut wrong = String::new();
    for (who, user, rights) in table {
        for (right, line, body) in requests() {
            let reply = user.ask(server, &line, &body)?;
            let forbidden = reply.status == 403 && reply.body["error"]["code"] == "forbidden";
            if forbidden == rights.contains(&right) {
                wrong = format!("{wrong}{who}: {line}: {reply:?}\n");
            }
        }
        if !rights.contains(&Right::Rule) {
            let reply = user.ask(server, "POST /v1/shutdown", &json!({"detach": true}))?;
            reply.refused(403, "forbidden").with_context(|| format!("{who}: shutdown"))?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn each_role_goes_as_far_as_it_is_meant_to() -> Result<()> {
    use Right::{EditOffice, EditRedis, Read, Rule};
    let server = server(ACCESS)?;
    let many = 5001..5070;
    let all: &[Right] = &[Read, EditRedis, EditOffice, Rule];
    let table = [
        ("an admin", User::new(4001), all),
        ("an admin by group", User::new(4999).in_groups([7, 4100]), all),
        ("an admin by the first group", User::new(4999).of_group(4100), all),
        ("an admin by the last of many groups", User::new(4999).in_groups(many.chain([4100])), all),
        ("a viewer", User::new(4002), &[Read]),
        ("an editor of a service", User::new(4003), &[Read, EditRedis]),
        ("an editor by group", User::new(4998).in_groups([4103]), &[Read, EditRedis]),
        ("an editor of a group", User::new(4004), &[Read, EditOffice]),
        ("an editor of both", User::new(4004).in_groups([4103]), &[Read, EditRedis, EditOffice]),
        ("somebody whose group has the number of an admin", User::new(4997).in_groups([4001]), &[]),
        ("somebody with the number of an admin's group", User::new(4100), all),
        ("somebody", User::new(4997), &[]),
    ];
    let before = (server.policy()?, server.revision()?);
    // The one with the number of an admin's group has a first group of that number, too.
    check(&server, &table)?;
    check(&server, &[("without that group", User::new(4100).of_group(1), &[])])?;
    ensure!((server.policy()?, server.revision()?) == before, "something changed");
    Ok(())
}

#[test]
fn who_may_read_is_whoever_opens_the_socket_unless_viewers_are_named() -> Result<()> {
    let somebody = User::new(4997);
    for (access, rights) in [
        ("", &[Right::Read][..]),
        ("[access]\nadmins = ['4001']", &[Right::Read]),
        ("[access]\nviewers = []", &[]),
        ("[access]\nviewers = ['@4100', 'no-such-user']", &[]),
    ] {
        let server = server(access)?;
        check(&server, &[("somebody", somebody.clone(), rights)]).context(access)?;
        let outcome = somebody.ctl(&server, &["status"])?;
        let expected = if rights.is_empty() { Some(4) } else { Some(0) };
        ensure!(outcome.code == expected, "{access}: {outcome:?}");
        if rights.is_empty() {
            ensure!(
                outcome.stderr.contains("this needs the role viewer, and you have none"),
                "{outcome:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn an_editor_changes_the_entries_of_its_list_and_nothing_else() -> Result<()> {
    let server = server(ACCESS)?;
    let editor = User::new(4998).in_groups((5001..5070).chain([4103]));
    let list = server.write("list.txt", "10.77.0.2\n192.0.2.9 # kept\n")?;
    std::fs::set_permissions(&list, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    for arguments in [
        &["add", "redis", "192.0.2.1", "!192.0.2.2", "--comment", "by an editor"][..],
        &["remove", "redis", "192.0.2.1"],
        &["replace", "redis", "-f", &list],
    ] {
        let outcome = editor.ctl(&server, arguments)?;
        ensure!(outcome.code == Some(0), "{arguments:?}: {outcome:?}");
    }
    let listed = server.get("/v1/lists/redis")?;
    let of = |prefix: &str| -> Result<Value> {
        let entries = listed["lists"][0]["entries"].as_array().context("no entries")?;
        let entry = entries.iter().find(|entry| entry["prefix"] == prefix);
        entry.cloned().with_context(|| format!("no {prefix} in {listed}"))
    };
    ensure!(of("192.0.2.9/32")?["added_by"] == json!({"uid": 4998, "name": "4998"}), "{listed}");
    ensure!(of("10.77.0.2/32")?["added_by"]["uid"] == 0, "{listed}");

    let before = (server.policy()?, server.revision()?);
    let admin = "this needs the role admin, and you are editor of redis";
    for (arguments, said) in [
        (
            &["add", "web", "192.0.2.1"][..],
            "this needs the role editor of 'web', or admin, and you are editor of redis",
        ),
        (&["remove", "office", "10.77.0.2"], "the role editor of 'office', or admin"),
        (&["add", "trusted", "192.0.2.1"], "the role editor of 'trusted', or admin"),
        (&["add", "nothing", "192.0.2.1"], "the role editor of 'nothing', or admin"),
        (&["protect", "redis", "tcp/6379", "tcp/6380"], admin),
        (&["protect", "new", "tcp/1"], admin),
        (&["unprotect", "redis", "--yes", "--force"], admin),
        (&["mode", "redis", "off", "--force"], admin),
        (&["attach", "eth0"], admin),
        (&["detach", "eth0", "--yes"], admin),
    ] {
        let outcome = editor.ctl(&server, arguments)?;
        ensure!(
            outcome.code == Some(4) && outcome.stderr.contains(said),
            "{arguments:?} should end with 4 and say {said:?}: {outcome:?}"
        );
    }
    ensure!((server.policy()?, server.revision()?) == before);
    Ok(())
}

#[test]
fn a_pending_change_is_settled_by_its_author_or_an_admin() -> Result<()> {
    let server = server(ACCESS)?;
    let (author, other, viewer) =
        (User::new(4003), User::new(4998).in_groups([4103]), User::new(4002));
    let (admin, same) = (User::new(4001), author.clone().in_groups([9]));
    let (confirm, rollback) = ("POST /v1/confirm", "POST /v1/rollback?yes=true");
    let nothing = Value::Null;
    for (settler, how) in
        [(&author, confirm), (&same, rollback), (&admin, confirm), (&admin, rollback)]
    {
        let before = server.revision()?;
        let line = "POST /v1/lists/redis/add?confirm=60";
        let done = author.ask(&server, line, &entries(&["192.0.2.7"]))?.done()?;
        ensure!(done["pending"]["by"]["uid"] == 4003, "{done}");
        let pending = server.get("/v1/status")?["pending"].clone();
        ensure!(pending["what"] == "add redis" && pending["by"]["uid"] == 4003, "{pending}");
        for outsider in [&other, &viewer] {
            for way in [confirm, rollback, "POST /v1/rollback?dry_run=true"] {
                let problem = outsider.ask(&server, way, &nothing)?.refused(403, "forbidden")?;
                let said = "this needs the role admin, or to have made the change";
                ensure!(problem["message"].to_string().contains(said), "{problem}");
            }
        }
        settler.ask(&server, how, &nothing)?.done()?;
        ensure!(server.get("/v1/status")?["pending"].is_null());
        let revision = server.revision()?;
        ensure!(revision == before + if how == confirm { 1 } else { 2 }, "{revision}");
        if how == confirm {
            server.make("POST /v1/lists/redis/remove", &entries(&["192.0.2.7"]))?;
        }
    }
    // Whoever made a change that was kept does not go back behind it.
    author.ask(&server, rollback, &nothing)?.refused(403, "forbidden")?;
    Ok(())
}

/// How many rows of the trail each user has, and the last row of each.
fn refusals(server: &Server) -> Result<BTreeMap<u64, (usize, Value)>> {
    let mut found: BTreeMap<u64, (usize, Value)> = BTreeMap::new();
    for row in server.trail()? {
        if row["result"] == "refused" {
            let uid = row["author"]["uid"].as_u64().context("no uid")?;
            let (count, last) = found.entry(uid).or_default();
            *count += 1;
            *last = row;
        }
    }
    Ok(found)
}

#[test]
fn what_is_refused_is_in_the_audit_trail_and_a_flood_of_it_is_summed_up() -> Result<()> {
    let mut server = server(ACCESS)?;
    let revision = server.revision()?;
    let (flooder, other) = (User::new(4002), User::new(4003));
    other
        .ask(&server, "DELETE /v1/services/web?yes=true", &Value::Null)?
        .refused(403, "forbidden")?;
    let row = refusals(&server)?.remove(&4003).context("no row")?.1;
    for (field, expected) in [
        ("author", json!({"uid": 4003, "name": "4003"})),
        ("action", json!("unprotect")),
        ("subjects", json!(["web"])),
        ("from_revision", json!(revision)),
        ("to_revision", json!(revision)),
        ("message", json!("this needs the role admin, and you are editor of redis")),
    ] {
        ensure!(row[field] == expected, "{field} of {row}");
    }

    for _ in 0..75 {
        let add = entries(&["192.0.2.1"]);
        flooder.ask(&server, "POST /v1/lists/web/add", &add)?.refused(403, "forbidden")?;
    }
    ensure!(refusals(&server)?[&4002].0 == 60, "{:?}", refusals(&server)?);
    // Nobody else is kept out of the trail by it.
    other.ask(&server, "DELETE /v1/groups/office", &Value::Null)?.refused(403, "forbidden")?;
    ensure!(refusals(&server)?[&4003].0 == 2, "{:?}", refusals(&server)?);

    server.restart()?;
    let (count, last) = refusals(&server)?[&4002].clone();
    let message = last["message"].to_string();
    ensure!(count == 61 && message.contains("15 more within a minute were refused"), "{last}");
    ensure!(last["action"] == "add" && last["subjects"] == json!(["web"]), "{last}");
    ensure!(server.get("/v1/audit/verify")?["broken"].is_null());
    Ok(())
}
