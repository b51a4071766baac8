//! A damaged store: the start is refused and names the last good copy; what is printed leads back, typed as it is.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{FileExt as _, PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use xtask::lab::until;

use super::support::{PATIENCE, REDIS, Server, refuses, served, shut_out};

const START: [&str; 2] = ["--interface", "eth0"];

/// A server whose redis admits alice only, of which there is a good copy, and of which a later revision is in force.
fn copied() -> Result<Server> {
    let mut server = Server::with_redis()?;
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    let entries: Vec<_> =
        (0..2000).map(|n| json!({"entry": format!("10.1.{}.{}", n / 250, n % 250)})).collect();
    server.make("POST /v1/lists/redis/add", &json!({"entries": entries}))?;
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.77.0.2"}]}))?;
    // The next copy is an hour away; a start makes one where there is none of what is there.
    server.restart()?;
    until("a copy", PATIENCE, || {
        // Not one that was begun before the last change.
        let copied = |line: &str| line.contains("copied the store") && line.contains("revision=3");
        server.log().lines().any(copied).then_some(())?;
        server.path("state/allowlist.db.good").exists().then_some(())
    })?;
    Ok(server)
}

fn is_in_force(server: &Server) -> Result<()> {
    let [redis, _] = server.network.server.port(REDIS);
    served(server.alice(), redis)?;
    shut_out(server.bob(), redis)
}

/// Types the first command that is printed.
fn type_printed(told: &str) -> Result<()> {
    let command = told.split('`').nth(1).context("no command")?;
    let typed = Command::new("sh").args(["-c", command]).status()?;
    ensure!(typed.success(), "{command}");
    Ok(())
}

type Damage = fn(&Path) -> Result<()>;

fn cut(path: &Path, left: impl FnOnce(u64) -> u64) -> Result<()> {
    let file = File::options().write(true).open(path)?;
    Ok(file.set_len(left(file.metadata()?.len()))?)
}

fn garble(path: &Path, first: u64, pages: usize) -> Result<()> {
    let garbage = vec![0x5a; 4096 * pages];
    Ok(File::options().write(true).open(path)?.write_all_at(&garbage, first * 4096)?)
}

#[test]
fn a_damaged_store_is_refused_and_the_way_back_is_as_printed() -> Result<()> {
    let table: [(&str, bool, Damage); 6] = [
        ("10 bytes", false, |path| cut(path, |_| 10)),
        ("one page", false, |path| cut(path, |_| 4096)),
        ("half", false, |path| cut(path, |length| length / 2)),
        ("all but a byte", false, |path| cut(path, |length| length - 1)),
        ("no first page", false, |path| garble(path, 0, 1)),
        // With changes beside it that are of no use without it.
        ("pages in the middle", true, |path| garble(path, 5, 20)),
    ];
    for (description, has_wal, damage) in table {
        let mut server = copied()?;
        let database = server.path("state/allowlist.db");
        if has_wal {
            server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
            server.daemon()?.kill()?;
            let wal = server.path("state/allowlist.db-wal");
            ensure!(fs::metadata(wal).is_ok_and(|about| about.len() > 0), "there is no WAL");
        } else {
            server.daemon()?.terminate()?;
        }
        damage(&database)?;
        let bytes = fs::read(&database)?;
        let told = refuses(&mut server.allowlistd(&START), "allowlist.db is damaged: ")
            .with_context(|| description.to_owned())?;
        ensure!(told.contains("allowlist.db.good, of revision 3 and 2"), "{description}: {told}");
        refuses(&mut server.allowlistd(&["--adopt-store"]), "is damaged: ")?;
        ensure!(fs::read(&database)? == bytes, "{description}: it was written to");
        is_in_force(&server).with_context(|| description.to_owned())?;

        type_printed(&told).with_context(|| description.to_owned())?;
        server.set_options(&["--interface", "eth0", "--adopt-store"]);
        server.start().with_context(|| description.to_owned())?;
        ensure!(server.revision()? == 3, "{description}");
        is_in_force(&server).with_context(|| description.to_owned())?;
        ensure!(fs::read(server.path("state/allowlist.db.damaged"))? == bytes, "{description}");
        ensure!(server.get("/v1/audit/verify")?["broken"].is_null(), "{description}");
        server.set_options(&START);
        server.restart()?;
    }
    Ok(())
}

