//! What `learn` proposes: whom the service admits today, as a file that `replace` takes.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::{Connection, Host, Process, until};

use super::support::{CTL, PATIENCE, REDIS, Server, User, served, shut_out};

/// Long enough to be ended by hand, on the slowest machine.
const LONG: &str = "10m";

/// A command that runs on while the test goes on.
pub(crate) fn begin(server: &Server, label: &str, arguments: &[&str]) -> Result<Process> {
    let mut command = Command::new(CTL);
    command.args(arguments).env("ALLOWLIST_SOCKET", server.socket());
    Process::spawn(label, &mut command, server.directory())
}

/// Waits until the sources of so many services are noted.
fn watched(server: &Server, watches: usize) -> Result<()> {
    until("the watches", PATIENCE, || {
        let told = server.status().ok()?["watches"].as_array().map_or(0, Vec::len);
        (told == watches).then_some(())
    })
}

/// What a command has written since its first line, when it was interrupted.
pub(crate) fn interrupted(mut process: Process) -> Result<String> {
    process.signal(libc::SIGINT);
    let status = process.wait(PATIENCE)?;
    ensure!(status.success(), "{status}: {}", process.log());
    Ok(process.log())
}

/// Gives a host more addresses.
fn add_addresses(host: &Host, addresses: &[&str]) -> Result<()> {
    let commands: Vec<String> =
        addresses.iter().map(|address| format!("addr add {address} dev eth0 nodad")).collect();
    host.namespace.ip(&commands)
}

/// A PING from one of a host's addresses.
fn served_from(host: &Host, from: &str, to: SocketAddr) -> Result<()> {
    let port = to.port().to_string();
    let to = to.ip().to_string();
    // Redis' client does not choose its address; the route does.
    host.namespace.ip(&[format!("route replace {to} dev eth0 src {from}")])?;
    let answer = host.namespace.run("timeout", &["5", "redis-cli", "-h", &to, "-p", &port, "ping"]);
    host.namespace.ip(&[format!("route del {to} dev eth0")])?;
    ensure!(answer?.trim() == "PONG", "{from}");
    Ok(())
}

/// The lines of a file that are entries, without their comments.
fn entries(text: &str) -> Vec<&str> {
    let entries = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    entries.filter(|entry| !entry.is_empty()).collect()
}

#[test]
fn an_open_service_is_closed_to_all_but_those_who_came() -> Result<()> {
    const MORE: [&str; 6] = [
        "10.77.0.40/24",
        "10.77.0.42/24",
        "10.77.0.44/24",
        "10.77.0.47/24",
        "fd77::40/64",
        "fd77::41/64",
    ];
    let server = Server::with_redis()?;
    let [v4, v6] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    let before = server.policy()?;
    add_addresses(server.alice(), &MORE)?;
    let learning = begin(&server, "learn", &["learn", "redis", "--for", LONG])?;
    watched(&server, 1)?;
    let _established = Connection::open(server.alice(), v4, PATIENCE)?;
    for address in MORE {
        let from = address.split('/').next().unwrap_or_default();
        served_from(server.alice(), from, if from.contains(':') { v6 } else { v4 })?;
    }
    let said = interrupted(learning)?;
    watched(&server, 0)?;
    ensure!(server.policy()? == before, "learning has changed something");
    let (first, file) = said.split_once('\n').context("nothing")?;
    ensure!(first.starts_with("redis: noting for 10m, until 2"), "{first}");
    // Four of eight neighbours; and all addresses of an IPv6 host.
    let expected = ["10.77.0.2/32", "10.77.0.40/29", "fd77::/64"];
    ensure!(entries(file) == expected, "{file}");
    ensure!(file.contains("; 1 connection\n"), "{file}");
    ensure!(file.contains("6 addresses below have no established connection"), "{file}");

    let path = server.write("redis.txt", file)?;
    server.done(&["replace", "redis", "-f", &path])?;
    served(server.alice(), v4)?;
    served(server.alice(), v6)?;
    for address in MORE {
        let from = address.split('/').next().unwrap_or_default();
        served_from(server.alice(), from, if from.contains(':') { v6 } else { v4 })?;
    }
    shut_out(server.bob(), v4)?;
    // The comments are kept with the entries, and the file changes nothing a second time.
    let list = server.json(&["list", "redis"])?.to_string();
    ensure!(list.contains("packets from"), "{list}");
    let again = server.json(&["replace", "redis", "-f", &path])?;
    ensure!(again["changed"] == false, "{again}");
    Ok(())
}

