//! Many entries at once: the whole policy as TOML, lists in an editor, and every way to write an entry.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::lab::until;

use super::support::{CTL, Outcome, PATIENCE, Server};

/// A server with something of everything that a policy has, and no interface.
fn rich() -> Result<Server> {
    let server = Server::with_options(&[])?;
    for change in [
        &["group", "office"][..],
        &["add", "office", "10.1.0.0/16", "!10.1.6.0/24", "--comment", "the \"lab\" #7, 'Büro' \\"],
        &["add", "office", "10.2.0.0/16", "--until", "2099-12-01T00:00Z"],
        &["group", "empty"],
        &["add", "trusted", "192.0.2.0/24", "--until", "2098-01-01T00:00Z", "--comment", "ours"],
        &["protect", "redis", "tcp/6379", "tcp/16379", "--include", "office", "--include", "empty"],
        &["add", "redis", "10.77.0.2", "2001:db8::/32", "!2001:db8:6::/48"],
        &["protect", "web", "tcp/80", "udp/443", "--mode", "monitor", "--action", "reject"],
        &["protect", "dns", "udp/53", "--interface", "eth0", "--when-empty", "closed"],
        &["protect", "db", "tcp/5432", "--address", "192.0.2.8", "--address", "2001:db8:8::/64"],
    ] {
        server.done(change)?;
    }
    Ok(server)
}

/// The entries of a list as they are written, with their comments.
fn entries(server: &Server, list: &str) -> Result<Vec<String>> {
    let document = server.json(&["list", list])?;
    let entries = document["lists"][0]["entries"].as_array().context("no entries")?.clone();
    let written = |entry: Value| {
        let mark = if entry["kind"] == "except" { "!" } else { "" };
        let comment = entry["comment"].as_str().map(|text| format!(" # {text}"));
        let prefix = entry["prefix"].as_str().unwrap_or_default();
        format!("{mark}{prefix}{}", comment.unwrap_or_default())
    };
    Ok(entries.into_iter().map(written).collect())
}

/// Runs `edit` with a script as the editor, without a terminal.
fn edit(server: &Server, script: &str, arguments: &[&str]) -> Result<Outcome> {
    let editor = server.write("editor", &format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755))?;
    let output = Command::new(CTL)
        .arg("edit")
        .args(arguments)
        .env("ALLOWLIST_SOCKET", server.socket())
        .env("TMPDIR", server.directory())
        .env_remove("VISUAL")
        .env("EDITOR", editor)
        // As a terminal has it, for signals to all of them.
        .process_group(0)
        .output()?;
    Ok(output.into())
}

/// Files that `edit` has left behind.
fn kept(server: &Server) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for file in fs::read_dir(server.directory())? {
        let file = file?.path();
        if file.display().to_string().ends_with(".allowlist.txt") {
            kept.push(fs::read_to_string(file)?);
        }
    }
    Ok(kept)
}

#[test]
fn applying_what_was_exported_changes_nothing() -> Result<()> {
    let server = rich()?;
    let (before, revision) = (server.policy()?, server.revision()?);
    let exported = server.done(&["export"])?;
    let file = server.write("policy.toml", &exported)?;
    for arguments in [&["apply", "-f", &file][..], &["apply", "-f", &file, "--dry-run"]] {
        let told = server.done(arguments)?;
        ensure!(told.starts_with("Nothing "), "{arguments:?}: {told}");
        ensure!(server.policy()? == before && server.revision()? == revision, "{arguments:?}");
    }
    ensure!(server.done(&["export"])? == exported);
    // As JSON it is the document of the daemon.
    ensure!(server.json(&["export"])?["service"]["web"]["mode"] == "monitor");

    // Another daemon becomes the same, and both are told alike.
    let other = Server::with_options(&[])?;
    other.done(&["apply", "-f", &file])?;
    ensure!(other.done(&["export"])? == exported);
    let told = other.done(&["apply", "-f", &file])?;
    ensure!(told.starts_with("Nothing changed (revision 1)\n"), "{told}");
    Ok(())
}

