//! By which interfaces the packets of a connection come in.

use std::{io, net::IpAddr};

use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::{
    Connection,
    links::{Link, Links},
    netlink::Channel,
    routes::{self, Route},
};

/// The ways into this network namespace: its interfaces, as they were when this was read, and its routes.
#[derive(Debug)]
pub struct Topology {
    links: Links,
    channel: Channel,
}

impl Topology {
    /// Reads it.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn read() -> io::Result<Self> {
        let mut channel = Channel::open(NETLINK_ROUTE)?;
        let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let links: Vec<Link> = channel.dump(question, |message| match message {
            RouteNetlinkMessage::NewLink(link) => Some(Link::from(&link)),
            _ => None,
        })?;
        Ok(Self { links: links.into_iter().collect(), channel })
    }

    /// Whether packets that the stack exchanges with a peer by the interface `route` may come in by `attached`: it is
    /// the same one, a member of that bridge, bond, team or VRF, the one below that VLAN or macvlan, or any
    /// sequence of these.
    #[must_use]
    pub fn may_come_in_by(&self, route: u32, attached: u32) -> bool {
        self.links.may_come_in_by(route, attached)
    }

    /// Whether an address is one of this host's, so that its packets never come over a wire.
    pub fn is_own(&mut self, address: IpAddr) -> bool {
        matches!(routes::to_address(&mut self.channel, address.to_canonical()), Ok(Route::Own))
    }

    /// Those of the attached interfaces (indices) by which packets of a connection may come in.
    ///
    /// It is told from the interface that the socket is bound to, or else from the route back to the peer, whose
    /// packets are taken to come the way that the answers go. Where the peer is this host, only a loopback interface
    /// counts. Where there is no route, nothing is known, and any of them may be it.
    pub fn ingress(&mut self, connection: &Connection, attached: &[u32]) -> Vec<u32> {
        let route = routes::to_peer(&mut self.channel, connection);
        let may_be = |ifindex: u32| match (&route, connection.bound_to) {
            (Ok(Route::Own), _) => self.links.is_loopback(ifindex),
            (_, Some(bound)) => self.links.may_come_in_by(bound, ifindex),
            (Ok(Route::Out(ways)), None) if !ways.is_empty() => {
                ways.iter().any(|way| self.links.may_come_in_by(*way, ifindex))
            }
            _ => true,
        };
        attached.iter().copied().filter(|ifindex| may_be(*ifindex)).collect()
    }
}
