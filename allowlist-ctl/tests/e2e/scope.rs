//! Where a service applies and what it does there: modes, interfaces, ranges of ports.

use anyhow::{Result, ensure};
use serde_json::Value;
use xtask::lab::link;

use super::support::{PATIENCE, REDIS, Server, listen, served, shut_out};

#[test]
fn each_mode_treats_and_counts_a_denied_client_in_its_way() -> Result<()> {
    let server = Server::with_redis()?;
    let [ipv4, ipv6] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    // mode, whether bob is served, whether it is counted as denied, and as would be denied
    let table = [
        ("monitor", true, false, true),
        ("off", true, false, false),
        ("enforce", false, true, false),
        ("monitor", true, false, true),
    ];
    for (mode, is_served, denied, would_deny) in table {
        server.done(&["protect", "redis", "tcp/6379", "--mode", mode])?;
        let counts = || -> Result<_> {
            Ok(["denied", "would_deny"].map(|judged| server.packets("redis", judged)))
        };
        let before = counts()?;
        for address in [ipv4, ipv6] {
            let knock = if is_served { served } else { shut_out };
            knock(server.bob(), address)?;
        }
        let after = counts()?;
        for ((before, after), expected) in before.into_iter().zip(after).zip([denied, would_deny]) {
            let (before, after) = (before?, after?);
            ensure!((after > before) == expected, "{mode}: {before} became {after}");
        }
        served(server.alice(), ipv4)?;
    }
    Ok(())
}

#[test]
fn a_service_limited_to_an_interface_is_enforced_only_there() -> Result<()> {
    let server = Server::with_redis()?;
    let (here, bob) = (&server.network.server.namespace, server.bob());
    link(here, "eth1", &bob.namespace, "eth1")?;
    here.ip(&["address add 10.78.0.1/24 dev eth1"])?;
    bob.namespace.ip(&["address add 10.78.0.3/24 dev eth1"])?;
    server.done(&["attach", "eth1"])?;
    let (eth0, eth1) = (server.network.server.port(REDIS)[0], "10.78.0.1:6379".parse()?);

    server.done(&["protect", "redis", "tcp/6379", "--interface", "eth0"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    shut_out(bob, eth0)?;
    served(bob, eth1)?;
    // The same port on the other interface may be another service's.
    server.done(&["protect", "other", "tcp/6379", "--interface", "eth1"])?;
    server.done(&["add", "other", "192.0.2.1"])?;
    shut_out(bob, eth1)?;
    server.done(&["unprotect", "other", "--yes"])?;
    served(bob, eth1)?;

    server.done(&["protect", "redis", "tcp/6379", "--interface", "all"])?;
    shut_out(bob, eth0)?;
    shut_out(bob, eth1)?;
    served(server.alice(), eth0)
}

#[test]
fn both_ends_of_a_range_of_ports_are_protected_and_nothing_beyond() -> Result<()> {
    let server = Server::new()?;
    server.done(&["protect", "range", "tcp/7001-7003", "tcp/7005", "--when-empty", "closed"])?;
    let table =
        [(7000, true), (7001, false), (7002, false), (7003, false), (7004, true), (7005, false)];
    for (port, is_open) in table {
        let _listener = listen(&server.network.server.namespace, port)?;
        for address in server.network.server.port(port) {
            if is_open {
                server.bob().namespace.connect(address, PATIENCE)?;
            } else {
                shut_out(server.bob(), address)?;
            }
        }
    }
    Ok(())
}

#[test]
fn the_filter_works_in_generic_mode_and_warns_that_it_is_slower() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0", "--xdp-mode", "generic"])?;
    server.add_redis()?;
    server.start()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "fd77::2"])?;
    for address in server.network.server.port(REDIS) {
        served(server.alice(), address)?;
        shut_out(server.bob(), address)?;
    }
    ensure!(server.interface("eth0")?["mode"] == "generic");
    let warned = |server: &Server| -> Result<bool> {
        let warnings = server.status()?["warnings"].take();
        let is_it = |warning: &Value| {
            warning.as_str().is_some_and(|text| text.contains("eth0 runs in generic mode"))
        };
        Ok(warnings.as_array().is_some_and(|warnings| warnings.iter().any(is_it)))
    };
    ensure!(warned(&server)?, "{}", server.status()?);
    server.restart()?;
    ensure!(warned(&server)?, "after a restart: {}", server.status()?);
    shut_out(server.bob(), server.network.server.port(REDIS)[0])
}

#[test]
fn the_filter_is_native_where_the_driver_can() -> Result<()> {
    let server = Server::new()?;
    let interface = server.interface("eth0")?;
    ensure!(interface["mode"] == "native" && interface["state"] == "attached", "{interface}");
    ensure!(interface["program_id"].as_u64().is_some_and(|id| id > 0), "{interface}");
    Ok(())
}