#[test]
fn apply_makes_the_policy_so_and_tells_what_differs() -> Result<()> {
    let server = rich()?;
    let text = r#"
        [service.redis]
        ports = ["tcp/6379"]
        include = ["office"]
        entries = ["10.77.0.2", "10.9.0.1-10.9.0.2", { entry = "!10.9.0.2", comment = "not he" }]

        [service.new]
        ports = ["tcp/9000"]
        mode = "off"

        [group.office]
        entries = [
            { entry = "10.1.0.0/16", comment = "all of it", expires_at = 2099-12-01T00:00:00Z },
        ]
    "#;
    let file = server.write("policy.toml", text)?;
    let differences = "\
- service db: tcp/5432, addresses 192.0.2.8 2001:db8:8::/64
- service dns: udp/53, interfaces eth0, when empty closed
+ service new: tcp/9000, mode off
~ service redis: ports tcp/6379 tcp/16379 -> tcp/6379, includes empty office -> office
- service web: tcp/80 udp/443, mode monitor, action reject
- group empty
~ office 10.1.0.0/16: comment 'the \"lab\" #7, 'Büro' \\' -> 'all of it', ends never -> 2099-12-01T00:00:00Z
- office !10.1.6.0/24 # the \"lab\" #7, 'Büro' \\
- office 10.2.0.0/16 until=2099-12-01T00:00:00Z
+ redis 10.9.0.1/32
+ redis 10.9.0.2/32
+ redis !10.9.0.2/32 # not he
- redis 2001:db8::/32
- redis !2001:db8:6::/48
- trusted 192.0.2.0/24 until=2098-01-01T00:00:00Z # ours
";
    let before = (server.policy()?, server.revision()?);
    let dry = server.done(&["apply", "-f", &file, "--dry-run"])?;
    ensure!(dry.starts_with(differences), "{dry}");
    ensure!(
        dry.contains("\nWould change: policy: applied, 3 added, 5 removed, 1 updated, 1 unchanged"),
        "{dry}"
    );
    ensure!((server.policy()?, server.revision()?) == before);
    // That dns no longer exists opens its port, and db was open all along.
    server.fails(&["apply", "-f", &file], 5, "after this, dns is accessible to everyone")?;
    ensure!((server.policy()?, server.revision()?) == before);

    let told = server.done(&["apply", "-f", &file, "--yes"])?;
    ensure!(told.starts_with(differences), "{told}");
    ensure!(server.revision()? == before.1 + 1);
    let expected = ["10.9.0.1/32", "10.9.0.2/32", "!10.9.0.2/32 # not he", "10.77.0.2/32"];
    ensure!(entries(&server, "redis")? == expected, "{:?}", entries(&server, "redis")?);
    let again = server.json(&["apply", "-f", &file])?;
    ensure!(again["changed"] == false, "{again}");
    Ok(())
}

#[test]
fn a_policy_that_cannot_be_read_changes_nothing() -> Result<()> {
    let server = rich()?;
    let before = (server.policy()?, server.revision()?);
    let service = "[service.redis]\nports = [\"tcp/1\"]\n";
    for (text, code, said) in [
        ("[service.redis\n".to_owned(), 1, "line 1, column 15 of "),
        (format!("{service}prots = []\n"), 1, "unknown field `prots`"),
        (
            format!("{service}entries = [\n  '10.0.0.5/24',\n  'x'\n]\n"),
            1,
            "line 4: redis: 10.0.0.5/24 has host bits",
        ),
        (
            format!("{service}entries = [\n  '10.0.0.5/24',\n  'x'\n]\n"),
            1,
            "line 5: redis: 'x' is not an",
        ),
        (format!("{service}include = ['nobody']\n"), 1, "there is no group 'nobody'"),
        (format!("{service}interfaces = ['a/b']\n"), 1, "a/b"),
        (format!("{service}\n[service.b]\nports = ['tcp/1']\n"), 1, "overlaps"),
        (format!("{service}\n[group.redis]\n"), 1, "share their names"),
        ("[group.a]\nfollow = 'relative'\n".to_owned(), 1, "is not an absolute path"),
        (format!("{service}entries = ['0.0.0.0/0']\n"), 5, "covers every address"),
        (format!("{service}entries = ['!10.0.0.0/8']\n"), 5, "nothing but excepts"),
    ] {
        let file = server.write("policy.toml", &text)?;
        server.fails(&["apply", "-f", &file, "--yes"], code, said)?;
        ensure!((server.policy()?, server.revision()?) == before, "{text}");
    }
    Ok(())
}

