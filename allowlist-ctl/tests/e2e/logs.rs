//! The log: one line a change, for people, programs and the journal, and never full of warnings.

use std::{
    os::unix::net::{UnixDatagram, UnixStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::{INTERFACE, until};

use super::support::{PATIENCE, Server, refuses, under};

/// Has the daemon's log be of a format.
fn with_log(format: &str) -> Result<Server> {
    let mut server = Server::prepare(&[])?;
    let config = server.write("allowlistd.toml", &format!("[log]\nformat = \"{format}\"\n"))?;
    server.set_options(&["--interface", INTERFACE, "--config", &config]);
    Ok(server)
}

/// A mount namespace of its own, in which the socket of journald is in this directory.
fn journal_in(directory: &Path) -> Vec<String> {
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                  mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";
    let words = ["unshare", "--mount", "sh", "-c", script];
    words.iter().map(ToString::to_string).chain([directory.display().to_string()]).collect()
}

#[test]
fn a_change_is_one_line_of_json_with_who_what_and_revision() -> Result<()> {
    let mut server = with_log("json")?;
    server.start()?;
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.0.0.1"}]}))?;
    server.make("DELETE /v1/interfaces/eth0?yes=true", &Value::Null)?;
    // Changes nothing.
    server.make("POST /v1/lists/redis/add", &json!({"entries": [{"entry": "10.0.0.1"}]}))?;
    server.ask("DELETE /v1/services/web?yes=true", &Value::Null)?.refused(404, "not_found")?;
    let log = server.log();
    let lines: Result<Vec<Value>, _> = log.lines().map(serde_json::from_str).collect();
    let lines = lines.context(log)?;
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line["fields"]["action"].is_string())
        .map(|line| {
            let fields = &line["fields"];
            ensure!(line["level"] == "INFO" && line["timestamp"].is_string(), "{line}");
            ensure!(fields["uid"] == 0 && fields["by"] == "root", "{line}");
            ensure!(fields["audit"].is_u64() && fields["hash"].is_string(), "{line}");
            Ok(json!([fields["action"], fields["revision"], fields["from"], fields["result"]]))
        })
        .collect::<Result<_>>()?;
    let expected = [
        json!(["protect", 1, 0, "done"]),
        json!(["add", 2, 1, "done"]),
        json!(["detach", 2, 2, "done"]),
        json!(["unprotect", 2, 2, "refused"]),
    ];
    ensure!(told == expected, "{told:?}");
    let messages: Vec<&str> =
        lines.iter().filter_map(|line| line["fields"]["message"].as_str()).collect();
    for said in ["protect redis", "add redis", "detach eth0"] {
        let times = messages.iter().filter(|message| message.contains(said)).count();
        ensure!(times == 1, "{said:?} {times} times: {messages:?}");
    }
    Ok(())
}

#[test]
fn the_journal_has_the_fields_and_a_missing_one_is_said() -> Result<()> {
    let mut server = with_log("journald")?;
    let directory = server.path("journal");
    std::fs::create_dir(&directory)?;
    let words = journal_in(&directory);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let config = server.path("allowlistd.toml").display().to_string();
    let daemon = server.allowlistd(&["--config", &config]);
    let said = refuses(&mut under(&words, &daemon)?, "cannot log to journald")?;
    ensure!(said.contains("set format = \"text\" or \"json\" under [log]"), "{said}");

    let journal = UnixDatagram::bind(directory.join("socket"))?;
    journal.set_read_timeout(Some(PATIENCE))?;
    server.start_under(&words)?;
    server.make("PUT /v1/services/redis", &json!({"ports": ["tcp/6379"]}))?;
    let message = until("the line of a change", PATIENCE, || {
        let mut bytes = vec![0; 1 << 16];
        let length = journal.recv(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        text.contains("protect redis").then_some(text)
    })?;
    for field in [
        "ALLOWLIST_ACTION",
        "ALLOWLIST_REVISION",
        "ALLOWLIST_BY",
        "ALLOWLIST_RESULT",
        "PRIORITY",
        "SYSLOG_IDENTIFIER",
    ] {
        ensure!(message.contains(field), "no {field}: {message:?}");
    }
    ensure!(server.log().is_empty(), "standard error as well: {}", server.log());
    Ok(())
}

#[test]
fn levels_are_those_of_the_environment() -> Result<()> {
    for (level, ready, debug) in
        [("warn", false, false), ("info", true, false), ("debug", true, true)]
    {
        let mut server = Server::prepare(&["--interface", INTERFACE])?;
        server.start_under(&["env", &format!("RUST_LOG={level}")])?;
        server.status()?;
        let log = server.log();
        ensure!(log.contains(" ready ") == ready, "{level}: {log}");
        ensure!(log.contains("DEBUG") == debug, "{level}: {log}");
    }
    Ok(())
}

#[test]
fn a_warning_that_comes_again_and_again_does_not_fill_the_log() -> Result<()> {
    // As many as are served or wait, and some.
    const ROOM: usize = 64 + 16 + 256;
    const SURPLUS: usize = 25;
    let mut server = Server::with_options(&[])?;
    let connect = |_| UnixStream::connect(server.socket());
    let streams: Vec<_> = (0..ROOM + SURPLUS).map(connect).collect::<Result<_, _>>()?;
    let lines = |server: &Server, said: &str| {
        server.log().lines().filter(|line| line.contains(said)).count()
    };
    let refused = "WARN a connection is refused: too many are open at once";
    until("warnings", PATIENCE, || (lines(&server, refused) >= 10).then_some(()))?;
    std::thread::sleep(Duration::from_millis(300));
    ensure!(lines(&server, refused) == 10, "{}", server.log());
    drop(streams);
    server.daemon()?.terminate()?;
    let more = "15 more within a minute like this one: a connection is refused";
    ensure!(lines(&server, more) == 1, "{}", server.log());
    Ok(())
}