#[test]
fn in_mode_monitor_the_sources_are_known_already() -> Result<()> {
    let server = Server::with_redis()?;
    let [v4, v6] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379", "--mode", "monitor"])?;
    server.done(&["add", "redis", "10.77.0.2", "--comment", "alice # of old"])?;
    server.done(&["add", "redis", "!10.77.0.3", "192.0.2.1"])?;
    // They are noted as soon as the program that does it is loaded, when the daemon has nothing else to do.
    let proposal = until("all sources", PATIENCE, || {
        for client in [server.alice(), server.bob()] {
            served(client, v4).and_then(|()| served(client, v6)).ok()?;
        }
        let proposal = server.json(&["learn", "redis"]).ok()?;
        (proposal["addresses"] == 4).then_some(proposal)
    })?;
    let proposed = |proposal: &Value| -> Vec<String> {
        let entries = proposal["proposed"].as_array().into_iter().flatten();
        entries.map(|entry| entry["prefix"].as_str().unwrap_or_default().to_owned()).collect()
    };
    // Both are in the subnet; over IPv4 the one is admitted, and an except is meant for the other.
    ensure!(proposed(&proposal) == ["fd77::/64"], "{proposal}");
    let left_out = json!({"admitted": 1, "excepted": 1, "denied": 0, "ended": 0});
    ensure!(proposal["left_out"] == left_out && proposal["noted"] == true, "{proposal}");
    let file = server.done(&["learn", "redis"])?;
    let own = ["10.77.0.2/32", "!10.77.0.3/32", "192.0.2.1/32"];
    ensure!(
        entries(&file)[..3] == own && file.contains("10.77.0.2/32 # alice # of old\n"),
        "{file}"
    );
    // What nobody came from is let go, and the except stays.
    let tight = server.json(&["learn", "redis", "--tighten"])?;
    ensure!(proposed(&tight) == ["10.77.0.2/32", "fd77::/64"], "{tight}");
    ensure!(tight["kept"] == json!([{"entry": "!10.77.0.3/32"}]), "{tight}");

    // What was seen of a service is not told of the one that takes its place.
    server.done(&["unprotect", "redis", "--yes"])?;
    server.done(&["protect", "valkey", "tcp/6379", "--mode", "monitor"])?;
    let proposal = server.json(&["learn", "valkey"])?;
    ensure!(proposal["packets"] == 0, "{proposal}");
    Ok(())
}