#[test]
fn a_list_is_changed_in_an_editor() -> Result<()> {
    let server = rich()?;
    let revision = server.revision()?;
    let told = edit(&server, "true", &["office"])?;
    ensure!(told.stdout == format!("Nothing changed (revision {revision})\n"), "{told:?}");

    let script = "sed -i -e '/^10.2/d' -e 's/^10.1.0.0.16.*/10.1.0.0\\/16 # wide/' \"$1\"\n\
                  echo '10.3.0.0-10.3.0.2 until=2099-01-01T00:00Z # three' >> \"$1\"";
    let told = edit(&server, script, &["office"])?;
    ensure!(told.code == Some(0), "{told:?}");
    ensure!(
        told.stdout.contains("\noffice: 2 added, 1 removed, 1 updated, 1 unchanged "),
        "{told:?}"
    );
    ensure!(told.stdout.contains("+ office 10.3.0.2/32 until=2099-01-01T00:00:00Z # three\n"));
    let lab = "the \"lab\" #7, 'Büro' \\";
    let expected = [
        "10.1.0.0/16 # wide".to_owned(),
        format!("!10.1.6.0/24 # {lab}"),
        "10.3.0.0/31 # three".to_owned(),
        "10.3.0.2/32 # three".to_owned(),
    ];
    ensure!(entries(&server, "office")? == expected, "{:?}", entries(&server, "office")?);
    ensure!(kept(&server)?.is_empty());

    // Keys that interrupt something inside the editor end neither the editor nor the command.
    let script = "trap : INT QUIT; kill -INT 0; kill -QUIT 0; echo 10.4.0.0/16 >> \"$1\"";
    let told = edit(&server, script, &["office"])?;
    ensure!(told.stdout.contains("+ office 10.4.0.0/16\n"), "{told:?}");
    Ok(())
}

#[test]
fn a_text_that_an_edit_does_not_take_is_not_lost() -> Result<()> {
    let server = rich()?;
    let before = (server.policy()?, server.revision()?);
    let socket = server.socket().display().to_string();
    // Somebody else changes the policy while the editor is open.
    let meanwhile = format!("echo '::1 # mine' >> \"$1\"; {CTL} --socket {socket} add web ::2");
    for (script, arguments, code, said) in [
        ("echo '10.0.0.5/24 # mine' >> \"$1\"", &["redis"][..], 1, "has host bits set"),
        ("echo '::/0 # mine' >> \"$1\"", &["redis"], 5, "covers every address"),
        ("echo '# mine' > \"$1\"", &["trusted", "--if-revision", "1"], 7, "not 1"),
        ("echo '::1 # mine' >> \"$1\"; exit 1", &["redis"], 1, "ended with exit status: 1"),
    ] {
        let told = edit(&server, script, arguments)?;
        ensure!(told.code == Some(code) && told.stderr.contains(said), "{script}: {told:?}");
        ensure!((server.policy()?, server.revision()?) == before, "{script}");
        let kept = kept(&server)?;
        // Where the editor was never opened, nothing was written.
        let is_written = arguments.len() == 1;
        ensure!(kept.len() == usize::from(is_written), "{script}: {kept:?}");
        if let [text] = &kept[..] {
            ensure!(text.ends_with(" # mine\n"), "{text}");
            ensure!(told.stderr.contains("hint: ") && told.stderr.contains("your text is in "));
        }
        remove_kept(&server)?;
    }
    let told = edit(&server, &meanwhile, &["redis"])?;
    ensure!(told.code == Some(7) && told.stderr.contains("your text is in "), "{told:?}");
    ensure!(kept(&server)?.len() == 1);
    ensure!(!entries(&server, "redis")?.contains(&"::1/128 # mine".to_owned()));
    let missing = edit(&server, "true", &["nobody"])?;
    ensure!(missing.code == Some(6), "{missing:?}");
    Ok(())
}

