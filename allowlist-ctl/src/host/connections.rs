//! The TCP connections of this host, by `sock_diag(7)`.

use std::{io, net::SocketAddr};

use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags},
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::netlink::Channel;

/// A TCP connection of this host.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Connection {
    /// This host's end. Its port is the destination port of every packet that comes in: protected or not.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Index of the interface (or the VRF) that the socket is bound to. One with a link-local peer always is.
    pub bound_to: Option<u32>,
}

/// The TCP connections of this network namespace, of both families, that their peers would miss.
///
/// That is `ESTABLISHED`, and `CLOSE_WAIT`: the peer has said all it has to say, and may still wait for the answer.
/// In all later states this host has closed its side itself; in all earlier ones there is no connection yet.
///
/// An IPv4 connection of an IPv6 socket has IPv4 addresses (not `::ffff:a.b.c.d`). Scope ids are zero; see
/// [`bound_to`](Connection::bound_to). A connection between two processes of this host is in the list twice, once
/// from each end.
///
/// # Errors
/// What the kernel answered; [`io::ErrorKind::NotFound`] when it was built without the means to answer.
pub fn established() -> io::Result<Vec<Connection>> {
    let mut channel = Channel::open(NETLINK_SOCK_DIAG)?;
    let mut found = Vec::new();
    for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        let question = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT,
            socket_id,
        });
        let connections = channel.dump(question, |message| match message {
            SockDiagMessage::InetResponse(response) => Some(connection(&response)),
            _ => None,
        });
        found.extend(connections.map_err(explain)?);
    }
    Ok(found)
}

fn connection(response: &InetResponse) -> Connection {
    let id = &response.header.socket_id;
    Connection {
        local: (id.source_address.to_canonical(), id.source_port).into(),
        peer: (id.destination_address.to_canonical(), id.destination_port).into(),
        bound_to: Some(id.interface_id).filter(|ifindex| *ifindex != 0),
    }
}

fn explain(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound {
        let message = "the kernel can't list TCP connections: load its module tcp_diag";
        return io::Error::new(io::ErrorKind::NotFound, message);
    }
    error
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{Emitable as _, Parseable as _};
    use netlink_packet_sock_diag::inet::InetResponseHeader;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_has_the_addresses_that_its_packets_have() {
        let cases = [
            ("IPv4", AF_INET, "10.0.0.1:22", "10.0.0.2:50000", 0, "10.0.0.1:22", "10.0.0.2:50000"),
            (
                "IPv6, bound",
                AF_INET6,
                "[fe80::1]:22",
                "[fe80::2]:50000",
                3,
                "[fe80::1]:22",
                "[fe80::2]:50000",
            ),
            (
                "IPv4 on an IPv6 socket",
                AF_INET6,
                "[::ffff:10.0.0.1]:22",
                "[::ffff:10.0.0.2]:50000",
                0,
                "10.0.0.1:22",
                "10.0.0.2:50000",
            ),
        ];
        for (description, family, source, destination, interface_id, local, peer) in cases {
            let (source, destination) = (address(source), address(destination));
            let header = InetResponseHeader {
                family,
                state: 1,
                timer: None,
                socket_id: SocketId {
                    source_port: source.port(),
                    destination_port: destination.port(),
                    source_address: source.ip(),
                    destination_address: destination.ip(),
                    interface_id,
                    cookie: [1; 8],
                },
                recv_queue: 0,
                send_queue: 0,
                uid: 0,
                inode: 0,
            };
            let mut bytes = vec![0; header.buffer_len()];
            header.emit(&mut bytes);
            let expected = Connection {
                local: address(local),
                peer: address(peer),
                bound_to: (interface_id != 0).then_some(interface_id),
            };
            let response = InetResponse::parse(&bytes).unwrap();
            assert_eq!(connection(&response), expected, "{description}");
        }
    }
}
