//! The connections of a real host and the ways to it, in network namespaces. Needs root.

use std::{
    ffi::CString,
    io::{Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    time::Duration,
};

use allowlist::{
    host::{Connection, Topology, established},
    kernel::interfaces,
};
use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use xtask::lab::{INTERFACE, Namespace, Network, link, until};

#[path = "e2e/support/nobody.rs"]
#[expect(dead_code, reason = "the other tests need all of it")]
mod nobody;

const PORT: u16 = 4242;
/// Longer than a neighbour solicitation takes that has to be repeated.
const SOON: Duration = Duration::from_secs(5);

/// A connection as both ends hold it.
struct Held {
    server: TcpStream,
    client: TcpStream,
}

impl Held {
    fn new(server: &Namespace, client: &Namespace, to: SocketAddr) -> Result<Self> {
        let listener = server.inside(|| TcpListener::bind(to))??;
        Self::accept(&listener, client, to)
    }

    fn accept(listener: &TcpListener, client: &Namespace, to: SocketAddr) -> Result<Self> {
        let client = client.connect(to, SOON)?;
        Ok(Self { server: listener.accept()?.0, client })
    }

    /// As the server has to find it.
    fn expected(&self) -> Result<Connection> {
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port()).into();
        let (local, peer) = (self.client.peer_addr()?, self.client.local_addr()?);
        Ok(Connection { local: canonical(local), peer: canonical(peer), bound_to: None })
    }
}

fn found(namespace: &Namespace) -> Result<Vec<Connection>> {
    Ok(namespace.inside(established)??)
}

fn index(namespace: &Namespace, interface: &str) -> Result<u32> {
    let interfaces = namespace.inside(interfaces)??;
    let found = interfaces.iter().find(|one| one.name == interface);
    Ok(found.with_context(|| format!("{interface} is not there"))?.ifindex)
}

/// The answer of a server to where a connection comes in.
fn ingress(server: &Namespace, connection: &Connection, attached: &[u32]) -> Result<Vec<u32>> {
    Ok(server.inside(|| Topology::read().map(|mut it| it.ingress(connection, attached)))??)
}

fn own(namespace: &Namespace, address: IpAddr) -> Result<bool> {
    Ok(namespace.inside(|| Topology::read().map(|mut it| it.is_own(address)))??)
}

#[test]
fn a_connection_is_found_with_the_addresses_of_its_packets() -> Result<()> {
    let network = Network::new(&["client"])?;
    let (server, client) = (&network.server, &network.clients[0]);
    let [to_ipv4, to_ipv6] = server.port(PORT);
    let everything: SocketAddr = format!("[::]:{}", PORT + 1).parse()?;
    let dual = server.namespace.inside(|| TcpListener::bind(everything))??;
    let cases = [
        ("IPv4", Held::new(&server.namespace, &client.namespace, to_ipv4)?),
        ("IPv6", Held::new(&server.namespace, &client.namespace, to_ipv6)?),
        (
            "IPv4 to a dual-stack socket",
            Held::accept(&dual, &client.namespace, server.port(PORT + 1)[0])?,
        ),
        (
            "IPv6 to a dual-stack socket",
            Held::accept(&dual, &client.namespace, server.port(PORT + 1)[1])?,
        ),
    ];
    let connections = found(&server.namespace)?;
    for (description, held) in &cases {
        assert!(connections.contains(&held.expected()?), "{description}: {connections:?}");
    }
    assert_eq!(connections.len(), cases.len(), "and no other: {connections:?}");
    // The other end of the same, and a host between without any.
    let mut seen_by_client = found(&client.namespace)?;
    for seen in &mut seen_by_client {
        (seen.local, seen.peer) = (seen.peer, seen.local);
    }
    seen_by_client.sort();
    let mut connections = connections;
    connections.sort();
    assert_eq!(seen_by_client, connections);
    assert_eq!(found(&network.switch)?, []);
    Ok(())
}

