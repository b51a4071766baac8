//! Who is admitted: the entries of a service, over TCP and UDP, IPv4 and IPv6.

use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::{Result, ensure};
use xtask::lab::{Connection, Host, PingLoop, until};

use super::support::{
    CTL, ECHO, LOST, Outcome, PATIENCE, REDIS, Server, UdpLoop, served, shut_out,
};

const OPEN: &str = "No entries: redis is accessible to everyone.";

/// Clients of a server: those that have to be served, and those that have not.
fn expect(to: SocketAddr, admitted: &[&Host], denied: &[&Host]) -> Result<()> {
    admitted.iter().try_for_each(|client| served(client, to))?;
    denied.iter().try_for_each(|client| shut_out(client, to))
}

#[test]
fn the_first_entry_closes_a_service_to_everyone_else() -> Result<()> {
    let server = Server::with_redis()?;
    let (alice, bob) = (server.alice(), server.bob());
    let [ipv4, ipv6] = server.network.server.port(REDIS);

    ensure!(server.done(&["protect", "redis", "tcp/6379"])?.contains(OPEN));
    ensure!(server.service("redis")?["state"] == "open");
    expect(ipv4, &[alice, bob], &[])?;
    expect(ipv6, &[alice, bob], &[])?;

    server.done(&["add", "redis", "10.77.0.2", "--comment", "alice"])?;
    ensure!(server.service("redis")?["state"] == "closed");
    expect(ipv4, &[alice], &[bob])?;
    expect(ipv6, &[], &[alice, bob])?;

    server.done(&["add", "redis", "fd77::2"])?;
    expect(ipv4, &[alice], &[bob])?;
    expect(ipv6, &[alice], &[bob])?;

    for judged in ["admitted", "admitted_open", "denied"] {
        ensure!(server.packets("redis", judged)? > 0, "no packets were {judged}");
    }
    Ok(())
}

#[test]
fn an_except_denies_a_smaller_range_inside_an_allowed_one() -> Result<()> {
    let server = Server::with_redis()?;
    let (alice, bob) = (server.alice(), server.bob());
    let [ipv4, ipv6] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.0/24", "fd77::/64"])?;
    expect(ipv4, &[alice, bob], &[])?;
    expect(ipv6, &[alice, bob], &[])?;
    server.done(&["add", "redis", "!10.77.0.3", "!fd77::3/128"])?;
    expect(ipv4, &[alice], &[bob])?;
    expect(ipv6, &[alice], &[bob])?;
    // The more specific one decides, and on a tie the except.
    server.done(&["add", "redis", "10.77.0.3"])?;
    expect(ipv4, &[alice], &[bob])?;
    server.done(&["remove", "redis", "!10.77.0.3"])?;
    expect(ipv4, &[alice, bob], &[])?;
    Ok(())
}

#[test]
fn an_ipv4_mapped_entry_means_the_ipv4_address() -> Result<()> {
    let server = Server::with_redis()?;
    let [ipv4, ipv6] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "::ffff:10.77.0.2"])?;
    expect(ipv4, &[server.alice()], &[server.bob()])?;
    expect(ipv6, &[], &[server.alice(), server.bob()])?;
    let entries = server.json(&["list", "redis"])?["lists"][0]["entries"].take();
    ensure!(entries[0]["prefix"] == "10.77.0.2/32", "{entries}");
    Ok(())
}

#[test]
fn removal_cuts_an_established_connection() -> Result<()> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.0/24", "fd77::/64", "192.0.2.1"])?;
    let connections = server.network.server.port(REDIS).map(|address| -> Result<_> {
        let connection = Connection::open(server.bob(), address, PATIENCE)?;
        Ok(PingLoop::start(connection, Duration::from_millis(5)))
    });
    for (pings, entry) in connections.into_iter().zip(["10.77.0.0/24", "fd77::/64"]) {
        let pings = pings?;
        until("answers", PATIENCE, || (pings.answers() > 5).then_some(()))?;
        let before = server.packets("redis", "denied")?;
        // A later guard may ask for it: the connection is to be cut.
        server.done(&["remove", "redis", entry, "--force"])?;
        until("a dropped packet", PATIENCE, || {
            (server.packets("redis", "denied").ok()? > before).then_some(())
        })?;
        let late = pings.answers_during(Duration::from_millis(300));
        ensure!(late == 0, "{late} answers came after {entry} was removed");
    }
    Ok(())
}

