//! The interfaces of this network namespace, asked of the kernel by rtnetlink.
//!
//! sysfs is no source: under `nsenter --net` it shows another namespace.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkLayerType, LinkMessage, LinkXdp, XdpAttached},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// A datagram of a dump is at most this large.
const BUFFER: usize = 64 * 1024;

/// A network interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Whether its frames begin with an Ethernet header.
    pub is_ethernet: bool,
    /// Id of the XDP program on it.
    pub program: Option<u32>,
    /// Whether that program runs in generic mode.
    pub is_generic: bool,
}

/// The interfaces there are.
///
/// # Errors
/// What the kernel answered.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&dump_request(), 0)?;
    let mut found = Vec::new();
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        buffer.clear();
        let length = socket.recv(&mut buffer, 0)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(io::Error::other)?;
            // Messages start at multiples of four bytes (RFC 3549, section 2.2).
            let length = (message.header.length as usize).next_multiple_of(4).min(rest.len());
            rest = rest.get(length.max(16)..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                    found.extend(interface(&link));
                }
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
        }
    }
}

fn dump_request() -> Vec<u8> {
    let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut packet = NetlinkMessage::new(NetlinkHeader::default(), message.into());
    packet.header.flags = NLM_F_DUMP | NLM_F_REQUEST;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    bytes
}

fn interface(link: &LinkMessage) -> Option<Interface> {
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    let layer = link.header.link_layer_type;
    let mut interface = Interface {
        ifindex: link.header.index,
        name,
        is_ethernet: matches!(layer, LinkLayerType::Ether | LinkLayerType::Loopback),
        program: None,
        is_generic: false,
    };
    for attribute in &link.attributes {
        let LinkAttribute::Xdp(xdp) = attribute else { continue };
        for item in xdp {
            match item {
                LinkXdp::ProgId(id) if *id != 0 => interface.program = Some(*id),
                LinkXdp::Attached(XdpAttached::SocketBuffer) => interface.is_generic = true,
                _ => {}
            }
        }
    }
    Some(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found() {
        let interfaces = interfaces().unwrap();
        let loopback = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert_eq!(loopback.ifindex, 1);
        assert!(loopback.is_ethernet);
    }
}
