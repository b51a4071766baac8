//! A server and clients on one Ethernet.
//!
//! ```text
//! server eth0 ---+
//!                |
//! client eth0 ---+ bridge in a namespace of its own
//!                |
//! client eth0 ---+
//! ```
//!
//! The server has a single network interface, as most have, and all clients come in through it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;

use super::{namespace::Namespace, wait};

/// The network interface of each host.
pub const INTERFACE: &str = "eth0";

/// A namespace with one network interface, [`INTERFACE`], and addresses of both families.
#[derive(Debug)]
pub struct Host {
    /// Where it lives.
    pub namespace: Namespace,
    /// `10.77.0.N`, in a /24.
    pub ipv4: Ipv4Addr,
    /// `fd77::N`, in a /64.
    pub ipv6: Ipv6Addr,
    /// `02:77:00:00:00:N`.
    pub mac: [u8; 6],
}

impl Host {
    fn new(label: &str, number: u8) -> Result<Self> {
        Ok(Self {
            namespace: Namespace::new(label)?,
            ipv4: Ipv4Addr::new(10, 77, 0, number),
            ipv6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into()),
            mac: [2, 0x77, 0, 0, 0, number],
        })
    }

    /// A port of this host, over IPv4 and over IPv6.
    #[must_use]
    pub fn port(&self, port: u16) -> [SocketAddr; 2] {
        [IpAddr::V4(self.ipv4), IpAddr::V6(self.ipv6)].map(|address| (address, port).into())
    }
}

/// A server and its clients, all connected.
#[derive(Debug)]
pub struct Network {
    /// `10.77.0.1` and `fd77::1`.
    pub server: Host,
    /// `10.77.0.2` and `fd77::2`, and so on.
    pub clients: Vec<Host>,
    /// The bridge's namespace; its port to the server is `port1`, to the first client `port2`.
    pub switch: Namespace,
}

impl Network {
    /// Makes a network with a client of each of these names.
    ///
    /// # Errors
    ///
    /// Not root, or a link does not come up.
    pub fn new(clients: &[&str]) -> Result<Self> {
        let switch = Namespace::new("switch")?;
        // It has no address; without IPv6 it does not chatter either.
        switch.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        // A snooping bridge holds back neighbour discovery until it has learnt of listeners.
        switch.ip(&[
            "link add bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            "link set bridge up",
        ])?;
        let mut hosts = Vec::new();
        for (label, number) in ["server"].iter().chain(clients).zip(1..) {
            let host = Host::new(label, number)?;
            let port = format!("port{number}");
            link(&host.namespace, INTERFACE, &switch, &port)?;
            let mac: Vec<_> = host.mac.iter().map(|byte| format!("{byte:02x}")).collect();
            host.namespace.ip(&[
                &format!("link set {INTERFACE} address {}", mac.join(":")),
                &format!("address add {}/24 dev {INTERFACE}", host.ipv4),
                &format!("address add {}/64 dev {INTERFACE} nodad", host.ipv6),
            ])?;
            switch.ip(&[&format!("link set {port} master bridge")])?;
            hosts.push(host);
        }
        for number in 1..=hosts.len() {
            let port = format!("port{number}");
            wait::until(&format!("forwarding by {port}"), Duration::from_secs(5), || {
                let details = switch.run("ip", &["-json", "-details", "link", "show", &port]);
                let details: Value = serde_json::from_str(&details.ok()?).ok()?;
                let state = &details[0]["linkinfo"]["info_slave_data"]["state"];
                (state == "forwarding").then_some(())
            })?;
        }
        let server = hosts.remove(0);
        Ok(Self { server, clients: hosts, switch })
    }
}

/// Joins two namespaces by a cable (a veth pair) and waits until both ends are up.
///
/// # Errors
///
/// An interface of that name is there already, or the link does not come up.
pub fn link(a: &Namespace, a_interface: &str, b: &Namespace, b_interface: &str) -> Result<()> {
    a.ip(&[format!(
        "link add {a_interface} type veth peer name {b_interface} netns {}",
        b.name()
    )])?;
    let ends = [(a, a_interface), (b, b_interface)];
    for (namespace, interface) in ends {
        namespace.ip(&[format!("link set {interface} up")])?;
    }
    for (namespace, interface) in ends {
        let what = format!("the link of {interface} in {}", namespace.name());
        wait::until(&what, Duration::from_secs(5), || {
            let links = namespace.run("ip", &["-json", "link", "show", interface]).ok()?;
            let links: Value = serde_json::from_str(&links).ok()?;
            (links[0]["operstate"] == "UP").then_some(())
        })?;
    }
    Ok(())
}
