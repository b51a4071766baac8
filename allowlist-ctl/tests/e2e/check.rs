//! `check`: what it says of a packet is what becomes of one on the wire.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::support::{REDIS, Server, served, shut_out};

/// Alice, bob, and the server's clients in general.
const ALICE: &str = "10.77.0.2";
const BOB: &str = "10.77.0.3";

/// Exit code and standard output.
fn check(server: &Server, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let outcome = server.ctl(&[&["check"], arguments].concat())?;
    ensure!(outcome.stderr.is_empty(), "{arguments:?}: {outcome:?}");
    Ok((outcome.code, outcome.stdout))
}

#[test]
fn what_is_said_of_a_client_is_what_happens_to_it() -> Result<()> {
    let server = Server::with_redis()?;
    let [address, _] = server.network.server.port(REDIS);
    let steps: [(&[&str], [bool; 2]); 8] = [
        (&["protect", "redis", "tcp/6379"], [true, true]),
        (&["add", "redis", ALICE], [true, false]),
        (&["add", "redis", "10.77.0.0/24"], [true, true]),
        (&["add", "redis", "!10.77.0.3"], [true, false]),
        (&["mode", "redis", "monitor"], [true, true]),
        (&["mode", "redis", "enforce"], [true, false]),
        (&["mode", "redis", "off"], [true, true]),
        (&["detach", "eth0", "--yes"], [true, true]),
    ];
    for (step, admitted) in steps {
        server.done(step)?;
        for ((client, source), admitted) in
            [(server.alice(), ALICE), (server.bob(), BOB)].into_iter().zip(admitted)
        {
            let (code, told) = check(&server, &[source, "redis"])?;
            let expected = if admitted { 0 } else { 10 };
            ensure!(code == Some(expected), "{step:?}, {source}: {code:?} {told}");
            let knock = if admitted { served } else { shut_out };
            knock(client, address)?;
        }
    }
    Ok(())
}

#[test]
fn the_entry_that_decides_is_told_with_all_that_is_known_of_it() -> Result<()> {
    let server = Server::with_redis()?;
    let [address, _] = server.network.server.port(REDIS);
    server.done(&["group", "office"])?;
    server.done(&["protect", "redis", "tcp/6379", "--include", "office"])?;
    server.done(&["add", "redis", "10.0.0.0/8", "--comment", "all of it"])?;
    server.done(&["add", "office", "10.77.0.0/24", "--comment", "Berlin", "--for", "1h"])?;
    server.done(&["add", "trusted", "10.77.0.3"])?;

    let before = server.json(&["check", ALICE, "redis"])?;
    let entry = &before["checks"][0]["entry"];
    ensure!(entry["last_hit"].is_null(), "a check is no hit: {entry}");
    served(server.alice(), address)?;
    let after = server.json(&["check", ALICE, "tcp/6379"])?;
    let (entry, next) = (&after["checks"][0]["entry"], &after["checks"][0]["next"]);
    let fields = ["list", "by", "prefix", "kind", "comment"];
    let told: Vec<&Value> = fields.iter().map(|field| &entry[*field]).collect();
    ensure!(told == ["office", "group", "10.77.0.0/24", "allow", "Berlin"], "{entry}");
    ensure!(entry["last_hit"].is_string() && entry["expires_at"].is_string(), "{entry}");
    ensure!(next["prefix"] == "10.0.0.0/8" && next["by"] == "own", "{next}");
    ensure!(server.json(&["check", BOB, "6379"])?["checks"][0]["entry"]["by"] == "trusted");

    let (_, told) = check(&server, &[ALICE, "redis"])?;
    for part in [
        "10.77.0.2 to redis (tcp/6379) on eth0: admitted",
        "10.77.0.0/24 of group office allows it",
        "comment:  Berlin",
        "without that, 10.0.0.0/8 of redis would allow it",
    ] {
        ensure!(told.contains(part), "no {part:?} in {told}");
    }
    Ok(())
}

#[test]
fn a_check_is_neither_counted_nor_reported() -> Result<()> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379", "--action", "reject"])?;
    server.done(&["add", "redis", ALICE])?;
    let before = server.service("redis")?;
    for _ in 0..10 {
        check(&server, &[ALICE, "redis"])?;
        check(&server, &[BOB, "redis"])?;
    }
    let after = server.service("redis")?;
    for count in ["admitted", "denied", "reject_sent"] {
        ensure!(before[count] == after[count], "{before} became {after}");
    }
    ensure!(server.json(&["drops"])?["drops"] == serde_json::json!([]));
    Ok(())
}

#[test]
fn without_a_port_every_service_has_a_line() -> Result<()> {
    let server = Server::new()?;
    ensure!(check(&server, &[BOB])?.1.starts_with("Nothing is protected yet."));
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["protect", "dns", "udp/53"])?;
    server.done(&["add", "redis", ALICE])?;
    let (code, told) = check(&server, &[BOB])?;
    let lines: Vec<&str> = told.lines().collect();
    ensure!(code == Some(10) && lines.len() == 3, "{code:?}: {told}");
    ensure!(lines[1].starts_with("dns") && lines[1].contains("accessible to everyone"), "{told}");
    ensure!(lines[2].starts_with("redis") && lines[2].contains("no entry covers it"), "{told}");
    ensure!(check(&server, &[ALICE])?.0 == Some(0));
    Ok(())
}