#[test]
fn a_connection_counts_until_the_server_closes_it() -> Result<()> {
    let network = Network::new(&["client"])?;
    let (server, client) = (&network.server.namespace, &network.clients[0].namespace);
    let to = network.server.port(PORT)[0];
    let listener = server.inside(|| TcpListener::bind(to))??;
    assert_eq!(found(server)?, [], "a listener is no connection");

    let client_end = client.connect(to, SOON)?;
    let accepted = found(server)?;
    assert_eq!(accepted.len(), 1, "one that the server has not accepted yet: {accepted:?}");

    let mut server_end = listener.accept()?.0;
    client_end.shutdown(Shutdown::Write)?;
    until("the client's FIN", SOON, || (server_end.peek(&mut [0]).ok()? == 0).then_some(()))?;
    assert_eq!(found(server)?, accepted, "the client waits for the answer");
    server_end.write_all(b"the answer")?;

    // Closed for certain: a process that is just being started may hold a copy.
    server_end.shutdown(Shutdown::Both)?;
    assert_eq!(found(server)?, [], "the server has closed it, last of the two");

    let mut held = Held::accept(&listener, client, to)?;
    assert_eq!(found(server)?.len(), 1);
    held.server.shutdown(Shutdown::Write)?;
    assert_eq!(held.client.read(&mut [0])?, 0);
    // It comes with the acknowledgement of the server's FIN.
    held.client.write_all(b"?")?;
    held.server.read_exact(&mut [0])?;
    assert_eq!(found(server)?, [], "the server has closed it, first of the two");
    Ok(())
}

#[test]
fn connections_are_found_by_hundreds_and_without_any_rights() -> Result<()> {
    const MANY: usize = 500;
    // Two descriptors each, beside those of the tests that run at the same time.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most.min(8192), most)?;

    let network = Network::new(&["client"])?;
    let (server, client) = (&network.server.namespace, &network.clients[0].namespace);
    let to = network.server.port(PORT)[1];
    let listener = server.inside(|| TcpListener::bind(to))??;
    let held = client.inside(|| {
        let one = || -> Result<Held> {
            let client = TcpStream::connect_timeout(&to, SOON)?;
            Ok(Held { server: listener.accept()?.0, client })
        };
        (0..MANY).map(|_| one()).collect::<Result<Vec<_>>>()
    })??;
    let mut expected = held.iter().map(Held::expected).collect::<Result<Vec<_>>>()?;
    expected.sort();

    for (who, result) in [
        ("root", server.inside(established)?),
        ("nobody", server.inside(|| nobody::as_nobody(established))??),
    ] {
        let mut connections = result?;
        connections.sort();
        assert_eq!(connections.len(), MANY, "{who}");
        assert!(connections == expected, "{who}");
    }
    let attached = [index(server, INTERFACE)?];
    let ways = server.inside(|| {
        nobody::as_nobody(|| Topology::read().map(|mut it| it.ingress(&expected[0], &attached)))
    })???;
    assert_eq!(ways, attached);
    Ok(())
}

