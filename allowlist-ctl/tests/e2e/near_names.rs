//! Names that nothing has: the nearest one there is is told, also by the API.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    thread,
};

use anyhow::{Result, ensure};

use super::support::{Server, exchange};

#[test]
fn a_name_that_nothing_has_gets_the_nearest_one() -> Result<()> {
    let server = Server::new()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["group", "office"])?;
    let list = server.write("list.txt", "192.0.2.1\n")?;
    let policy = server
        .write("policy.toml", "[service.redis]\nports = [\"tcp/6379\"]\ninclude = [\"ofice\"]\n")?;
    let before = server.policy()?;
    // (what is typed, the exit code, what is said)
    let table: &[(&[&str], i32, &str)] = &[
        (&["mode", "reddis", "monitor"], 6, "no service 'reddis'; did you mean 'redis'?\n"),
        (&["unprotect", "redsi"], 6, "no service 'redsi'; did you mean 'redis'?\n"),
        (&["ungroup", "offices"], 6, "no group 'offices'; did you mean 'office'?\n"),
        (&["add", "reddis", "192.0.2.1"], 6, "group 'reddis'; did you mean 'redis'?\n"),
        (&["remove", "ofice", "192.0.2.1"], 6, "group 'ofice'; did you mean 'office'?\n"),
        (&["replace", "ofice", "-f", &list], 6, "group 'ofice'; did you mean 'office'?\n"),
        (&["list", "reddis"], 6, "group 'reddis'; did you mean 'redis'?\n"),
        (&["edit", "reddis"], 6, "group 'reddis'; did you mean 'redis'?\n"),
        (
            &["protect", "web", "tcp/80", "--include", "ofice"],
            6,
            "no group 'ofice'; did you mean 'office'?\n",
        ),
        (&["apply", "-f", &policy], 1, "no group 'ofice'; did you mean 'office'?\n"),
        (&["attach", "ehh0"], 6, "no interface 'ehh0'; did you mean 'eth0'?\n"),
        (&["detach", "eht0"], 6, "not on 'eht0'; did you mean 'eth0'?\n"),
        // nothing is near
        (
            &["mode", "mysql", "off"],
            6,
            "no service 'mysql'\nhint: `allowlist-ctl protect NAME PORT`",
        ),
        (&["list", "mysql"], 6, "'mysql'\nhint: `allowlist-ctl status` shows those there are"),
        (&["attach", "wan7"], 6, "no interface 'wan7'\nhint: `ip link` shows"),
        (&["detach", "wan7"], 6, "not on 'wan7'\nhint: `allowlist-ctl status` shows where"),
        // there, and without the filter
        (&["detach", "lo"], 6, "not on 'lo'\nhint: `allowlist-ctl status` shows where"),
    ];
    for (arguments, code, said) in table {
        server.fails(arguments, *code, said)?;
    }
    ensure!(server.policy()? == before, "something was changed");

    let audit = |name: &str| server.done(&["audit", "--name", name]);
    let near = audit("redis-")?;
    ensure!(near == "The audit trail has nothing of that; did you mean 'redis'?\n", "{near}");
    let far = audit("mysqld")?;
    ensure!(far == "The audit trail has nothing of that.\n", "{far}");
    ensure!(server.json(&["audit", "--name", "redis-"])?["did_you_mean"] == "redis");
    // What was tried of a name is on record, though nothing has it.
    ensure!(audit("reddis")?.contains("mode"), "a refusal is not on record");

    let get = b"GET /v1/lists/reddis HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(&server.socket(), get)?;
    let said = "there is no service or group 'reddis'; did you mean 'redis'?";
    ensure!(answer.0.contains("404 Not Found") && answer.0.contains(said), "{answer:?}");
    ensure!(answer.0.contains("\r\nserver: allowlistd\r\n"), "{answer:?}");
    Ok(())
}

#[test]
fn whoever_is_not_the_daemon_is_told_apart() -> Result<()> {
    let server = Server::prepare(&[])?;
    let path = |name: &str| server.path(name).display().to_string();
    let status = |name: &str, said: &str| -> Result<()> {
        server.fails(&["status", "--socket", &path(name)], 3, said)
    };
    status("missing", "there is no such file\nhint: start allowlistd, or give its socket")?;
    server.write("file", "")?;
    status("file", "that is no socket\nhint: give the socket of allowlistd with --socket")?;
    drop(UnixListener::bind(path("deserted"))?);
    status("deserted", "but nobody listens\nhint: start allowlistd; its log")?;

    let answers = [
        (
            "web",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            "it answers 404 Not Found",
        ),
        ("mail", "220 mail.example ESMTP\r\n", "it does not speak HTTP"),
    ];
    for (name, answer, said) in answers {
        let listener = UnixListener::bind(path(name))?;
        let stranger = thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let _ = stream.read(&mut [0; 1 << 12])?;
            stream.write_all(answer.as_bytes())
        });
        let said = format!("is not allowlistd: {said}\nhint: give the socket of allowlistd");
        status(name, &said)?;
        ensure!(matches!(stranger.join(), Ok(Ok(()))), "{name} was not asked");
    }
    Ok(())
}
