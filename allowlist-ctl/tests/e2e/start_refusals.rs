//! Starts that are refused: each with a sentence and exit code 1, and nothing is touched.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use serde_json::Value;
use xtask::lab::{Bpffs, Scratch};

use super::support::{ALLOWLISTD, Outcome, Server, refuses, under};

/// Puts a database where a server's daemon looks for its own.
type Make<'a> = &'a dyn Fn(&Server) -> Result<()>;

/// The id of the XDP program on an interface of the server; null without one.
fn program(server: &Server, interface: &str) -> Result<Value> {
    let namespace = &server.network.server.namespace;
    let links = namespace.run("ip", &["-json", "link", "show", interface])?;
    Ok(serde_json::from_str::<Value>(&links)?[0]["xdp"]["prog"]["id"].take())
}

#[test]
fn a_second_daemon_is_refused_whatever_it_shares_with_the_first() -> Result<()> {
    let server = Server::with_options(&[])?;
    let own = server.path("own");
    let bpffs = Bpffs::mount(&own.join("bpf"))?;
    let [_, state, _, socket, ..] = Server::places(server.directory(), bpffs.path());
    let shared_pins = server.pins().parent().context("pins")?.display().to_string();
    let table = [
        ("--socket", socket.as_str(), "a daemon serves"),
        ("--state-dir", state.as_str(), "another allowlistd uses"),
        ("--bpffs", shared_pins.as_str(), "another allowlistd uses the pins in"),
    ];
    let mut left = Vec::new();
    for (shared, path, said) in table {
        let mut places = Server::places(&own, bpffs.path());
        let option = places.iter().position(|option| option == shared).context("no option")?;
        path.clone_into(&mut places[option + 1]);
        let mut second = server.network.server.namespace.command(ALLOWLISTD);
        second.args(["--interface", "eth0"]).args(&places);
        refuses(&mut second, said)?;
        if !program(&server, "eth0")?.is_null() {
            left.push(shared);
            server.allowlistd_elsewhere(&own, bpffs.path()).arg("--detach").output()?;
        }
        server.status()?;
    }
    ensure!(left.is_empty(), "refused starts left a filter: {left:?}");
    Ok(())
}

#[test]
fn a_place_that_cannot_be_used_is_named() -> Result<()> {
    let server = Server::prepare(&[])?;
    let file = server.write("file", "precious")?;
    let config = server.write("group.toml", "[socket]\ngroup = \"no-such-group\"\n")?;
    let table: [(&[&str], &str); 5] = [
        (&["--socket", &file], "is in the way of the socket"),
        (&["--state-dir", &file], "cannot write the state directory"),
        (&["--state-dir", &format!("{file}/state")], "cannot write the state directory"),
        (&["--bpffs", "/proc/allowlist"], "/proc/allowlist is not a BPF file system"),
        (&["--config", &config], "there is no group 'no-such-group' for the socket"),
    ];
    let mut left = Vec::new();
    for (options, said) in table {
        let own = Scratch::new()?;
        let bpffs = Bpffs::mount(&own.path().join("bpf"))?;
        let mut places = Server::places(own.path(), bpffs.path()).to_vec();
        if let Some(known) = places.iter().position(|place| place == options[0]) {
            places.drain(known..known + 2);
        }
        let mut daemon = server.network.server.namespace.command(ALLOWLISTD);
        daemon.args(["--interface", "eth0"]).args(&places).args(options);
        refuses(&mut daemon, said)?;
        if !program(&server, "eth0")?.is_null() {
            left.push(said);
            server.allowlistd_elsewhere(own.path(), bpffs.path()).arg("--detach").output()?;
        }
    }
    ensure!(left.is_empty(), "refused starts left a filter: {left:?}");
    ensure!(fs::read_to_string(&file)? == "precious");
    Ok(())
}

#[test]
fn a_state_directory_on_a_read_only_file_system_is_refused() -> Result<()> {
    let server = Server::prepare(&[])?;
    // A mount of its own that ends with the shell's namespace.
    let state = server.path("read-only");
    fs::create_dir(&state)?;
    let daemon = server.allowlistd(&[]);
    let mut words = vec![daemon.get_program().to_string_lossy().into_owned()];
    words.extend(daemon.get_args().map(|word| word.to_string_lossy().into_owned()));
    let known = words.iter().position(|word| word == "--state-dir").context("no state")?;
    words[known + 1] = state.display().to_string();
    let script = "mount -t tmpfs -o ro none \"$0\" && exec \"$@\"";
    let mut unshared = Command::new("unshare");
    unshared.args(["--mount", "sh", "-c", script]).arg(&state).args(&words);
    refuses(&mut unshared, "cannot write the state directory").map(drop)
}