#[test]
fn fragments_and_tags_are_judged_as_on_the_wire() -> Result<()> {
    let mut server = Server::prepare(&[])?;
    let config =
        server.write("config.toml", "[[interface]]\nname = \"eth0\"\nfragments = \"strict\"\n")?;
    server.set_options(&["--config", &config]);
    server.start()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", ALICE, "2001:db8::7"])?;
    // arguments, exit code, reason
    let table: [(&[&str], i32, &str); 7] = [
        (&[BOB, "redis", "--vlan", "7"], 10, "not_covered"),
        (&[BOB, "redis", "--fragment", "first"], 10, "not_covered"),
        (&[BOB, "redis", "--fragment", "later"], 10, "fragment_refused"),
        (&[ALICE, "redis", "--fragment", "later"], 0, "later_fragment"),
        (&["2001:db8::7", "redis", "--fragment", "later"], 0, "later_fragment"),
        (&["2001:db8::8", "redis", "--fragment", "later"], 10, "fragment_refused"),
        (&["::ffff:10.77.0.2", "redis"], 0, "allowed"),
    ];
    for (arguments, code, reason) in table {
        let outcome = server.ctl(&[&["--json", "check"], arguments].concat())?;
        let told: Value = serde_json::from_str(&outcome.stdout)?;
        ensure!(outcome.code == Some(code), "{arguments:?}: {outcome:?}");
        ensure!(told["checks"][0]["reason"] == reason, "{arguments:?}: {told}");
    }
    Ok(())
}

#[test]
fn a_file_of_assertions_is_checked_and_what_fails_is_named() -> Result<()> {
    let server = Server::new()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", ALICE, "2001:db8::/32"])?;
    let mut lines =
        String::from("# who gets in\n10.77.0.2 redis admitted\n10.77.0.3 6379 dropped\n");
    lines.extend((0..2500).map(|host| format!("2001:db8::{host:x} tcp/6379 admitted\n")));
    let good = server.write("good.txt", &lines)?;
    let (code, told) = check(&server, &["--file", &good])?;
    ensure!(code == Some(0) && told == "2502 of 2502 hold\n", "{code:?} {told}");

    let bad = server
        .write("bad.txt", "10.77.0.2 dropped\n10.77.0.3 redis admitted\n::1 web dropped\n")?;
    let (code, told) = check(&server, &["--file", &bad])?;
    let expected = "line 1: 10.77.0.2 every service is not dropped:\n  10.77.0.2 to redis (tcp/6379) on eth0: admitted\n\
        line 2: 10.77.0.3 redis is not admitted:\n  10.77.0.3 to redis (tcp/6379) on eth0: dropped\n\
        line 3: ::1 web is not dropped:\n  there is no service 'web'\n0 of 3 hold\n";
    ensure!(code == Some(10) && told == expected, "{code:?} {told}");

    // A server that protects nothing admits everybody.
    server.done(&["unprotect", "redis", "--yes"])?;
    let open = server.write("open.txt", "10.77.0.3 admitted\n10.77.0.3 dropped\n")?;
    let (code, told) = check(&server, &["--file", &open])?;
    let expected = "line 2: 10.77.0.3 every service is not dropped:\n  no service is protected: everybody is admitted\n1 of 2 hold\n";
    ensure!(code == Some(10) && told == expected, "{code:?} {told}");

    let nonsense = server.write("nonsense.txt", "10.0.0.0/8 redis admitted\nredis\n")?;
    server.fails(&["check", "--file", &nonsense], 1, "line 2: 'redis' is no assertion")
}

#[test]
fn nonsense_is_told_from_what_is_not_there() -> Result<()> {
    let server = Server::new()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let table: [(&[&str], i32, &str); 8] = [
        (&["10.0.0.0/8", "redis"], 2, "'10.0.0.0/8' is more than one address"),
        (&["localhost", "redis"], 2, "'localhost' is no address"),
        (&[ALICE, "tcp/0"], 2, "'tcp/0' is not a port"),
        (&[ALICE, "tcp/1-5"], 2, "'tcp/1-5' is more than one port"),
        (&[ALICE, "redis", "--to", "::1"], 2, "other IP version"),
        (&[ALICE, "redis", "--vlan", "5000"], 2, "5000"),
        (&[ALICE, "web"], 6, "there is no service 'web'"),
        (&[ALICE, "redis", "--interface", "eth9"], 6, "there is no interface 'eth9'"),
    ];
    for (arguments, code, said) in table {
        server.fails(&[&["check"], arguments].concat(), code, said)?;
    }
    let (code, told) = check(&server, &[ALICE, "redis", "--interface", "lo"])?;
    ensure!(code == Some(0) && told.contains("the filter is not on lo"), "{told}");
    Ok(())
}
