//! Changes: in force on return, seen by no packet in between, one after another.

use std::{fmt::Write as _, thread, time::Duration};

use anyhow::{Result, ensure};
use xtask::lab::{Connection, PingLoop, until};

use super::support::{ECHO, LOST, PATIENCE, REDIS, Server, UdpLoop, served, shut_out};

/// A server whose redis and echo admit alice.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["protect", "echo", &format!("udp/{ECHO}")])?;
    for service in ["redis", "echo"] {
        server.done(&["add", service, "10.77.0.2", "fd77::2"])?;
    }
    Ok(server)
}

/// Alice's entries among thousands of others, and none of bob's.
fn list(others: u32) -> Result<String> {
    let mut text = "10.77.0.2 # alice\nfd77::2\n".to_owned();
    for number in 0..others {
        writeln!(text, "10.80.{}.{}", number >> 8, number & 0xff)?;
    }
    Ok(text)
}

#[test]
fn no_change_loses_a_packet_of_an_allowed_client_or_lets_another_in() -> Result<()> {
    let server = closed()?;
    let (short, long) =
        (server.write("short.txt", &list(7)?)?, server.write("long.txt", &list(5000)?)?);
    let [redis, _] = server.network.server.port(REDIS);
    let connection = Connection::open(server.alice(), redis, PATIENCE)?;
    let pings = PingLoop::start(connection, Duration::ZERO);
    let (mut packets, mut denied) = (Vec::new(), Vec::new());
    for address in server.network.server.port(ECHO) {
        packets.push(UdpLoop::start(server.alice(), address, LOST)?);
        denied.push(UdpLoop::start(server.bob(), address, Duration::from_micros(200))?);
    }
    for service in ["redis", "echo"] {
        for change in [
            // More and more specific: in no order that lets bob in on the way.
            &["add", service, "10.77.0.0/28", "fd77::/120", "!10.77.0.3", "!fd77::3"][..],
            &["remove", service, "!10.77.0.3", "!fd77::3", "10.77.0.0/28", "fd77::/120"],
            &["replace", service, "-f", &long],
            &["add", service, "10.77.0.0/31", "10.77.0.2/32", "--comment", "alice"],
            &["replace", service, "-f", &short],
            &["replace", service, "-f", &long],
            &["protect", "other", "tcp/1-1000", "--when-empty", "closed"],
            &["protect", "other", "tcp/2000", "--mode", "monitor"],
            &["unprotect", "other", "--yes"],
        ] {
            let before = pings.answers();
            server.done(change)?;
            until("more answers", PATIENCE, || (pings.answers() > before).then_some(()))?;
            packets.iter().try_for_each(|packets| packets.more(2))?;
        }
    }
    packets.into_iter().try_for_each(UdpLoop::all_answered)?;
    denied.into_iter().try_for_each(UdpLoop::none_answered)?;
    // What TCP lost it sent again, but here it was counted.
    let denied = server.packets("redis", "denied")?;
    ensure!(denied == 0, "redis denied {denied} packets of an allowed client");
    shut_out(server.bob(), redis)
}

#[test]
fn a_change_is_in_force_when_the_command_returns() -> Result<()> {
    let server = closed()?;
    let addresses = server.network.server.port(REDIS);
    for round in 0..20 {
        let (address, entry) = [(addresses[0], "10.77.0.3"), (addresses[1], "fd77::3")][round % 2];
        server.done(&["add", "redis", entry])?;
        served(server.bob(), address)?;
        server.done(&["remove", "redis", entry, "--force"])?;
        shut_out(server.bob(), address)?;
    }
    Ok(())
}

#[test]
fn a_replace_is_in_force_when_the_command_returns() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let without = server.write("without.txt", &list(5000)?)?;
    let with = server.write("with.txt", &format!("{}10.77.0.3\n", list(5000)?))?;
    for _ in 0..3 {
        server.done(&["replace", "redis", "-f", &with])?;
        served(server.bob(), ipv4)?;
        server.done(&["replace", "redis", "-f", &without, "--force"])?;
        shut_out(server.bob(), ipv4)?;
        served(server.alice(), ipv4)?;
    }
    ensure!(server.service("redis")?["entries"] == 5002);
    Ok(())
}

#[test]
fn a_file_with_bad_lines_changes_nothing_and_names_each() -> Result<()> {
    let server = closed()?;
    let before = server.policy()?;
    let revision = server.revision()?;
    let text = "10.77.0.3\n10.0.0.5/24 # typo\n\n# fine\nnonsense\n10.0.0.0/33\nfd77::3\n2-1\n";
    let file = server.write("bad.txt", text)?;
    let outcome = server.ctl(&["replace", "redis", "-f", &file])?;
    ensure!(outcome.code == Some(1), "{outcome:?}");
    for said in [
        "4 lines",
        "line 2: 10.0.0.5/24 has host bits set: use 10.0.0.0/24 for the network or 10.0.0.5/32 for",
        "line 5: 'nonsense' is not an address",
        "line 6: '10.0.0.0/33' has no valid prefix length",
        "line 8: ",
    ] {
        ensure!(outcome.stderr.contains(said), "{said:?} is missing in {outcome:?}");
    }
    for good in ["line 1:", "line 3:", "line 4:", "line 7:"] {
        ensure!(!outcome.stderr.contains(good), "{good} in {outcome:?}");
    }
    ensure!(server.policy()? == before && server.revision()? == revision);
    shut_out(server.bob(), server.network.server.port(REDIS)[0])
}

#[test]
fn changes_at_once_are_all_made_and_each_has_a_revision() -> Result<()> {
    const THREADS: u64 = 8;
    const CHANGES: u64 = 10;
    let server = closed()?;
    let before = server.revision()?;
    let change = |thread: u64| -> Result<()> {
        for number in 0..CHANGES {
            server.done(&["add", "redis", &format!("10.90.{thread}.{number}")])?;
        }
        // Half of the threads take some of their entries back.
        if thread.is_multiple_of(2) {
            server.done(&["remove", "redis", &format!("10.90.{thread}.0")])?;
        }
        Ok(())
    };
    let change = &change;
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || change(thread))).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    ensure!(server.revision()? == before + THREADS * CHANGES + THREADS / 2);
    ensure!(server.service("redis")?["entries"] == 2 + THREADS * CHANGES - THREADS / 2);
    Ok(())
}

#[test]
fn a_change_that_changes_nothing_makes_no_revision() -> Result<()> {
    let server = closed()?;
    server.done(&["add", "redis", "10.80.0.0/16", "--comment", "same"])?;
    let (before, revision) = (server.policy()?, server.revision()?);
    let same = "10.77.0.2\nfd77::2\n10.80.0.0/16 # same\n";
    let same = server.write("same.txt", same)?;
    for change in [
        &["add", "redis", "10.77.0.2"][..],
        &["add", "redis", "10.80.0.0/16", "--comment", "same"],
        &["replace", "redis", "-f", &same],
        &["protect", "redis", "tcp/6379"],
        &["add", "redis", "192.0.2.1", "--dry-run"],
        &["unprotect", "redis", "--dry-run"],
    ] {
        server.done(change)?;
        ensure!(server.policy()? == before, "{change:?} changed something");
        ensure!(server.revision()? == revision, "{change:?} made a revision");
    }
    Ok(())
}
