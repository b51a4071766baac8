//! The filter on interfaces: put on, taken off, remembered, and refused.

use anyhow::{Result, ensure};
use xtask::lab::{Bpffs, link};

use super::support::{Outcome, REDIS, Server, served, shut_out};

fn closed(mut server: Server) -> Result<Server> {
    server.add_redis()?;
    server.start()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    Ok(server)
}

#[test]
fn attach_and_detach_are_remembered_over_a_restart() -> Result<()> {
    for options in [&["--interface", "eth0"][..], &[]] {
        let mut server = closed(Server::prepare(options)?)?;
        let [ipv4, _] = server.network.server.port(REDIS);
        if options.is_empty() {
            served(server.bob(), ipv4)?;
            server.done(&["attach", "eth0"])?;
        }
        shut_out(server.bob(), ipv4)?;
        server.restart()?;
        shut_out(server.bob(), ipv4)?;

        server.fails(&["detach", "eth0"], 5, "--yes")?;
        shut_out(server.bob(), ipv4)?;
        server.done(&["detach", "eth0", "--yes"])?;
        served(server.bob(), ipv4)?;
        server.restart()?;
        served(server.bob(), ipv4)?;
        ensure!(server.interface("eth0")?["state"] == "detached");
        let warnings = server.status()?["warnings"].to_string();
        ensure!(warnings.contains("`allowlist-ctl attach eth0` puts the filter back"));

        server.done(&["attach", "eth0"])?;
        shut_out(server.bob(), ipv4)?;
        served(server.alice(), ipv4)?;
    }
    Ok(())
}

#[test]
fn an_interface_is_filtered_when_it_appears_and_when_it_comes_back() -> Result<()> {
    let server = closed(Server::prepare(&["--interface", "eth0", "--interface", "eth7"])?)?;
    let (here, bob) = (&server.network.server.namespace, server.bob());
    let to = "10.78.0.1:6379".parse()?;
    server.done(&["protect", "redis", "tcp/6379", "--interface", "eth7"])?;
    for _ in 0..2 {
        server.becomes("eth7", "missing")?;
        link(here, "eth7", &bob.namespace, "eth7")?;
        server.becomes("eth7", "attached")?;
        here.ip(&["address add 10.78.0.1/24 dev eth7"])?;
        bob.namespace.ip(&["address add 10.78.0.3/24 dev eth7"])?;
        shut_out(bob, to)?;
        here.ip(&["link delete eth7"])?;
    }
    server.becomes("eth7", "missing")?;
    let warnings = server.status()?["warnings"].to_string();
    ensure!(warnings.contains("eth7 is not filtered"), "{warnings}");
    ensure!(!server.log().contains("looked at by the clock"), "the kernel does not tell of them");
    Ok(())
}

#[test]
fn somebody_elses_program_is_named_and_left_in_place() -> Result<()> {
    let server = closed(Server::prepare(&["--interface", "eth0"])?)?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let program = server.interface("eth0")?["program_id"].to_string();

    // To another daemon, with places of its own, the program of the first is somebody else's.
    let directory = server.path("other");
    let bpffs = Bpffs::mount(&directory.join("bpf"))?;
    let mut other = server.allowlistd_elsewhere(&directory, bpffs.path());
    other.args(["--interface", "eth0"]);
    let outcome: Outcome = other.output()?.into();
    ensure!(outcome.code == Some(1), "{outcome:?}");
    let said = format!("'eth0' has an XDP program of somebody else, with id {program}");
    ensure!(outcome.stderr.contains(&said), "{outcome:?}");
    ensure!(outcome.stderr.contains("bpftool prog show id"), "{outcome:?}");

    ensure!(server.interface("eth0")?["program_id"].to_string() == program);
    shut_out(server.bob(), ipv4)?;
    served(server.alice(), ipv4)
}

#[test]
fn an_interface_without_ethernet_is_refused_with_a_sentence() -> Result<()> {
    let server = closed(Server::prepare(&["--interface", "eth0"])?)?;
    let said = "'tun0' has no Ethernet header";
    server.network.server.namespace.ip(&["tuntap add mode tun dev tun0", "link set tun0 up"])?;
    server.fails(&["attach", "tun0"], 1, said)?;
    let before = server.status()?["interfaces"].to_string();
    ensure!(!before.contains("tun0"), "{before}");

    let directory = server.path("other");
    let bpffs = Bpffs::mount(&directory.join("bpf"))?;
    let mut other = server.allowlistd_elsewhere(&directory, bpffs.path());
    other.args(["--interface", "tun0"]);
    let outcome: Outcome = other.output()?.into();
    ensure!(outcome.code == Some(1) && outcome.stderr.contains(said), "{outcome:?}");
    Ok(())
}
