//! How the filter runs on interfaces of several kinds, why not natively, and what it does not see there.

use anyhow::{Result, ensure};
use xtask::lab::link;

use super::support::{Outcome, Server};

/// A server with interfaces of these kinds, none of them attached.
fn server(commands: &[&str]) -> Result<Server> {
    let server = Server::with_options(&["--interface", "eth0"])?;
    server.network.server.namespace.ip(commands)?;
    Ok(server)
}

/// Attaches an interface, and says what was said to that.
fn attach(server: &Server, interface: &str) -> Result<String> {
    let done = server.json(&["attach", interface])?;
    let warnings = done["warnings"].to_string();
    // `status` says it too.
    let status = server.status()?["warnings"].to_string();
    for warning in done["warnings"].as_array().into_iter().flatten() {
        ensure!(status.contains(&warning.to_string()), "{warning} is not in {status}");
    }
    Ok(warnings)
}

#[test]
fn a_bridge_runs_generic_and_does_not_see_what_is_only_bridged() -> Result<()> {
    let mut server = server(&[
        "link add br7 type bridge",
        "link add port1 type veth peer name far1",
        "link add port2 type veth peer name far2",
        "link set port1 master br7",
        "link set port2 master br7",
    ])?;
    let no_native = "the driver bridge has no native XDP";
    server.fails(&["attach", "br7", "--xdp-mode", "native"], 1, no_native)?;
    let said = attach(&server, "br7")?;
    ensure!(said.contains(no_native), "{said}");
    ensure!(said.contains("br7 is a bridge: packets that are only bridged"), "{said}");
    ensure!(said.contains("attach the ports (port1, port2)"), "{said}");
    let interface = server.interface("br7")?;
    ensure!(interface["mode"] == "generic", "{interface}");
    // The kernel takes no program below one of a bridge: it says so, and how to go about it.
    let below = "'port1' takes no program while 'br7', which lies on it, has one";
    server.fails(&["attach", "port1"], 1, below)?;
    server.done(&["detach", "br7"])?;
    for port in ["port1", "port2"] {
        let said = attach(&server, port)?;
        ensure!(said == "null" || said == "[]", "{said}");
    }
    server.done(&["attach", "br7"])?;
    server.warns_no_more("only bridged")?;

    // A start attaches them from below, whatever their names are.
    let detached: Outcome = server.allowlistd(&["--detach"]).output()?.into();
    ensure!(detached.code == Some(0), "{detached:?}");
    server.start()?;
    for interface in ["br7", "port1", "port2"] {
        ensure!(server.interface(interface)?["state"] == "attached", "{:?}", server.status());
    }
    Ok(())
}

#[test]
fn a_macvlan_does_not_see_the_other_packets_of_the_interface_below() -> Result<()> {
    let server = server(&[
        "link add eth7 type veth peer name peer7",
        "link add link eth7 name mv7 type macvlan",
        "link add link eth0 name mv0 type macvlan",
    ])?;
    let said = attach(&server, "mv7")?;
    ensure!(said.contains("mv7 is a macvlan device: only packets to it are judged"), "{said}");
    ensure!(said.contains("attach eth7"), "{said}");
    // Where the one below is filtered, nothing is missed.
    let said = attach(&server, "mv0")?;
    ensure!(!said.contains("only packets to it"), "{said}");
    Ok(())
}

#[test]
fn a_driver_that_wants_more_queues_is_told_of_with_the_command_that_helps() -> Result<()> {
    let server = server(&[
        "link add eth7 numrxqueues 1 numtxqueues 1 type veth peer name peer7 numrxqueues 4 numtxqueues 4",
    ])?;
    let said = attach(&server, "eth7")?;
    ensure!(said.contains("fewer receive queues"), "{said}");
    ensure!(said.contains("`ethtool -L eth7 rx N`"), "{said}");
    Ok(())
}

#[test]
fn an_interface_of_a_large_mtu_runs_natively() -> Result<()> {
    let server = server(&[])?;
    let (here, bob) = (&server.network.server.namespace, &server.bob().namespace);
    link(here, "eth7", bob, "eth7")?;
    for end in [here, bob] {
        end.ip(&["link set eth7 mtu 9000"])?;
    }
    let said = attach(&server, "eth7")?;
    ensure!(server.interface("eth7")?["mode"] == "native", "{said}");
    Ok(())
}