#[test]
fn the_last_removal_is_asked_for_and_opens() -> Result<()> {
    let server = Server::with_redis()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    let before = server.policy()?;
    let empty = server.write("empty.txt", "# nobody\n")?;
    for change in [
        &["remove", "redis", "10.77.0.2"][..],
        &["replace", "redis", "-f", &empty],
        &["unprotect", "redis"],
    ] {
        server.fails(change, 5, "--yes")?;
        ensure!(server.policy()? == before, "{change:?} changed something");
        shut_out(server.bob(), ipv4)?;
    }
    ensure!(server.done(&["remove", "redis", "10.77.0.2", "--yes"])?.contains(OPEN));
    expect(ipv4, &[server.alice(), server.bob()], &[])
}

#[test]
fn on_a_terminal_the_question_is_answered_there() -> Result<()> {
    let server = Server::with_redis()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    // script(1) gives its command a terminal, and types there what it reads.
    let typed = |answer: &str| -> Result<Outcome> {
        let remove = format!("script -qec '{CTL} remove redis 10.77.0.2' /dev/null");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("echo {answer} | {remove}")]);
        Ok(shell.env("ALLOWLIST_SOCKET", server.socket()).output()?.into())
    };
    let declined = typed("n")?;
    ensure!(declined.code == Some(5), "{declined:?}");
    ensure!(declined.stdout.contains("redis is accessible to everyone"), "{declined:?}");
    shut_out(server.bob(), ipv4)?;
    let agreed = typed("y")?;
    ensure!(agreed.code == Some(0), "{agreed:?}");
    served(server.bob(), ipv4)
}

#[test]
fn a_udp_service_answers_allowed_clients_only() -> Result<()> {
    const SILENCE: Duration = Duration::from_millis(50);
    let server = Server::with_redis()?;
    let (alice, bob) = (server.alice(), server.bob());
    server.done(&["protect", "echo", &format!("udp/{ECHO}")])?;
    for address in server.network.server.port(ECHO) {
        UdpLoop::try_some(bob, address, LOST)?.all_answered()?;
    }
    server.done(&["add", "echo", "10.77.0.2", "fd77::2"])?;
    for address in server.network.server.port(ECHO) {
        UdpLoop::try_some(alice, address, LOST)?.all_answered()?;
        UdpLoop::try_some(bob, address, SILENCE)?.none_answered()?;
    }
    Ok(())
}

#[test]
fn a_service_that_is_closed_when_empty_admits_no_one() -> Result<()> {
    let server = Server::with_redis()?;
    let [ipv4, ipv6] = server.network.server.port(REDIS);
    let (alice, bob) = (server.alice(), server.bob());
    server.done(&["protect", "redis", "tcp/6379", "--when-empty", "closed"])?;
    expect(ipv4, &[], &[alice, bob])?;
    expect(ipv6, &[], &[alice, bob])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    expect(ipv4, &[alice], &[bob])?;
    // Nobody is let in, so there is nothing to ask.
    server.done(&["remove", "redis", "10.77.0.2", "--force"])?;
    expect(ipv4, &[], &[alice, bob])?;
    server.fails(&["protect", "redis", "tcp/6379", "--when-empty", "open"], 5, "--yes")?;
    server.done(&["protect", "redis", "tcp/6379", "--when-empty", "open", "--yes"])?;
    expect(ipv4, &[alice, bob], &[])
}