#[test]
fn a_store_that_was_removed_comes_back_from_its_copy_as_printed() -> Result<()> {
    let mut server = copied()?;
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
    server.daemon()?.kill()?;
    fs::remove_file(server.path("state/allowlist.db"))?;
    let told = refuses(&mut server.allowlistd(&START), "has no policy, and one is in force")?;
    type_printed(&told)?;
    ensure!(server.path("state/allowlist.db.away-wal").exists(), "{told}");
    refuses(&mut server.allowlistd(&START), "is at revision 3, and revision 4 of it is in force")?;
    is_in_force(&server)?;
    server.set_options(&["--interface", "eth0", "--adopt-store"]);
    server.start()?;
    ensure!(server.revision()? == 3);
    is_in_force(&server)
}

#[test]
fn without_a_copy_it_is_said_that_there_is_none() -> Result<()> {
    let mut server = copied()?;
    server.daemon()?.terminate()?;
    fs::remove_file(server.path("state/allowlist.db.good"))?;
    cut(&server.path("state/allowlist.db"), |length| length / 2)?;
    refuses(&mut server.allowlistd(&START), "There is no good copy: move it away")?;
    is_in_force(&server)
}

#[test]
fn changes_that_were_cut_off_beside_the_store_are_missed() -> Result<()> {
    let mut server = copied()?;
    let changes = ["tcp/80", "tcp/81"];
    for (name, port) in ["web", "other"].into_iter().zip(changes) {
        server.make(&format!("PUT /v1/services/{name}"), &json!({ "ports": [port] }))?;
    }
    server.daemon()?.kill()?;
    let wal = server.path("state/allowlist.db-wal");
    let whole = fs::read(&wal)?;
    for left in [whole.len() - 1, whole.len() / 3, 40, 0] {
        fs::write(&wal, &whole[..left])?;
        refuses(&mut server.allowlistd(&START), "and revision 5 of it is in force")
            .with_context(|| format!("{left} of {} bytes are left", whole.len()))?;
        is_in_force(&server)?;
    }
    fs::write(&wal, &whole)?;
    server.start()?;
    ensure!(server.revision()? == 5);
    Ok(())
}

#[test]
fn a_store_that_may_not_be_written_is_not_damaged_and_its_owner_and_mode_are_told() -> Result<()> {
    let (away, back) = (Some(1000), Some(0));
    // Whose the directory and the database are made, with which modes.
    for (description, directory, database) in [
        ("a directory of another user", (away, 0o755), (back, 0o600)),
        ("a directory of another user alone", (away, 0o700), (back, 0o600)),
        ("a directory that cannot be written", (back, 0o555), (back, 0o600)),
        ("a directory with no rights", (back, 0o000), (back, 0o600)),
        ("a database of another user", (back, 0o700), (away, 0o600)),
        ("a database that cannot be written", (back, 0o700), (back, 0o444)),
        ("a database with no rights", (back, 0o700), (back, 0o000)),
        ("all of another user", (away, 0o700), (away, 0o600)),
    ] {
        let mut server = copied()?;
        server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
        server.daemon()?.terminate()?;
        let (place, path) = (server.path("state"), server.path("state/allowlist.db"));
        for (path, (owner, mode)) in [(&path, database), (&place, directory)] {
            chown(path, owner, owner)?;
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        let told = refuses(&mut server.allowlistd(&START), "cannot write ")
            .with_context(|| description.to_owned())?;
        let advice = told.contains(": `chown -R root: ") && told.contains(" with mode ");
        ensure!(advice && !told.contains("damaged"), "{description}: {told}");
        ensure!(
            !told.contains(".good") && !told.contains("--adopt-store"),
            "{description}: {told}"
        );
        is_in_force(&server).with_context(|| description.to_owned())?;

        type_printed(&told)?;
        server.start().with_context(|| description.to_owned())?;
        ensure!(server.revision()? == 4, "{description}");
    }
    Ok(())
}