#[test]
fn a_connection_of_a_link_local_peer_or_a_bound_socket_names_the_interface() -> Result<()> {
    let network = Network::new(&["client"])?;
    let (server, client) = (&network.server.namespace, &network.clients[0].namespace);
    let eth0 = index(server, INTERFACE)?;
    server.ip(&["link add other type bridge", "address add fe80::1/64 dev eth0 nodad"])?;
    let other = index(server, "other")?;

    let scope = index(client, INTERFACE)?;
    let to = SocketAddr::V6(std::net::SocketAddrV6::new("fe80::1".parse()?, PORT, 0, scope));
    let listener = server.inside(|| TcpListener::bind(("::", PORT)))??;
    let held = Held::accept(&listener, client, to)?;
    let link_local = Connection { bound_to: Some(eth0), ..held.expected()? };
    assert_eq!(found(server)?, [link_local]);
    assert_eq!(ingress(server, &link_local, &[other, eth0])?, [eth0]);

    let to = network.server.port(PORT + 1)[0];
    let listener = server.inside(|| TcpListener::bind(to))??;
    let name = CString::new(INTERFACE)?;
    let bytes = name.as_bytes_with_nul();
    // SAFETY: setsockopt(2) reads that many bytes of a text that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            bytes.as_ptr().cast(),
            libc::socklen_t::try_from(bytes.len())?,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    let other_held = Held::accept(&listener, client, to)?;
    let bound = Connection { bound_to: Some(eth0), ..other_held.expected()? };
    let connections = found(server)?;
    assert!(connections.contains(&bound), "{connections:?}");
    // The socket's word goes before the route's.
    let elsewhere = Connection { bound_to: Some(other), ..bound };
    assert_eq!(ingress(server, &bound, &[other, eth0])?, [eth0]);
    assert_eq!(ingress(server, &elsewhere, &[other, eth0])?, [other]);
    Ok(())
}

#[test]
fn connections_within_the_host_are_its_own() -> Result<()> {
    let network = Network::new(&["client"])?;
    let (server, client) = (&network.server, &network.clients[0]);
    let (lo, eth0) = (index(&server.namespace, "lo")?, index(&server.namespace, INTERFACE)?);
    // Addresses that are no interface's, but delivered here all the same.
    server.namespace.ip(&["route add local 198.51.100.0/24 dev lo"])?;
    let [ipv4, ipv6] = server.port(PORT);
    for to in ["127.0.0.1:4242".parse()?, "[::1]:4242".parse()?, ipv4, ipv6] {
        let held = Held::new(&server.namespace, &server.namespace, to)?;
        let connection = held.expected()?;
        assert!(found(&server.namespace)?.contains(&connection), "{to}");
        assert!(own(&server.namespace, connection.peer.ip())?, "{to}");
        assert_eq!(ingress(&server.namespace, &connection, &[eth0])?, vec![0; 0], "{to}");
        assert_eq!(ingress(&server.namespace, &connection, &[eth0, lo])?, [lo], "{to}");
    }
    let cases = [
        ("127.9.9.9", true),
        ("198.51.100.7", true),
        (&format!("::ffff:{}", server.ipv4), true),
        (&client.ipv4.to_string(), false),
        (&client.ipv6.to_string(), false),
        ("203.0.113.7", false),
    ];
    for (address, expected) in cases {
        assert_eq!(own(&server.namespace, address.parse()?)?, expected, "{address}");
    }
    Ok(())
}

#[test]
fn packets_come_in_below_bridges_and_macvlans() -> Result<()> {
    let (server, client) = (Namespace::new("server")?, Namespace::new("client")?);
    link(&server, "eth0", &client, "eth0")?;
    link(&server, "eth1", &client, "eth1")?;
    // eth0 in a bridge, which has an address and a macvlan; eth1 with a macvlan of its own.
    server.ip(&[
        "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        "link set eth0 master br0",
        "link add over0 link br0 type macvlan mode bridge",
        "link add over1 link eth1 type macvlan mode bridge",
        "link set br0 up",
        "link set over0 up",
        "link set over1 up",
        "address add 10.0.0.1/24 dev br0",
        "address add 10.0.5.1/24 dev over0",
        "address add fd06::1/64 dev over1 nodad",
    ])?;
    client.ip(&[
        "address add 10.0.0.2/24 dev eth0",
        "address add 10.0.5.2/24 dev eth0",
        "address add fd06::2/64 dev eth1 nodad",
    ])?;
    let names = ["lo", "eth0", "eth1", "br0", "over0", "over1"];
    let attached = names.map(|name| index(&server, name).unwrap());
    let [_, eth0, eth1, br0, over0, over1] = attached;
    let cases = [
        ("a bridge", "10.0.0.1:4242", vec![eth0, br0]),
        ("a macvlan of a bridge", "10.0.5.1:4242", vec![eth0, br0, over0]),
        ("a macvlan", "[fd06::1]:4242", vec![eth1, over1]),
    ];
    for (description, to, expected) in cases {
        let to: SocketAddr = to.parse()?;
        let listener = server.inside(|| TcpListener::bind(to))??;
        // The bridge forwards as soon as its port does.
        let client = until(description, SOON, || client.connect(to, SOON).ok())?;
        let held = Held { server: listener.accept()?.0, client };
        let connection = held.expected()?;
        assert!(found(&server)?.contains(&connection), "{description}");
        assert_eq!(ingress(&server, &connection, &attached)?, expected, "{description}");
        // Attached are the cards alone.
        let cards: Vec<_> = expected.into_iter().filter(|one| [eth0, eth1].contains(one)).collect();
        assert_eq!(ingress(&server, &connection, &[eth0, eth1])?, cards, "{description}");
    }
    Ok(())
}

