//! Which way packets go to an address, by rtnetlink(7).

use std::{io, net::IpAddr};

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteType},
};

use super::{Connection, netlink::Channel};

/// The way to an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    /// The address is this host's own.
    Own,
    /// Indices of the interfaces that packets to it may leave by; several with several next hops.
    Out(Vec<u32>),
}

/// Asks for the way to an address.
///
/// # Errors
/// The kernel's answer when there is none.
pub(super) fn to_address(channel: &mut Channel, address: IpAddr) -> io::Result<Route> {
    ask(channel, address, Vec::new())
}

/// Asks for the way from a connection's local end to its peer.
///
/// # Errors
/// The kernel's answer when there is none.
pub(super) fn to_peer(channel: &mut Channel, connection: &Connection) -> io::Result<Route> {
    let Connection { local, peer, bound_to } = connection;
    // All of it may be in the rules by which the kernel picks a routing table.
    let mut from = vec![
        RouteAttribute::Source(local.ip().into()),
        RouteAttribute::IpProto(6),
        RouteAttribute::Sport(local.port()),
        RouteAttribute::Dport(peer.port()),
    ];
    from.extend(bound_to.map(RouteAttribute::Oif));
    ask(channel, peer.ip(), from)
}

fn ask(channel: &mut Channel, to: IpAddr, from: Vec<RouteAttribute>) -> io::Result<Route> {
    let (address_family, length) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    let has_source = from.iter().any(|one| matches!(one, RouteAttribute::Source(_)));
    let mut question = RouteMessage::default();
    question.header = RouteHeader {
        address_family,
        destination_prefix_length: length,
        source_prefix_length: if has_source { length } else { 0 },
        // The route as it is configured, with all its next hops, and not the one that a packet would take.
        flags: RouteFlags::FibMatch,
        ..RouteHeader::default()
    };
    question.attributes = from;
    question.attributes.push(RouteAttribute::Destination(to.into()));
    match channel.ask(RouteNetlinkMessage::GetRoute(question))? {
        RouteNetlinkMessage::NewRoute(answer) => Ok(route(&answer)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn route(answer: &RouteMessage) -> Route {
    if answer.header.kind == RouteType::Local {
        return Route::Own;
    }
    let mut interfaces = Vec::new();
    for attribute in &answer.attributes {
        match attribute {
            RouteAttribute::Oif(ifindex) => interfaces.push(*ifindex),
            RouteAttribute::MultiPath(hops) => {
                interfaces.extend(hops.iter().map(|hop| hop.interface_index));
            }
            _ => {}
        }
    }
    Route::Out(interfaces)
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::RouteNextHop;

    use super::*;

    #[test]
    fn a_route_leaves_by_all_its_next_hops() {
        let hop = |ifindex| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = ifindex;
            hop
        };
        let hops = || RouteAttribute::MultiPath(vec![hop(2), hop(3)]);
        let cases = [
            (
                "one interface",
                RouteType::Unicast,
                vec![RouteAttribute::Oif(2)],
                Route::Out(vec![2]),
            ),
            ("two next hops", RouteType::Unicast, vec![hops()], Route::Out(vec![2, 3])),
            ("nothing said", RouteType::Unicast, vec![], Route::Out(vec![])),
            ("this host", RouteType::Local, vec![RouteAttribute::Oif(2)], Route::Own),
        ];
        for (description, kind, attributes, expected) in cases {
            let mut answer = RouteMessage::default();
            answer.header.kind = kind;
            answer.attributes = attributes;
            assert_eq!(route(&answer), expected, "{description}");
        }
    }
}
