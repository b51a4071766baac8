//! The daemon is killed: nothing that was in force changes, then or when the next one takes over.

use std::{fs, os::unix::fs::MetadataExt as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{Connection, PingLoop, until};

use super::support::{ECHO, LOST, PATIENCE, REDIS, Server, UdpLoop, served, shut_out};

#[test]
fn over_a_kill_and_a_start_no_packet_is_judged_otherwise() -> Result<()> {
    const BRIEF: Duration = Duration::from_millis(5);
    let mut server = Server::with_redis()?;
    let echo = format!("udp/{ECHO}");
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["protect", "echo", &echo])?;
    for service in ["redis", "echo"] {
        server.done(&["add", service, "10.77.0.2", "fd77::2"])?;
    }
    let [redis, _] = server.network.server.port(REDIS);
    let connection = Connection::open(server.alice(), redis, PATIENCE)?;
    let pings = PingLoop::start(connection, Duration::ZERO);
    let mut allowed = Vec::new();
    let mut denied = Vec::new();
    for address in server.network.server.port(ECHO) {
        allowed.push(UdpLoop::start(server.alice(), address, LOST)?);
        denied.push(UdpLoop::start(server.bob(), address, BRIEF)?);
    }
    let program = server.interface("eth0")?["program_id"].as_u64();
    let link = pinned_link(&server)?;
    for _ in 0..2 {
        server.daemon()?.kill()?;
        shut_out(server.bob(), redis)?;
        served(server.alice(), redis)?;
        server.start()?;
        let before = pings.answers();
        until("more answers", PATIENCE, || (pings.answers() > before).then_some(()))?;
        allowed.iter().chain(&denied).try_for_each(|packets| packets.more(3))?;
    }
    allowed.into_iter().try_for_each(UdpLoop::all_answered)?;
    denied.into_iter().try_for_each(UdpLoop::none_answered)?;
    ensure!(server.packets("echo", "denied")? > 0);
    // The same link has got another program.
    ensure!(pinned_link(&server)? == link);
    ensure!(server.interface("eth0")?["program_id"].as_u64() != program);
    ensure!(server.log().contains("took over the filter that was in force"), "{}", server.log());
    Ok(())
}

/// The inode of the pin: another one when the link was made anew.
fn pinned_link(server: &Server) -> Result<u64> {
    let mut pins = fs::read_dir(server.pins().join("links"))?;
    let pin = pins.next().context("no link is pinned")??;
    ensure!(pins.next().is_none(), "more than one link is pinned");
    Ok(pin.metadata()?.ino())
}

#[test]
fn each_acknowledged_change_survives_a_kill() -> Result<()> {
    let mut server = Server::new()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    for number in 0..3 {
        server.done(&["add", "redis", &format!("10.90.0.{number}"), "--comment", "kept"])?;
        let before = (server.policy()?, server.revision()?);
        server.daemon()?.kill()?;
        server.start()?;
        ensure!((server.policy()?, server.revision()?) == before);
    }
    Ok(())
}

#[test]
fn a_start_puts_the_filter_back_where_the_pins_are_gone() -> Result<()> {
    let mut server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    let [redis, _] = server.network.server.port(REDIS);
    server.daemon()?.kill()?;
    fs::remove_dir_all(server.pins())?;
    served(server.bob(), redis)?;
    server.start()?;
    shut_out(server.bob(), redis)?;
    served(server.alice(), redis)
}