fn remove_kept(server: &Server) -> Result<()> {
    for file in fs::read_dir(server.directory())? {
        let file = file?.path();
        if file.display().to_string().ends_with(".allowlist.txt") {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

#[test]
fn every_way_to_write_an_entry_means_the_same_in_every_command() -> Result<()> {
    let server = Server::with_options(&[])?;
    let text = "\u{feff}# a list\r\n10.0.0.1-10.0.0.4 # four\r\n\n::ffff:192.0.2.1\n  2001:DB8::/32#v6\n\
                ! 10.0.0.2\n10.0.0.1 # again\n";
    let expected = [
        "10.0.0.1/32 # again",
        "10.0.0.2/31 # four",
        "!10.0.0.2/32",
        "10.0.0.4/32 # four",
        "192.0.2.1/32",
        "2001:db8::/32 # v6",
    ];
    let list = server.write("list.txt", text)?;
    let policy = "[service.c]\nports = ['tcp/3']\nentries = [\n\
        { entry = '10.0.0.1-10.0.0.4', comment = 'four' }, '::ffff:192.0.2.1',\n\
        { entry = '2001:DB8::/32', comment = 'v6' }, '! 10.0.0.2',\n\
        { entry = '10.0.0.1', comment = 'again' }]\n";
    let policy = server.write("policy.toml", policy)?;
    server.done(&["apply", "-f", &policy])?;
    ensure!(entries(&server, "c")? == expected, "{:?}", entries(&server, "c")?);

    server.done(&["protect", "a", "tcp/1"])?;
    server.done(&["replace", "a", "-f", &list])?;
    ensure!(entries(&server, "a")? == expected, "{:?}", entries(&server, "a")?);

    server.done(&["protect", "b", "tcp/2"])?;
    let told = edit(&server, &format!("cp {list} \"$1\""), &["b"])?;
    ensure!(told.code == Some(0), "{told:?}");
    ensure!(entries(&server, "b")? == expected, "{:?}", entries(&server, "b")?);
    Ok(())
}

#[test]
fn groups_are_made_included_and_removed() -> Result<()> {
    let server = Server::with_options(&[])?;
    let revision = |server: &Server| server.revision();
    ensure!(server.done(&["group", "office"])? == "office: group made (revision 1)\n");
    ensure!(server.done(&["group", "office"])? == "Nothing changed (revision 1)\n");
    server.done(&["add", "office", "10.1.0.0/16"])?;
    server.done(&["protect", "redis", "tcp/6379", "--include", "office"])?;
    server.fails(&["ungroup", "office"], 5, "the group 'office' is included by redis")?;
    server.fails(&["ungroup", "trusted"], 1, "built in")?;
    server.fails(&["ungroup", "nobody"], 6, "there is no group 'nobody'")?;
    server.fails(&["group", "redis"], 1, "'redis' is a service")?;
    server.fails(&["protect", "web", "tcp/80", "--include", "nobody"], 6, "no group 'nobody'")?;
    server.fails(&["remove", "office", "10.1.0.0/16"], 5, "redis is accessible to everyone")?;
    ensure!(revision(&server)? == 3);
    let list = server.done(&["list", "redis"])?;
    ensure!(list == "redis: closed, no entries of its own, includes office\n", "{list}");
    let status = server.done(&["status"])?;
    ensure!(status.contains("includes office") && status.contains("INCLUDED BY"), "{status}");

    let file = server.path("office.txt").display().to_string();
    fs::write(&file, "")?;
    let told = server.done(&["group", "office", "--follow", &file])?;
    ensure!(told.starts_with(&format!("office: follows {file} (revision 4)\n")), "{told}");
    let list = server.done(&["list", "office"])?;
    ensure!(list.starts_with(&format!("office: group, 1 entry, follows {file}\n")), "{list}");
    let told = server.done(&["group", "office", "--follow", "none"])?;
    ensure!(told.starts_with("office: follows no file (revision 5)\n"), "{told}");

    server.fails(&["protect", "redis", "tcp/6379", "--include", "none"], 5, "accessible to")?;
    server.done(&["protect", "redis", "tcp/6379", "--include", "none", "--yes"])?;
    let told = server.done(&["ungroup", "office"])?;
    ensure!(told.starts_with("office: ungrouped, 1 entry removed (revision 7)\n"), "{told}");
    Ok(())
}

#[test]
fn an_entry_that_has_ended_is_told_so_and_opens_nothing() -> Result<()> {
    let server = Server::with_options(&[])?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.1.0.0/16", "--for", "1s", "--comment", "visitor"])?;
    let is_expired =
        || server.done(&["list", "redis"]).ok().filter(|list| list.contains("Z expired  -"));
    let list = until("the entry to end", PATIENCE, is_expired)?;
    ensure!(list.starts_with("redis: closed, 1 entry\n"), "{list}");
    let status = server.done(&["status"])?;
    ensure!(status.contains("\n         1 entry has expired\n"), "{status}");
    ensure!(status.contains("warning: all entries of redis have expired"), "{status}");
    ensure!(server.service("redis")?["state"] == "closed");

    // What has ended is exported, edited and applied like everything else.
    let file = server.write("policy.toml", &server.done(&["export"])?)?;
    ensure!(server.done(&["apply", "-f", &file])?.starts_with("Nothing changed"));
    let told = edit(&server, "sed -i 's/visitor/guest/' \"$1\"", &["redis"])?;
    ensure!(told.stdout.contains(": comment 'visitor' -> 'guest'\n"), "{told:?}");
    let told = server.done(&["add", "redis", "10.1.0.0/16"])?;
    ensure!(told.contains("10.1.0.0/16 was there already: it no longer ends"), "{told}");
    let told = server.done(&["add", "redis", "10.1.0.0/16", "--comment", ""])?;
    ensure!(told.contains("10.1.0.0/16 was there already: its comment is new"), "{told}");
    ensure!(!server.done(&["list", "redis"])?.contains("guest"));
    let ended = server.write("ended.txt", "2.2.2.2 until=2020-01-01T00:00Z\n")?;
    let outcome = server.ctl(&["replace", "redis", "-f", &ended])?;
    ensure!(outcome.stderr.contains("warning: all entries of redis have expired"), "{outcome:?}");
    // Back as it was added before.
    server.done(&["replace", "redis", "-f", "/dev/null", "--yes"])?;
    server.done(&["rollback"])?;
    server.done(&["add", "redis", "2.2.2.2"])?;
    for (end, said) in [
        (&["--for", "0s"][..], "is no time at all"),
        (&["--for", "1mo"], "write days"),
        (&["--until", "2020-01-01T00:00Z"], "lies in the past"),
        (&["--until", "2099-01-01T00:00"], "its offset as in 2099-01-01T00:00:00+01:00"),
        (&["--for", "1h", "--until", "2099-01-01T00:00Z"], "cannot be used with"),
        (&["--confirm", "8d"], "is no time to confirm in"),
    ] {
        server.fails(&[&["add", "redis", "::1"], end].concat(), 2, said)?;
    }
    Ok(())
}
