//! The interfaces of this network namespace, asked of the kernel by rtnetlink.
//!
//! sysfs is no source: under `nsenter --net` it shows another namespace.

use std::io;

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
        LinkXdp, XdpAttached,
    },
};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::host::netlink::Channel;

/// A network interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Interface {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Whether its frames begin with an Ethernet header.
    pub is_ethernet: bool,
    /// Whether it is switched on (`ip link set up`).
    pub is_up: bool,
    /// What `ip link` calls its type, such as `bridge`; network cards have none.
    pub kind: Option<String>,
    /// Index of the bridge, bond, team or VRF that it is a member of.
    pub master: Option<u32>,
    /// Index of the interface that it lies on, where that is in this network namespace.
    pub lower: Option<u32>,
    /// Number of its VLAN, where it is a VLAN device.
    pub vlan: Option<u16>,
    /// Its MTU, in bytes.
    pub mtu: u32,
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
    let layer = link.header.link_layer_type;
    let mut interface = Interface {
        ifindex: link.header.index,
        is_up: link.header.flags.contains(LinkFlags::Up),
        is_ethernet: matches!(layer, LinkLayerType::Ether | LinkLayerType::Loopback),
        ..Interface::default()
    };
    let mut is_elsewhere = false;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            LinkAttribute::Controller(master) => interface.master = Some(*master),
            LinkAttribute::Link(lower) => interface.lower = Some(*lower).filter(|it| *it != 0),
            // The index is one of another namespace.
            LinkAttribute::LinkNetNsId(_) => is_elsewhere = true,
            LinkAttribute::LinkInfo(infos) => read_kind(infos, &mut interface),
            LinkAttribute::Xdp(xdp) => read_program(xdp, &mut interface),
            _ => {}
        }
    }
    // One end of a pair does not lie on the other one.
    let is_paired = matches!(interface.kind.as_deref(), Some("veth" | "netkit" | "vxcan"));
    interface.lower = interface.lower.filter(|_| !is_elsewhere && !is_paired);
    (!interface.name.is_empty()).then_some(interface)
}

fn read_kind(infos: &[LinkInfo], interface: &mut Interface) {
    for info in infos {
        match info {
            LinkInfo::Kind(kind) => interface.kind = Some(kind.to_string()),
            LinkInfo::Data(InfoData::Vlan(about)) => {
                let id = |about: &InfoVlan| match about {
                    InfoVlan::Id(id) => Some(*id),
                    _ => None,
                };
                interface.vlan = about.iter().find_map(id);
            }
            _ => {}
        }
    }
}

fn read_program(xdp: &[LinkXdp], interface: &mut Interface) {
    for item in xdp {
        match item {
            // Where there are programs in several modes there is no first one, and each has its own.
            LinkXdp::ProgId(id)
            | LinkXdp::DrvProgId(id)
            | LinkXdp::SkbProgId(id)
            | LinkXdp::HwProgId(id)
                if *id != 0 =>
            {
                interface.program = Some(*id);
            }
            LinkXdp::Attached(XdpAttached::SocketBuffer) => interface.is_generic = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::InfoKind;

    use super::*;

    #[test]
    fn loopback_is_found() {
        let interfaces = interfaces().unwrap();
        let loopback = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert_eq!(loopback.ifindex, 1);
        assert!(loopback.is_ethernet);
    }

    #[test]
    fn what_a_link_says_of_itself_is_read() {
        use LinkAttribute::{Controller, IfName, Link, LinkInfo as Info, LinkNetNsId, Mtu, Xdp};
        let kind = |kind| LinkInfo::Kind(kind);
        let named = || Interface { ifindex: 5, name: "it0".into(), ..Interface::default() };
        let of_kind = |kind: &str| Interface { kind: Some(kind.into()), ..named() };
        let cases = [
            ("a network card", vec![Mtu(1500)], Interface { mtu: 1500, ..named() }),
            ("a member", vec![Controller(3)], Interface { master: Some(3), ..named() }),
            (
                "a VLAN",
                vec![
                    Link(2),
                    Info(vec![
                        kind(InfoKind::Vlan),
                        LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(7)])),
                    ]),
                ],
                Interface { lower: Some(2), vlan: Some(7), ..of_kind("vlan") },
            ),
            (
                "a macvlan in a container",
                vec![Link(2), LinkNetNsId(0), Info(vec![kind(InfoKind::MacVlan)])],
                of_kind("macvlan"),
            ),
            ("an end of a pair", vec![Link(2), Info(vec![kind(InfoKind::Veth)])], of_kind("veth")),
            (
                "a program in the driver",
                vec![Xdp(vec![
                    LinkXdp::Attached(XdpAttached::Driver),
                    LinkXdp::ProgId(9),
                    LinkXdp::DrvProgId(9),
                ])],
                Interface { program: Some(9), ..named() },
            ),
            (
                "a generic program",
                vec![Xdp(vec![LinkXdp::Attached(XdpAttached::SocketBuffer), LinkXdp::ProgId(9)])],
                Interface { program: Some(9), is_generic: true, ..named() },
            ),
            (
                "programs in several modes",
                vec![Xdp(vec![LinkXdp::Attached(XdpAttached::Multiple), LinkXdp::SkbProgId(9)])],
                Interface { program: Some(9), ..named() },
            ),
            ("no program", vec![Xdp(vec![LinkXdp::Attached(XdpAttached::None)])], named()),
        ];
        for (description, attributes, expected) in cases {
            let mut message = LinkMessage::default();
            message.header.index = 5;
            message.attributes = [vec![IfName("it0".into())], attributes].concat();
            assert_eq!(interface(&message), Some(expected), "{description}");
        }
        assert_eq!(interface(&LinkMessage::default()), None, "without a name");
    }
}
