//! Ports of services that are listened on where there is no filter.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::link;

use super::support::{REDIS, Server, served, shut_out};

const SAID: &str = "redis: tcp/6379 also listens on eth1 (10.78.0.1), which has no filter: `allowlist-ctl attach eth1`";

/// Redis listens at every address; the filter is on eth0, and bob has a second way, by eth1.
fn server() -> Result<(Server, SocketAddr)> {
    let server = Server::with_redis()?;
    let (here, bob) = (&server.network.server.namespace, server.bob());
    link(here, "eth1", &bob.namespace, "eth1")?;
    here.ip(&["address add 10.78.0.1/24 dev eth1"])?;
    bob.namespace.ip(&["address add 10.78.0.3/24 dev eth1"])?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    Ok((server, "10.78.0.1:6379".parse()?))
}

fn told(server: &Server) -> Result<(Vec<Value>, bool)> {
    let status = server.status()?;
    let unfiltered = status["unfiltered"].as_array().context("no list")?.clone();
    let warnings = status["warnings"].as_array().context("no warnings")?;
    Ok((unfiltered, warnings.iter().any(|warning| warning == SAID)))
}

#[test]
fn a_port_that_listens_where_there_is_no_filter_is_told_until_the_filter_is_there() -> Result<()> {
    let (server, by_eth1) = server()?;
    let [by_eth0, _] = server.network.server.port(REDIS);
    shut_out(server.bob(), by_eth0)?;
    served(server.bob(), by_eth1)?;
    let expected = json!({
        "service": "redis", "port": "tcp/6379", "interface": "eth1", "address": "10.78.0.1", "can_attach": true
    });
    let found = told(&server)?;
    ensure!(found == (vec![expected], true), "{found:?}");
    let text = server.done(&["status"])?;
    ensure!(text.contains("`allowlist-ctl attach eth1`"), "{text}");

    // At once, though what listens was looked for a moment ago.
    server.done(&["attach", "eth1"])?;
    let found = told(&server)?;
    ensure!(found == (vec![], false), "{found:?}");
    shut_out(server.bob(), by_eth1)?;

    server.done(&["detach", "eth1", "--yes"])?;
    ensure!(told(&server)?.1, "the filter is gone again");
    // Where somebody means it so, nothing is said.
    server.done(&["protect", "redis", "tcp/6379", "--interface", "eth0"])?;
    let found = told(&server)?;
    ensure!(found == (vec![], false), "{found:?}");
    Ok(())
}

#[test]
fn udp_ports_count_and_interfaces_that_are_down_do_not() -> Result<()> {
    let (server, _) = server()?;
    server.done(&["protect", "echo", "udp/7000"])?;
    let find = |service: &str| -> Result<usize> {
        let (unfiltered, _) = told(&server)?;
        Ok(unfiltered.iter().filter(|one| one["service"] == service).count())
    };
    ensure!(find("echo")? == 1 && find("redis")? == 1, "{:?}", told(&server)?);
    server.network.server.namespace.ip(&["link set eth1 down"])?;
    let gone = || (find("echo").ok()? + find("redis").ok()? == 0).then_some(());
    xtask::lab::until("the interface that is down", super::support::PATIENCE, gone)
}
