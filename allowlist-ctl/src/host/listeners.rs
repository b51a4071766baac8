//! What listens on this host, by `sock_diag(7)`.

use std::{collections::BTreeSet, io, net::IpAddr};

use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::netlink::Channel;

/// So many sockets of a protocol and family are read at most.
const MOST: usize = 16 * 1024;

/// How a listener is spoken to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A socket that takes what comes from anybody.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Listener {
    /// How it is spoken to.
    pub transport: Transport,
    /// Its port.
    pub port: u16,
    /// The address it listens at; the unspecified one is every one of the family.
    pub address: IpAddr,
    /// Whether it listens at every address of IPv4, too: an IPv6 socket may.
    pub takes_ipv4: bool,
    /// Index of the interface (or the VRF) that it is bound to.
    pub bound_to: Option<u32>,
}

impl Listener {
    /// Whether it takes what is sent to an address.
    #[must_use]
    pub fn listens_at(&self, address: IpAddr) -> bool {
        if self.address.is_unspecified() {
            return self.takes_ipv4 && address.is_ipv4()
                || self.address.is_ipv4() == address.is_ipv4();
        }
        self.address == address
    }
}

/// What listens.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listeners {
    /// Each once, however many sockets share a port.
    pub all: BTreeSet<Listener>,
    /// Whether there are more than were read.
    pub is_cut: bool,
}

/// The sockets of this network namespace that listen: those of TCP in that state, and those of UDP that have a port and
/// no peer.
///
/// # Errors
/// What the kernel answered; [`io::ErrorKind::NotFound`] when it was built without the means to answer.
pub fn listeners() -> io::Result<Listeners> {
    let mut found = Listeners::default();
    let kinds = [
        (Transport::Tcp, IPPROTO_TCP, StateFlags::LISTEN),
        // What has no connection is closed, in the words of TCP.
        (Transport::Udp, IPPROTO_UDP, StateFlags::CLOSE),
    ];
    for (transport, protocol, state) in kinds {
        for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            let extensions = ExtensionFlags::empty();
            let states = state.clone();
            let request = InetRequest { family, protocol, extensions, states, socket_id };
            let question = SockDiagMessage::InetRequest(request);
            let (some, is_cut) = Channel::open(NETLINK_SOCK_DIAG)?
                .dump_at_most(MOST, question, |message| match message {
                    SockDiagMessage::InetResponse(response) => listener(transport, &response),
                    _ => None,
                })
                .map_err(|error| explain(transport, error))?;
            found.all.extend(some);
            found.is_cut |= is_cut;
        }
    }
    Ok(found)
}

fn listener(transport: Transport, response: &InetResponse) -> Option<Listener> {
    let id = &response.header.socket_id;
    let is_ipv6_alone = response.nlas.iter().any(|nla| matches!(nla, Nla::SkV6Only(true)));
    let is_wildcard = id.source_address.is_unspecified();
    Some(Listener {
        transport,
        port: Some(id.source_port).filter(|port| *port != 0)?,
        address: id.source_address.to_canonical(),
        takes_ipv4: is_wildcard && (id.source_address.is_ipv4() || !is_ipv6_alone),
        bound_to: Some(id.interface_id).filter(|ifindex| *ifindex != 0),
    })
}

fn explain(transport: Transport, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound {
        let (name, module) = match transport {
            Transport::Tcp => ("TCP", "tcp_diag"),
            Transport::Udp => ("UDP", "udp_diag"),
        };
        let message = format!("the kernel can't list {name} sockets: load its module {module}");
        return io::Error::new(io::ErrorKind::NotFound, message);
    }
    error
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_listener_takes_what_is_sent_to_its_addresses() {
        let listener = |address: &str, takes_ipv4| Listener {
            transport: Transport::Tcp,
            port: 1,
            address: address.parse().unwrap(),
            takes_ipv4,
            bound_to: None,
        };
        let table = [
            ("0.0.0.0", true, "10.0.0.1", true),
            ("0.0.0.0", true, "::1", false),
            ("::", true, "10.0.0.1", true),
            ("::", false, "10.0.0.1", false),
            ("::", false, "fe80::1", true),
            ("10.0.0.1", false, "10.0.0.1", true),
            ("10.0.0.1", false, "10.0.0.2", false),
            ("fe80::1", false, "fe80::1", true),
        ];
        for (at, takes_ipv4, to, expected) in table {
            let listens = listener(at, takes_ipv4).listens_at(to.parse().unwrap());
            assert_eq!(listens, expected, "{at} {takes_ipv4} {to}");
        }
    }

    #[test]
    fn sockets_that_listen_are_found_and_others_are_not() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = TcpListener::bind("[::]:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(udp.local_addr().unwrap()).unwrap();
        let found = listeners().unwrap();
        assert!(!found.is_cut);
        let find = |transport, port| -> Vec<(String, bool)> {
            let it = |one: &&Listener| one.transport == transport && one.port == port;
            found
                .all
                .iter()
                .filter(it)
                .map(|one| (one.address.to_string(), one.takes_ipv4))
                .collect()
        };
        let port = |address: io::Result<std::net::SocketAddr>| address.unwrap().port();
        let here = ("127.0.0.1".to_owned(), false);
        assert_eq!(find(Transport::Tcp, port(tcp.local_addr())), std::slice::from_ref(&here));
        assert_eq!(find(Transport::Tcp, port(all.local_addr())), [("::".to_owned(), true)]);
        assert_eq!(find(Transport::Udp, port(udp.local_addr())), [here]);
        assert_eq!(find(Transport::Udp, port(connected.local_addr())), []);
    }
}