#[test]
fn a_service_in_mode_monitor_has_its_sources_noted_after_a_restart_without_a_change() -> Result<()>
{
    let mut server = Server::with_redis()?;
    let [v4, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379", "--mode", "monitor"])?;
    server.restart()?;
    until("the source to be noted", PATIENCE, || {
        served(server.alice(), v4).ok()?;
        let proposal = server.json(&["learn", "redis"]).ok()?;
        (proposal["packets"].as_u64()? > 0).then_some(())
    })
}

#[test]
fn nobody_who_is_denied_is_proposed() -> Result<()> {
    let server = Server::with_redis()?;
    let [v4, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    // Connected while it was open, and cut since.
    let _cut = Connection::open(server.bob(), v4, PATIENCE)?;
    let watch = server.make("POST /v1/services/redis/watch", &json!({"seconds": 600}))?;
    served(server.alice(), v4)?;
    served(server.bob(), v4)?;
    server.done(&["add", "redis", "10.77.0.0/31", "10.77.0.2", "--force"])?;
    shut_out(server.bob(), v4)?;
    let proposal = server.json(&["learn", "redis", "--tighten"])?;
    ensure!(proposal["proposed"][0]["prefix"] == "10.77.0.2/32", "{proposal}");
    ensure!(proposal["proposed"].as_array().map(Vec::len) == Some(1), "{proposal}");
    ensure!(proposal["left_out"]["denied"] == 1, "{proposal}");
    let line = format!("DELETE /v1/services/redis/watch?id={}", watch["id"]);
    server.make(&line, &Value::Null)?;
    server.ask(&line, &Value::Null)?.refused(404, "not_found")?;
    Ok(())
}

#[test]
fn noting_ends_by_itself_and_with_its_service() -> Result<()> {
    let server = Server::with_redis()?;
    let [v4, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["protect", "web", "tcp/80"])?;
    // The client is gone, and nobody ends it but its time.
    let mut gone = begin(&server, "gone", &["learn", "redis", "--for", "2s"])?;
    watched(&server, 1)?;
    gone.kill()?;
    served(server.alice(), v4)?;
    watched(&server, 0)?;
    let known = server.json(&["learn", "redis"])?;
    ensure!(known["packets"].as_u64() > Some(0) && known["noted"] == false, "{known}");
    served(server.alice(), v4)?;
    ensure!(server.json(&["learn", "redis"])?["packets"] == known["packets"]);

    // What was seen before is forgotten; several at once see the same.
    let long = json!({"seconds": 600});
    server.make("POST /v1/services/redis/watch", &long)?;
    ensure!(server.json(&["learn", "redis"])?["packets"] == 0);
    served(server.alice(), v4)?;
    server.make("POST /v1/services/redis/watch", &long)?;
    server.make("POST /v1/services/web/watch", &long)?;
    watched(&server, 3)?;
    let known = server.json(&["learn", "redis"])?;
    ensure!(known["packets"].as_u64() > Some(0) && known["noted"] == true, "{known}");
    server.done(&["unprotect", "redis", "--yes"])?;
    watched(&server, 1)?;
    server.fails(&["learn", "redis"], 6, "there is no service 'redis'")?;

    server.done(&["mode", "web", "off"])?;
    server.fails(&["learn", "web"], 1, "web is off: its packets are not judged")?;
    server.fails(&["learn", "trusted"], 6, "it is a group")?;
    server.fails(&["learn", "web", "--for", "8d"], 2, "'8d' is no time to watch for")?;
    for seconds in [0, 604_801] {
        let line = "POST /v1/services/web/watch";
        server.ask(line, &json!({"seconds": seconds}))?.refused(400, "invalid")?;
    }
    // It is no change of the policy.
    let actions: Vec<Value> = server.trail()?.iter_mut().map(|row| row["action"].take()).collect();
    ensure!(actions == ["protect", "protect", "unprotect", "mode"], "{actions:?}");
    Ok(())
}

#[test]
fn editors_have_the_sources_of_their_service_noted() -> Result<()> {
    let access =
        "[access]\nviewers = [\"4002\"]\n[[access.editor]]\nname = \"redis\"\nwho = [\"4003\"]\n";
    let server = Server::for_users(access)?;
    for service in ["redis", "web"] {
        let port = if service == "redis" { "tcp/6379" } else { "tcp/80" };
        server.done(&["protect", service, port])?;
    }
    let (viewer, editor) = (User::new(4002), User::new(4003));
    let body = json!({"seconds": 600});
    let table = [
        (&viewer, "redis", false),
        (&viewer, "web", false),
        (&editor, "redis", true),
        (&editor, "web", false),
    ];
    for (user, service, may) in table {
        let watch = user.ask(&server, &format!("POST /v1/services/{service}/watch"), &body)?;
        ensure!((watch.status == 200) == may, "{service}: {watch:?}");
        let end = format!("DELETE /v1/services/{service}/watch?id=1");
        let end = user.ask(&server, &end, &Value::Null)?;
        ensure!((end.status == 404) == may, "{service}: {end:?}");
        let line = format!("GET /v1/services/{service}/proposal");
        user.ask(&server, &line, &Value::Null)?.done()?;
    }
    Ok(())
}

#[test]
fn a_daemon_that_is_killed_notes_for_nobody_afterwards() -> Result<()> {
    let mut server = Server::with_redis()?;
    let [v4, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.make("POST /v1/services/redis/watch", &json!({"seconds": 600}))?;
    server.daemon()?.kill()?;
    served(server.bob(), v4)?;
    server.start()?;
    watched(&server, 0)?;
    let log = server.log();
    ensure!(log.contains("the sources of redis are noted"), "{log}");
    Ok(())
}