#[test]
fn the_way_in_is_that_of_the_route_back() -> Result<()> {
    let (host, other) = (Namespace::new("server")?, Namespace::new("other")?);
    for interface in ["eth0", "eth1", "eth2"] {
        link(&host, interface, &other, interface)?;
    }
    host.ip(&[
        "address add 10.0.0.1/24 dev eth0",
        "address add 10.0.1.1/24 dev eth1",
        "address add 10.0.2.1/24 dev eth2",
        "address add fd00::1/64 dev eth0 nodad",
        "address add fd01::1/64 dev eth1 nodad",
        // By a rule about the source, and one about the port.
        "rule add from 10.0.1.1 to 192.0.2.0/24 table 101",
        "rule add ipproto tcp sport 4243 table 102",
        "route add 192.0.2.0/24 via 10.0.0.9",
        "route add 192.0.2.0/24 via 10.0.1.9 table 101",
        "route add 192.0.2.0/24 via 10.0.2.9 table 102",
        // By two next hops at once.
        "route add 198.51.100.0/24 nexthop via 10.0.0.9 nexthop via 10.0.2.9",
        "route add 2001:db8::/32 nexthop via fd00::9 nexthop via fd01::9",
        // By none.
        "route add unreachable 203.0.113.0/25",
    ])?;
    let [eth0, eth1, eth2] = ["eth0", "eth1", "eth2"].map(|name| index(&host, name).unwrap());
    let cases = [
        ("a neighbour", "10.0.1.1:4242", "10.0.1.9:5000", vec![eth1]),
        ("a gateway", "10.0.0.1:4242", "192.0.2.7:5000", vec![eth0]),
        ("a rule about the source", "10.0.1.1:4242", "192.0.2.7:5000", vec![eth1]),
        ("a rule about the port", "10.0.0.1:4243", "192.0.2.7:5000", vec![eth2]),
        ("two next hops", "10.0.0.1:4242", "198.51.100.7:5000", vec![eth0, eth2]),
        ("two next hops, IPv6", "[fd00::1]:4242", "[2001:db8::7]:5000", vec![eth0, eth1]),
        ("unreachable", "10.0.0.1:4242", "203.0.113.7:5000", vec![eth0, eth1, eth2]),
        ("no route", "10.0.0.1:4242", "203.0.113.207:5000", vec![eth0, eth1, eth2]),
        ("no route, IPv6", "[fd00::1]:4242", "[2001:db9::7]:5000", vec![eth0, eth1, eth2]),
        ("an address it has no more", "10.9.9.9:4242", "192.0.2.7:5000", vec![eth0, eth1, eth2]),
    ];
    let topology = host.inside(Topology::read)?;
    let mut topology = topology.context("the interfaces can't be read")?;
    // Asked for from outside: it stays that of its namespace.
    for (description, local, peer, expected) in cases {
        let connection = Connection { local: local.parse()?, peer: peer.parse()?, bound_to: None };
        assert_eq!(topology.ingress(&connection, &[eth0, eth1, eth2]), expected, "{description}");
    }
    Ok(())
}
