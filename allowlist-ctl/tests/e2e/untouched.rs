//! What is not judged: ports of no service, ARP, neighbour discovery, ICMP.

use anyhow::Result;

use super::support::{ECHO, LOST, PATIENCE, REDIS, Server, UdpLoop, served, shut_out};

/// A service on another port is closed to everyone.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "ssh", "tcp/22", "udp/22", "--when-empty", "closed"])?;
    shut_out(server.bob(), server.network.server.port(22)[0])?;
    Ok(server)
}

#[test]
fn ports_of_no_service_are_served_while_another_service_is_closed() -> Result<()> {
    let server = closed()?;
    for address in server.network.server.port(REDIS) {
        served(server.bob(), address)?;
    }
    for address in server.network.server.port(ECHO) {
        UdpLoop::try_some(server.bob(), address, LOST)?.all_answered()?;
    }
    Ok(())
}

#[test]
fn the_same_port_of_another_protocol_is_served() -> Result<()> {
    let server = Server::with_redis()?;
    let (tcp, udp) = (format!("tcp/{ECHO}"), format!("udp/{REDIS}"));
    server.done(&["protect", "other", &tcp, &udp, "--when-empty", "closed"])?;
    served(server.bob(), server.network.server.port(REDIS)[0])?;
    let [echo, _] = server.network.server.port(ECHO);
    UdpLoop::try_some(server.bob(), echo, LOST)?.all_answered()
}

#[test]
fn a_denied_client_still_pings_and_finds_the_server() -> Result<()> {
    let server = closed()?;
    let hosts = [&server.network.server, server.bob()];
    for address in ["10.77.0.1", "fd77::1"] {
        for host in hosts {
            host.namespace.ip(&["neighbour flush dev eth0"])?;
        }
        server.bob().namespace.run("ping", &["-c1", "-W5", address])?;
    }
    for address in ["10.77.0.3", "fd77::3"] {
        for host in hosts {
            host.namespace.ip(&["neighbour flush dev eth0"])?;
        }
        server.network.server.namespace.run("ping", &["-c1", "-W5", address])?;
    }
    Ok(())
}

#[test]
fn connections_of_the_server_itself_go_on() -> Result<()> {
    let server = closed()?;
    let listener = super::support::listen(&server.bob().namespace, 22)?;
    for to in server.bob().port(22) {
        server.network.server.namespace.connect(to, PATIENCE)?;
    }
    drop(listener);
    Ok(())
}
