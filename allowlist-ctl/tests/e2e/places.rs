//! Where to attach: what the guide says of bridges, containers, macvlans and tunnels, tried with packets.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use xtask::lab::Namespace;

use super::support::{PATIENCE, Server, listen, shut_out};

const PORT: u16 = 6379;

/// A server on which port 6379 is closed to everyone, and the filter is on no interface.
fn closed() -> Result<Server> {
    let server = Server::with_options(&[])?;
    server.done(&["protect", "it", "tcp/6379", "--when-empty", "closed"])?;
    Ok(server)
}

fn reached(server: &Server, to: SocketAddr) -> Result<()> {
    server.bob().namespace.connect(to, PATIENCE).map(drop)
}

/// Where the filter is, bob is shut out; else he gets through.
fn is_judged_on(server: &Server, interface: &str, to: SocketAddr, is_judged: bool) -> Result<()> {
    reached(server, to)?;
    server.done(&["attach", interface, "--force"])?;
    let outcome = if is_judged { shut_out(server.bob(), to) } else { reached(server, to) };
    server.done(&["detach", interface, "--yes"])?;
    outcome.map_err(|error| error.context(format!("on {interface}")))
}

#[test]
fn packets_to_a_container_are_judged_where_they_come_in_and_not_where_they_go_out() -> Result<()> {
    let server = closed()?;
    let here = &server.network.server.namespace;
    let container = Namespace::new("container")?;
    here.ip(&[
        "link add br7 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        "link set br7 up",
        "address add 10.71.0.1/24 dev br7",
        &format!("link add host7 type veth peer name eth0 netns {}", container.name()),
        "link set host7 master br7 up",
    ])?;
    container.ip(&[
        "link set eth0 up",
        "address add 10.71.0.2/24 dev eth0",
        "route add default via 10.71.0.1",
    ])?;
    here.sysctl("net/ipv4/ip_forward", "1")?;
    server.bob().namespace.ip(&["route add 10.71.0.0/24 via 10.77.0.1"])?;
    let _listener = listen(&container, PORT)?;
    let to = format!("10.71.0.2:{PORT}").parse()?;
    for (interface, is_judged) in [("eth0", true), ("br7", false), ("host7", false)] {
        is_judged_on(&server, interface, to, is_judged)?;
    }
    Ok(())
}

#[test]
fn a_bridge_sees_what_is_for_the_host_and_its_ports_see_everything() -> Result<()> {
    let server = closed()?;
    let (here, bob) = (&server.network.server.namespace, &server.bob().namespace);
    let guest = Namespace::new("guest")?;
    here.ip(&[
        "link add br7 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        "link set br7 up",
        "address add 10.71.0.1/24 dev br7",
        &format!("link add port1 type veth peer name to1 netns {}", bob.name()),
        &format!("link add port2 type veth peer name to1 netns {}", guest.name()),
        "link set port1 master br7 up",
        "link set port2 master br7 up",
    ])?;
    for (namespace, number) in [(bob, 3), (&guest, 2)] {
        let address = format!("address add 10.71.0.{number}/24 dev to1");
        namespace.ip(&["link set to1 up", &address])?;
    }
    let _listeners = [listen(&guest, PORT)?, listen(here, PORT)?];
    let host = format!("10.71.0.1:{PORT}").parse()?;
    let bridged = format!("10.71.0.2:{PORT}").parse()?;
    let table = [
        ("br7", host, true),
        ("br7", bridged, false),
        ("port1", host, true),
        ("port1", bridged, true),
        ("port2", bridged, false),
    ];
    for (interface, to, is_judged) in table {
        is_judged_on(&server, interface, to, is_judged)?;
    }
    Ok(())
}

#[test]
fn a_macvlan_sees_what_is_for_it_and_the_interface_below_sees_everything() -> Result<()> {
    let server = closed()?;
    let here = &server.network.server.namespace;
    // Each address is answered for, and told of, by the interface that has it.
    here.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
    here.sysctl("net/ipv4/conf/all/arp_announce", "2")?;
    here.ip(&[
        "link add link eth0 name mv7 type macvlan mode bridge",
        "link set mv7 up",
        "address add 10.77.0.71/24 dev mv7",
    ])?;
    let _listener = listen(here, PORT)?;
    let [own, _] = server.network.server.port(PORT);
    let of_macvlan = format!("10.77.0.71:{PORT}").parse()?;
    let table = [
        ("mv7", of_macvlan, true),
        ("mv7", own, false),
        ("eth0", of_macvlan, true),
        ("eth0", own, true),
    ];
    for (interface, to, is_judged) in table {
        is_judged_on(&server, interface, to, is_judged)?;
    }
    Ok(())
}

#[test]
fn what_comes_out_of_a_vxlan_tunnel_is_judged_on_its_device_alone() -> Result<()> {
    let server = closed()?;
    let ends = [(&server.network.server, 1, 3), (server.bob(), 3, 1)];
    for (host, own, other) in ends {
        host.namespace.ip(&[
            &format!("link add vx7 type vxlan id 7 dev eth0 dstport 4789 remote 10.77.0.{other}"),
            "link set vx7 up",
            &format!("address add 10.71.0.{own}/24 dev vx7"),
        ])?;
    }
    let _listener = listen(&server.network.server.namespace, PORT)?;
    let to = format!("10.71.0.1:{PORT}").parse()?;
    is_judged_on(&server, "eth0", to, false)?;
    is_judged_on(&server, "vx7", to, true)?;
    // The tunnel itself is a port like any other, where it arrives.
    server.done(&["protect", "tunnel", "udp/4789", "--when-empty", "closed"])?;
    is_judged_on(&server, "eth0", to, true)?;
    ensure!(server.packets("tunnel", "denied")? > 0);
    Ok(())
}
