//! The interfaces of this network namespace, asked of the kernel by rtnetlink.
//!
//! sysfs is no source: under `nsenter --net` it shows another namespace.

use std::io;

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkLayerType, LinkMessage, LinkXdp, XdpAttached},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::host::netlink::Channel;

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
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    Channel::open(NETLINK_ROUTE)?.dump(question, |message| match message {
        RouteNetlinkMessage::NewLink(link) => interface(&link),
        _ => None,
    })
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
