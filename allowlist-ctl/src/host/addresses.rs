//! The addresses of this host's interfaces, by rtnetlink(7).

use std::{io, net::IpAddr};

use netlink_packet_route::{
    RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::netlink::Channel;

/// The addresses of the interfaces of this network namespace, each with the interface's index.
///
/// # Errors
/// What the kernel answered.
pub fn addresses() -> io::Result<Vec<(u32, IpAddr)>> {
    let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    Channel::open(NETLINK_ROUTE)?.dump(question, |message| match message {
        RouteNetlinkMessage::NewAddress(message) => address(&message),
        _ => None,
    })
}

/// Where an interface has a peer, the peer's address is there, too.
fn address(message: &AddressMessage) -> Option<(u32, IpAddr)> {
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(local) => return Some((message.header.index, *local)),
            AddressAttribute::Address(other) => address = Some(*other),
            _ => {}
        }
    }
    Some((message.header.index, address?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_own_one_and_not_the_peers() {
        let (own, peer) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let (is_own, is_peer) = (AddressAttribute::Local(own), AddressAttribute::Address(peer));
        let table = [
            ("none", vec![], None),
            ("IPv6", vec![AddressAttribute::Address(own)], Some((7, own))),
            ("with a peer", vec![is_peer.clone(), is_own.clone()], Some((7, own))),
            ("the other way around", vec![is_own, is_peer], Some((7, own))),
        ];
        for (description, attributes, expected) in table {
            let mut message = AddressMessage::default();
            message.header.index = 7;
            message.attributes = attributes;
            assert_eq!(address(&message), expected, "{description}");
        }
    }

    #[test]
    fn loopback_has_its_address() {
        assert!(addresses().unwrap().contains(&(1, "127.0.0.1".parse().unwrap())));
    }
}