#[test]
fn a_database_of_a_newer_release_or_of_somebody_else_is_left_alone() -> Result<()> {
    let newer = |server: &Server| -> Result<()> {
        let mut once = Server::prepare(&[])?;
        once.start()?;
        once.daemon()?.terminate()?;
        let database = once.path("state/allowlist.db");
        // Closing it moves into the file what is beside it.
        Connection::open(&database)?.pragma_update(None, "user_version", 99)?;
        fs::copy(database, server.path("state/allowlist.db"))?;
        Ok(())
    };
    let foreign = |server: &Server| -> Result<()> {
        let database = Connection::open(server.path("state/allowlist.db"))?;
        Ok(database.execute_batch("CREATE TABLE cats (name TEXT)")?)
    };
    let text = |server: &Server| server.write("state/allowlist.db", &"meow ".repeat(500)).map(drop);
    let table: [(Make<'_>, &str); 3] = [
        (&newer, "has format 99, and this release knows formats up to"),
        (&foreign, "is not an allowlist database"),
        (&text, "is not an allowlist database"),
    ];
    for (make, said) in table {
        let server = Server::prepare(&[])?;
        fs::create_dir(server.path("state"))?;
        make(&server)?;
        let database = server.path("state/allowlist.db");
        let before = (fs::read(&database)?, fs::metadata(&database)?.permissions());
        refuses(&mut server.allowlistd(&["--interface", "eth0"]), said)?;
        let after = (fs::read(&database)?, fs::metadata(&database)?.permissions());
        ensure!(before.0 == after.0, "the database has changed: {said}");
        ensure!(before.1 == after.1, "from {:?} to {:?}: {said}", before.1, after.1);
        ensure!(fs::read_dir(server.path("state"))?.count() == 1, "files were added: {said}");
    }
    Ok(())
}

#[test]
fn an_unknown_key_or_value_in_the_configuration_is_named() -> Result<()> {
    let server = Server::prepare(&[])?;
    let table = [
        ("interfces = []", "interfces"),
        ("[socket]\nmood = \"0660\"", "mood"),
        ("[[interface]]\nname = \"eth0\"\nmode = \"fast\"", "fast"),
        ("[[interface]]\nmode = \"native\"", "name"),
        ("[socket]\nmode = \"rw\"", "'rw' is no mode of a socket"),
        ("[[interface]]\nname = \"a/b\"", "'a/b' is not the name of an interface"),
        ("[log]\nformat = \"xml\"", "xml"),
        ("[socket", "TOML"),
    ];
    for (text, said) in table {
        let config = server.write("bad.toml", text)?;
        refuses(&mut server.allowlistd(&["--config", &config]), said)?;
        refuses(&mut server.allowlistd(&["--config", &config, "--check-config"]), said)?;
        ensure!(!server.path("state").exists(), "{text:?} made a state directory");
    }
    let missing = server.path("missing.toml").display().to_string();
    refuses(&mut server.allowlistd(&["--config", &missing]), &missing).map(drop)
}

#[test]
fn a_valid_configuration_is_said_to_be_valid_and_nothing_is_started() -> Result<()> {
    let server = Server::prepare(&[])?;
    let text = "[[interface]]\nname = \"eth0\"\n[socket]\nmode = \"0660\"\n";
    let config = server.write("good.toml", text)?;
    let mut check = server.allowlistd(&["--config", &config, "--check-config"]);
    let outcome: Outcome = check.output()?.into();
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ensure!(outcome.stdout.contains("the configuration is valid"), "{outcome:?}");
    ensure!(program(&server, "eth0")?.is_null() && !server.path("state").exists());
    Ok(())
}

#[test]
fn a_daemon_says_which_capabilities_it_lacks() -> Result<()> {
    let server = Server::prepare(&[])?;
    let daemon = server.allowlistd(&["--interface", "eth0"]);
    let table = [
        ("-all", "the capabilities CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON are missing"),
        ("-bpf", "the capability CAP_BPF is missing"),
        ("-net_admin", "the capability CAP_NET_ADMIN is missing"),
        ("-perfmon", "the capability CAP_PERFMON is missing"),
    ];
    for (less, said) in table {
        let bounding = format!("--bounding-set={less}");
        let words = ["setpriv", &bounding, "--inh-caps=-all"];
        refuses(&mut under(&words, &daemon)?, said)?;
        ensure!(!server.path("state").exists(), "{less} made a state directory");
    }
    Ok(())
}
