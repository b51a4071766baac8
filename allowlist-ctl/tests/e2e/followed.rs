//! Groups that follow a file: what is in it is in force, and what cannot be taken changes nothing.

use std::{
    fs::{self, File},
    io::Write as _,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::{Connection, until};

use super::support::{Outcome, PATIENCE, REDIS, Server, served, shut_out};

/// So long the daemon waits for a file to settle, and for one that is gone to come back.
const SETTLED: Duration = Duration::from_secs(4);

/// `redis` has no entries but those of the group `office`, which has none yet.
fn server() -> Result<Server> {
    let server = Server::with_redis()?;
    server.make("PUT /v1/groups/office", &Value::Null)?;
    let redis = json!({"ports": ["tcp/6379"], "include": ["office"]});
    server.make("PUT /v1/services/redis", &redis)?;
    Ok(server)
}

/// Has the group follow a file with this in it, and says where that is.
fn follow(server: &Server, text: &str) -> Result<String> {
    let path = server.write("office.txt", text)?;
    let told = server.make("PUT /v1/groups/office", &json!({"follow": path}))?;
    ensure!(told["warnings"] == json!([]), "{told}");
    Ok(path)
}

fn entry(entry: &str) -> Value {
    json!({"entries": [{ "entry": entry }]})
}

/// The entries of the group as they are written, with where they came from.
fn entries(server: &Server) -> Result<Vec<String>> {
    let listing = server.get("/v1/lists/office")?;
    let entries = listing["lists"][0]["entries"].as_array().context("no entries")?;
    let written = |entry: &Value| {
        let except = if entry["kind"] == "except" { "!" } else { "" };
        let origin = entry["origin"].as_str().unwrap_or_default();
        let origin = origin.split(':').next().unwrap_or_default();
        format!("{except}{} {origin}", entry["prefix"].as_str().unwrap_or_default())
    };
    Ok(entries.iter().map(written).collect())
}

/// Waits until the group has just these entries.
fn becomes(server: &Server, expected: &[&str]) -> Result<()> {
    let same = || entries(server).ok().filter(|found| found == expected).map(drop);
    until("a new content of the file", PATIENCE, same)
        .with_context(|| format!("{:?}, not {expected:?}", entries(server)))
}

/// The warnings that are about the file.
fn warnings(server: &Server) -> Result<Vec<String>> {
    let status = server.get("/v1/status")?;
    let warnings = status["warnings"].as_array().context("no warnings")?;
    let texts = warnings.iter().filter_map(Value::as_str);
    Ok(texts.filter(|text| text.contains("office.txt")).map(ToOwned::to_owned).collect())
}

/// Waits for a warning about the file.
fn warns(server: &Server, said: &str) -> Result<()> {
    let warned = || warnings(server).ok()?.iter().any(|text| text.contains(said)).then_some(());
    until("a warning", PATIENCE, warned)
        .with_context(|| format!("{said:?} is not in {:?}", warnings(server)))
}

#[test]
fn a_files_entries_are_in_force_at_once_and_follow_it() -> Result<()> {
    let server = server()?;
    let [redis, _] = server.network.server.port(REDIS);
    served(server.bob(), redis)?;
    let path = follow(&server, "10.77.0.2 # alice\n!192.0.2.0/24\n")?;
    // No waiting: the command has returned.
    shut_out(server.bob(), redis)?;
    served(server.alice(), redis)?;
    ensure!(entries(&server)? == ["10.77.0.2/32 file", "!192.0.2.0/24 file"]);
    let listing = server.get("/v1/lists/office")?;
    let first = &listing["lists"][0]["entries"][0];
    ensure!(first["comment"] == "alice" && first["origin"] == format!("file:{path}"), "{first}");
    ensure!(first["added_by"]["name"] == "allowlistd", "{first}");
    let id = first["id"].clone();

    // By hand, beside it; what comes from the file is not to be removed by hand.
    server.make("POST /v1/lists/office/add", &entry("192.0.2.7"))?;
    let removed = server.ask("POST /v1/lists/office/remove", &entry("10.77.0.2"))?;
    let problem = removed.refused(404, "not_found")?;
    ensure!(problem["message"].to_string().contains("comes from the file"), "{problem}");

    // Renamed into place.
    let new = server.write("new.txt", "10.77.0.2 # alice\n10.77.0.3\n")?;
    fs::rename(new, &path)?;
    becomes(&server, &["10.77.0.2/32 file", "10.77.0.3/32 file", "192.0.2.7/32 manual"])?;
    served(server.bob(), redis)?;
    let listing = server.get("/v1/lists/office")?;
    ensure!(listing["lists"][0]["entries"][0]["id"] == id, "what stays is the same entry");
    // Written over.
    fs::write(&path, "10.77.0.2\n")?;
    becomes(&server, &["10.77.0.2/32 file", "192.0.2.7/32 manual"])?;
    shut_out(server.bob(), redis)?;
    let row = server.trail()?.pop().context("no row")?;
    ensure!(
        row["action"] == "sync"
            && row["subjects"] == json!(["office"])
            && row["author"]["name"] == "allowlistd",
        "{row}"
    );
    // By hand all that was done by hand, and nothing else.
    server.make("PUT /v1/lists/office", &entry("192.0.2.8"))?;
    ensure!(entries(&server)? == ["10.77.0.2/32 file", "192.0.2.8/32 manual"]);

    // Followed no more, its entries are ordinary ones.
    let told = server.make("PUT /v1/groups/office", &json!({"follow": ""}))?;
    ensure!(told["changed"] == true, "{told}");
    ensure!(entries(&server)? == ["10.77.0.2/32 manual", "192.0.2.8/32 manual"]);
    let revision = server.revision()?;
    fs::write(&path, "10.77.0.3\n")?;
    thread::sleep(SETTLED);
    ensure!(server.revision()? == revision, "a file that is not followed was taken");
    served(server.alice(), redis)?;
    shut_out(server.bob(), redis)
}

#[test]
fn a_file_that_is_followed_again_is_read_again() -> Result<()> {
    let server = server()?;
    let path = follow(&server, "10.77.0.2\n")?;
    // The same content, with everything that was taken from it gone.
    server.make("PUT /v1/groups/office", &json!({"follow": ""}))?;
    server.make("PUT /v1/lists/office?yes=true", &json!({"entries": []}))?;
    server.make("PUT /v1/groups/office", &json!({"follow": path}))?;
    ensure!(entries(&server)? == ["10.77.0.2/32 file"]);
    // By a group of the same name.
    server.make("DELETE /v1/services/redis?yes=true", &Value::Null)?;
    server.make("DELETE /v1/groups/office", &Value::Null)?;
    server.make("PUT /v1/groups/office", &json!({"follow": path}))?;
    ensure!(entries(&server)? == ["10.77.0.2/32 file"]);
    // By apply, and by two groups.
    server.make("DELETE /v1/groups/office", &Value::Null)?;
    server.make("PUT /v1/groups/first", &json!({"follow": path}))?;
    let both = json!({"group": {"first": {"follow": path}, "office": {"follow": path}}});
    server.make("PUT /v1/policy", &both)?;
    ensure!(entries(&server)? == ["10.77.0.2/32 file"]);
    fs::write(&path, "10.77.0.3\n")?;
    becomes(&server, &["10.77.0.3/32 file"])?;
    let first = server.get("/v1/lists/first")?;
    ensure!(first["lists"][0]["entries"][0]["prefix"] == "10.77.0.3/32", "{first}");
    Ok(())
}

#[test]
fn a_half_written_file_is_not_taken() -> Result<()> {
    let server = server()?;
    let path = follow(&server, "10.77.0.2\n")?;
    let revision = server.revision()?;
    let mut writer = File::create(&path)?;
    writer.write_all(b"10.77.0.3\n")?;
    // As long as somebody has it open for writing.
    thread::sleep(SETTLED);
    ensure!(server.revision()? == revision, "{:?}", entries(&server)?);
    writer.write_all(b"10.77.0.2\n")?;
    drop(writer);
    becomes(&server, &["10.77.0.2/32 file", "10.77.0.3/32 file"])?;
    ensure!(server.revision()? == revision + 1);
    Ok(())
}

/// Makes a file one that is not to be taken.
type Spoil<'a> = &'a dyn Fn() -> std::io::Result<()>;

#[test]
fn what_cannot_be_taken_leaves_the_last_good_entries_and_is_warned_about() -> Result<()> {
    let server = server()?;
    let [redis, _] = server.network.server.port(REDIS);
    let path = follow(&server, "10.77.0.2\n")?;
    let revision = server.revision()?;
    let cases: [(&str, Spoil<'_>, &str); 5] = [
        (
            "a bad line",
            &|| fs::write(&path, "10.77.0.3\nnonsense\n"),
            "1 line cannot be read, and nothing was changed (line 2: 'nonsense'",
        ),
        ("it is gone", &|| fs::remove_file(&path), "it is missing"),
        // Who admits everybody by an empty file has lost it rather.
        ("it is empty", &|| fs::write(&path, ""), "after this, redis is accessible to everyone"),
        ("it admits all", &|| fs::write(&path, "0.0.0.0/0\n"), "covers every address there is"),
        ("only excepts", &|| fs::write(&path, "!10.77.0.3\n"), "nothing but excepts"),
    ];
    for (number, (what, spoil, said)) in cases.into_iter().enumerate() {
        spoil()?;
        warns(&server, said).context(what)?;
        let texts = warnings(&server)?;
        let keeps = format!("office keeps its entries and does not take those of {path}: ");
        ensure!(texts.len() == 1 && texts[0].starts_with(&keeps), "{what}: {texts:?}");
        ensure!(entries(&server)? == ["10.77.0.2/32 file"], "{what}");
        served(server.alice(), redis).context(what)?;
        shut_out(server.bob(), redis).context(what)?;
        ensure!(server.revision()? == revision + 2 * u64::try_from(number)?, "{what}");

        fs::write(&path, "10.77.0.2\n192.0.2.1\n")?;
        becomes(&server, &["10.77.0.2/32 file", "192.0.2.1/32 file"]).context(what)?;
        ensure!(warnings(&server)?.is_empty(), "{what}: {:?}", warnings(&server)?);
        fs::write(&path, "10.77.0.2\n")?;
        becomes(&server, &["10.77.0.2/32 file"]).context(what)?;
    }
    // What could be read and was refused is in the trail, once each.
    let rows = server.trail()?;
    let refused = rows.iter().filter(|row| row["action"] == "sync" && row["result"] == "refused");
    ensure!(refused.count() == 4, "{rows:#?}");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_taken_when_it_is_first_followed_is_said_so() -> Result<()> {
    let server = server()?;
    let path = server.path("office.txt").display().to_string();
    let told = server.make("PUT /v1/groups/office", &json!({"follow": path}))?;
    let said = format!("the entries of {path} are not taken yet: it is missing");
    ensure!(told["warnings"] == json!([said]), "{told}");
    server.write("office.txt", "10.77.0.2\n")?;
    becomes(&server, &["10.77.0.2/32 file"])?;
    for follow in ["office.txt", "./x", "/a\nb"] {
        let reply = server.ask("PUT /v1/groups/office", &json!({"follow": follow}))?;
        let problem = reply.refused(400, "invalid")?;
        ensure!(problem["message"].to_string().contains("is not an absolute path"), "{problem}");
    }
    Ok(())
}

#[test]
fn what_is_in_a_file_is_guarded_shown_and_undone_with_the_command_that_follows_it() -> Result<()> {
    let server = server()?;
    let [redis, _] = server.network.server.port(REDIS);
    server.make("POST /v1/lists/office/add", &entry("10.77.0.0/24"))?;
    let mut connection = Connection::open(server.alice(), redis, PATIENCE)?;
    let path = server.write("office.txt", "!10.77.0.2\n10.88.0.0/16 # lab\n")?;
    let follow = ["group", "office", "--follow", path.as_str()];
    let revision = server.revision()?;
    server.fails(&follow, 5, "this would cut an established connection, that of 10.77.0.2")?;
    let Outcome { stdout, stderr, .. } = server.ctl(&[&follow[..], &["--dry-run"]].concat())?;
    let shown = stdout + &stderr;
    for line in ["!10.77.0.2/32", "10.88.0.0/16", "would cut"] {
        ensure!(shown.contains(line), "no {line} in {shown}");
    }
    ensure!(server.revision()? == revision && entries(&server)? == ["10.77.0.0/24 manual"]);
    connection.ping(PATIENCE)?;

    server.done(&[&follow[..], &["--force"]].concat())?;
    shut_out(server.alice(), redis)?;
    ensure!(server.revision()? == revision + 1, "one command, one revision");
    ensure!(entries(&server)?.len() == 3, "{:?}", entries(&server)?);
    server.done(&["rollback"])?;
    ensure!(entries(&server)? == ["10.77.0.0/24 manual"]);
    served(server.alice(), redis)?;

    // Nothing is said to be open that the file closes.
    server.make("POST /v1/lists/office/remove?yes=true", &entry("10.77.0.0/24"))?;
    server.write("office.txt", "10.77.0.2\n")?;
    let told = server.done(&follow)?;
    ensure!(!told.contains("everyone"), "{told}");
    // Emptied as it is meant: whoever says so has it taken.
    server.write("office.txt", "")?;
    let way_out = format!("`allowlist-ctl group office --follow {path} --yes` takes them");
    warns(&server, &way_out)?;
    shut_out(server.bob(), redis)?;
    server.fails(&follow, 5, "is accessible to everyone")?;
    server.done(&[&follow[..], &["--yes"]].concat())?;
    served(server.bob(), redis)?;
    ensure!(warnings(&server)?.is_empty(), "{:?}", warnings(&server)?);
    // Followed no more, its entries are kept.
    server.write("office.txt", "10.77.0.2\n10.77.0.4\n")?;
    becomes(&server, &["10.77.0.2/32 file", "10.77.0.4/32 file"])?;
    let told = server.done(&["group", "office", "--follow", "none"])?;
    ensure!(told.contains("stay in office, as if added by command: 2"), "{told}");
    Ok(())
}

#[test]
fn a_rollback_holds_until_the_file_changes_and_over_a_restart() -> Result<()> {
    let mut server = server()?;
    let path = follow(&server, "10.77.0.2\n")?;
    let good = server.revision()?;
    fs::write(&path, "10.77.0.2\n10.77.0.3\n")?;
    becomes(&server, &["10.77.0.2/32 file", "10.77.0.3/32 file"])?;
    server.make("POST /v1/rollback", &json!({"to": good}))?;
    ensure!(entries(&server)? == ["10.77.0.2/32 file"]);
    let revision = server.revision()?;
    // Touched, and not changed.
    File::options().append(true).open(&path)?.set_modified(std::time::SystemTime::now())?;
    thread::sleep(SETTLED);
    ensure!(server.revision()? == revision, "{:?}", entries(&server)?);
    server.restart()?;
    thread::sleep(SETTLED);
    ensure!(server.revision()? == revision, "{:?}", entries(&server)?);
    server.daemon()?.kill()?;
    // It changes while nobody looks.
    fs::write(&path, "10.77.0.2\n10.77.0.3\n10.77.0.4\n")?;
    server.start()?;
    becomes(&server, &["10.77.0.2/32 file", "10.77.0.3/32 file", "10.77.0.4/32 file"])
}

#[test]
fn a_sync_waits_for_a_pending_change() -> Result<()> {
    let server = server()?;
    let path = follow(&server, "10.77.0.2\n")?;
    let rollback = "POST /v1/rollback?yes=true";
    for (settle, manual) in [("POST /v1/confirm", true), (rollback, false)] {
        let line = "POST /v1/lists/redis/add?confirm=600";
        server.make(line, &entry(if manual { "192.0.2.1" } else { "192.0.2.2" }))?;
        let revision = server.revision()?;
        let new = if manual { "10.77.0.3" } else { "10.77.0.4" };
        fs::write(&path, format!("10.77.0.2\n{new}\n"))?;
        warns(&server, "waits to be confirmed")?;
        ensure!(
            server.revision()? == revision
                && entries(&server)? == {
                    let before: &[&str] = if manual {
                        &["10.77.0.2/32 file"]
                    } else {
                        &["10.77.0.2/32 file", "10.77.0.3/32 file"]
                    };
                    before
                }
        );
        server.make(settle, &Value::Null)?;
        becomes(&server, &["10.77.0.2/32 file", &format!("{new}/32 file")])?;
        ensure!(warnings(&server)?.is_empty(), "{:?}", warnings(&server)?);
    }
    Ok(())
}
