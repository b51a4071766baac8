//! Interfaces come and go, change their names and their network namespace; the filter and what is judged go with them.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use xtask::lab::{Namespace, link, until};

use super::support::{NOTICED, REDIS, SETTLED, Server, served, shut_out};

/// A server whose redis is closed to bob on `eth7` alone.
fn limited(interfaces: &[&str]) -> Result<Server> {
    let options: Vec<&str> =
        ["eth0"].iter().chain(interfaces).flat_map(|name| ["--interface", name]).collect();
    let mut server = Server::prepare(&options)?;
    server.add_redis()?;
    server.start()?;
    server.done(&["protect", "redis", "tcp/6379", "--interface", "eth7"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    Ok(server)
}

/// Lays a cable from bob to the server, with addresses of this number, and says where bob finds redis by it.
fn lay(server: &Server, interface: &str, number: u8) -> Result<SocketAddr> {
    let (here, bob) = (&server.network.server.namespace, &server.bob().namespace);
    let end = format!("to{number}");
    link(here, interface, bob, &end)?;
    bob.ip(&[format!("address add 10.{number}.0.3/24 dev {end}")])?;
    address(server, interface, number)
}

fn address(server: &Server, interface: &str, number: u8) -> Result<SocketAddr> {
    let address = format!("address add 10.{number}.0.1/24 dev {interface}");
    server.network.server.namespace.ip(&[address])?;
    Ok(format!("10.{number}.0.1:{REDIS}").parse()?)
}

fn rename(server: &Server, names: &[(&str, &str)]) -> Result<()> {
    let commands = names.iter().flat_map(|(from, to)| {
        [
            format!("link set {from} down"),
            format!("link set {from} name {to}"),
            format!("link set {to} up"),
        ]
    });
    server.network.server.namespace.ip(&commands.collect::<Vec<_>>())
}

/// Waits until bob is served, or shut out.
fn soon(server: &Server, to: SocketAddr, is_served: bool) -> Result<()> {
    let judge = if is_served { served } else { shut_out };
    until(&format!("bob at {to} to be served: {is_served}"), NOTICED, || {
        judge(server.bob(), to).ok()
    })
}

#[test]
fn an_interface_that_is_renamed_keeps_its_filter_until_another_one_has_the_name() -> Result<()> {
    let server = limited(&["eth7"])?;
    let old = lay(&server, "eth7", 71)?;
    server.becomes("eth7", "attached")?;
    shut_out(server.bob(), old)?;

    rename(&server, &[("eth7", "old7")])?;
    server.warns("the filter of eth7 is on old7")?;
    shut_out(server.bob(), old)?;
    ensure!(server.interface("eth7")?["state"] == "attached");
    server.fails(&["detach", "old7", "--yes"], 6, "`allowlist-ctl detach eth7`")?;
    rename(&server, &[("old7", "eth7")])?;
    server.warns_no_more("the filter of eth7 is on")?;
    shut_out(server.bob(), old)?;

    rename(&server, &[("eth7", "old7")])?;
    let new = lay(&server, "eth7", 72)?;
    soon(&server, new, false)?;
    soon(&server, old, true)?;
    server.warns_no_more("old7")?;
    ensure!(server.program("old7")?.is_none());
    ensure!(server.link_pins("eth7")?.len() == 1);
    Ok(())
}

#[test]
fn a_renamed_interface_keeps_its_filter_over_a_restart() -> Result<()> {
    let mut server = limited(&["eth7"])?;
    let to = lay(&server, "eth7", 71)?;
    server.becomes("eth7", "attached")?;
    rename(&server, &[("eth7", "old.7")])?;
    server.restart()?;
    shut_out(server.bob(), to)?;
    server.warns("the filter of eth7 is on old.7")?;
    // The new name may be wanted in its place.
    server.done(&["attach", "old.7"])?;
    server.becomes("eth7", "missing")?;
    server.restart()?;
    ensure!(server.interface("old.7")?["state"] == "attached");
    served(server.bob(), to)
}

#[test]
fn names_that_are_exchanged_are_judged_by_what_they_are_now() -> Result<()> {
    let server = limited(&["eth6", "eth7"])?;
    let (six, seven) = (lay(&server, "eth6", 71)?, lay(&server, "eth7", 72)?);
    for interface in ["eth6", "eth7"] {
        server.becomes(interface, "attached")?;
    }
    let ids = |name: &str| -> Result<Vec<String>> {
        let pins = server.link_pins(name)?.into_iter();
        let names = pins.filter_map(|pin| Some(pin.file_name()?.to_str()?.to_owned()));
        Ok(names.filter_map(|name| Some(name.split_once('-')?.0.to_owned())).collect())
    };
    let links = || -> Result<_> { Ok((ids("eth6")?, ids("eth7")?)) };
    let before = links()?;
    served(server.bob(), six)?;
    shut_out(server.bob(), seven)?;
    rename(&server, &[("eth6", "x"), ("eth7", "eth6"), ("x", "eth7")])?;
    soon(&server, six, false)?;
    soon(&server, seven, true)?;
    ensure!(server.program("eth6")?.is_some(), "no filter on eth6");
    let after = links()?;
    // They are the links from before, each with the name of the other.
    ensure!(
        before != after && before == (after.1.clone(), after.0.clone()),
        "{before:?}, {after:?}"
    );
    server.warns_no_more("eth")
}

#[test]
fn an_interface_is_filtered_when_it_gets_the_wanted_name() -> Result<()> {
    let server = limited(&["eth7"])?;
    let to = lay(&server, "lan0", 71)?;
    served(server.bob(), to)?;
    ensure!(server.interface("eth7")?["state"] == "missing");
    rename(&server, &[("lan0", "eth7")])?;
    soon(&server, to, false)?;
    server.becomes("eth7", "attached")
}

#[test]
fn a_filter_goes_along_to_another_network_namespace_and_comes_back_under_any_index() -> Result<()> {
    let server = limited(&["eth7"])?;
    let here = &server.network.server.namespace;
    let other = Namespace::new("other")?;
    let to = lay(&server, "eth7", 71)?;
    server.becomes("eth7", "attached")?;
    shut_out(server.bob(), to)?;
    let index = server.interface("eth7")?["ifindex"].clone();
    let pins = server.link_pins("eth7")?;

    for is_taken in [false, true] {
        here.ip(&[format!("link set eth7 netns {}", other.name())])?;
        server.becomes("eth7", "missing")?;
        server.warns("another network namespace")?;
        if is_taken {
            // Another interface has the index that it had, and is no interface of ours for that.
            here.ip(&[format!("link add other7 index {index} type veth peer name peer7")])?;
            std::thread::sleep(SETTLED);
            ensure!(server.interface("eth7")?["state"] == "missing", "{:?}", server.status());
        }
        other.ip(&[format!("link set eth7 netns {}", here.name())])?;
        server.becomes("eth7", "attached")?;
        here.ip(&["link set eth7 up"])?;
        address(&server, "eth7", 71)?;
        soon(&server, to, false)?;
        let is_same = server.interface("eth7")?["ifindex"] == index;
        ensure!(is_same != is_taken, "{:?}", server.interface("eth7"));
    }
    ensure!(server.link_pins("eth7")? == pins, "the link is another one");
    ensure!(server.interface("eth7")?["put_back"] == 0, "{:?}", server.interface("eth7"));
    Ok(())
}

#[test]
fn another_interface_of_the_name_is_filtered_beside_one_in_another_namespace() -> Result<()> {
    let server = limited(&["eth7"])?;
    let other = Namespace::new("other")?;
    lay(&server, "eth7", 71)?;
    server.becomes("eth7", "attached")?;
    server.network.server.namespace.ip(&[format!("link set eth7 netns {}", other.name())])?;
    server.becomes("eth7", "missing")?;
    let to = lay(&server, "eth7", 72)?;
    soon(&server, to, false)?;
    ensure!(server.link_pins("eth7")?.len() == 2);
    let links = other.run("ip", &["link", "show", "eth7"])?;
    ensure!(links.contains("xdp"), "{links}");
    // By command, it is taken off both.
    server.done(&["detach", "eth7", "--yes"])?;
    let links = other.run("ip", &["link", "show", "eth7"])?;
    ensure!(!links.contains("xdp") && server.link_pins("eth7")?.is_empty(), "{links}");
    Ok(())
}

#[test]
fn a_filter_that_nothing_names_any_more_is_kept_under_the_policy_of_today() -> Result<()> {
    let mut server = limited(&["eth7"])?;
    let to = lay(&server, "eth7", 71)?;
    server.becomes("eth7", "attached")?;
    server.set_options(&["--interface", "eth0"]);
    server.restart()?;
    shut_out(server.bob(), to)?;
    let interface = server.interface("eth7")?;
    ensure!(interface["state"] == "attached", "{interface}");
    let said = "kept from an earlier start, and nothing names it now";
    ensure!(interface["reason"].to_string().contains(said), "{interface}");
    server.warns(said)?;

    server.done(&["add", "redis", "10.71.0.3"])?;
    served(server.bob(), to)?;
    server.done(&["remove", "redis", "10.71.0.3", "--force"])?;
    shut_out(server.bob(), to)?;

    let told = server.done(&["attach", "eth7", "--xdp-mode", "generic"])?;
    ensure!(told.contains("it stays in mode native"), "{told}");
    server.warns_no_more(said)?;
    server.restart()?;
    server.warns_no_more(said)?;
    shut_out(server.bob(), to)?;
    server.done(&["detach", "eth7", "--yes"])?;
    served(server.bob(), to)?;
    server.restart()?;
    served(server.bob(), to)?;
    ensure!(server.interface("eth7")?["state"] == "detached");
    Ok(())
}

#[test]
fn a_kept_filter_is_taken_off_by_command_and_a_stale_pin_by_the_start() -> Result<()> {
    let mut server = limited(&["eth7", "eth8"])?;
    let to = lay(&server, "eth7", 71)?;
    lay(&server, "eth8", 72)?;
    server.becomes("eth7", "attached")?;
    server.becomes("eth8", "attached")?;
    server.daemon()?.kill()?;
    server.network.server.namespace.ip(&["link delete eth8"])?;
    ensure!(server.link_pins("eth8")?.len() == 1);
    server.set_options(&["--interface", "eth0"]);
    server.start()?;
    ensure!(server.link_pins("eth8")?.is_empty(), "the stale pin is still there");
    ensure!(server.interface("eth8").is_err(), "{:?}", server.interface("eth8"));
    shut_out(server.bob(), to)?;
    server.done(&["detach", "eth7", "--yes"])?;
    served(server.bob(), to)?;
    ensure!(server.link_pins("eth7")?.is_empty());
    Ok(())
}

#[test]
fn a_pin_that_an_earlier_version_named_by_the_index_is_taken_over() -> Result<()> {
    let mut server = limited(&["eth7"])?;
    let to = lay(&server, "eth7", 71)?;
    server.becomes("eth7", "attached")?;
    let index = server.interface("eth7")?["ifindex"].to_string();
    server.daemon()?.kill()?;
    let pins = server.link_pins("eth7")?;
    std::fs::rename(&pins[0], server.pins().join("links").join(index))?;
    server.start()?;
    shut_out(server.bob(), to)?;
    ensure!(server.link_pins("eth7")? == pins, "the link is another one");
    server.warns_no_more("eth")
}
