//! How the network interfaces lie on each other.

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage};

/// A network interface, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Link {
    ifindex: u32,
    /// The bridge, bond, team or VRF that it is a member of.
    master: Option<u32>,
    /// The interface whose frames it sorts out: its own, as they are.
    lower: Option<u32>,
    is_loopback: bool,
    is_open_vswitch: bool,
}

impl From<&LinkMessage> for Link {
    fn from(message: &LinkMessage) -> Self {
        let mut link = Self {
            ifindex: message.header.index,
            is_loopback: message.header.link_layer_type == LinkLayerType::Loopback,
            ..Self::default()
        };
        let (mut on, mut is_elsewhere, mut is_plain) = (None, false, false);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Controller(master) => link.master = Some(*master),
                LinkAttribute::Link(ifindex) => on = Some(*ifindex),
                // The index is one of another namespace.
                LinkAttribute::LinkNetNsId(_) => is_elsewhere = true,
                LinkAttribute::LinkInfo(infos) => {
                    for info in infos {
                        let LinkInfo::Kind(kind) = info else { continue };
                        is_plain = shows_frames_below(kind);
                        link.is_open_vswitch = *kind == InfoKind::Other("openvswitch".into());
                    }
                }
                _ => {}
            }
        }
        link.lower = on.filter(|_| is_plain && !is_elsewhere);
        link
    }
}

/// Whether the frames of such an interface are to be seen, ports and all, on the one it lies on. Those of tunnels,
/// macsec and switch chips are wrapped there, and the far end of a veth pair sees what is sent, not what comes in.
fn shows_frames_below(kind: &InfoKind) -> bool {
    matches!(
        kind,
        InfoKind::Vlan
            | InfoKind::MacVlan
            | InfoKind::MacVtap
            | InfoKind::IpVlan
            | InfoKind::IpVtap
    )
}

/// All network interfaces.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// To which interfaces a packet may go from each.
    above: BTreeMap<u32, Vec<u32>>,
    loopbacks: BTreeSet<u32>,
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        let mut all = Self::default();
        let mut open_vswitch = Vec::new();
        for link in links {
            if let Some(master) = link.master {
                all.above.entry(link.ifindex).or_default().push(master);
            }
            if let Some(lower) = link.lower {
                all.above.entry(lower).or_default().push(link.ifindex);
            }
            if link.is_loopback {
                all.loopbacks.insert(link.ifindex);
            }
            if link.is_open_vswitch {
                open_vswitch.push(link.ifindex);
            }
        }
        // The ports of all its bridges have one master, and which bridge a port is of only Open vSwitch knows.
        for ifindex in &open_vswitch {
            all.above.entry(*ifindex).or_default().extend(&open_vswitch);
        }
        all
    }
}

impl Links {
    /// Whether a packet that the stack receives from `route` may have come in by `attached`.
    pub(super) fn may_come_in_by(&self, route: u32, attached: u32) -> bool {
        let mut seen = BTreeSet::from([attached]);
        let mut pending = vec![attached];
        while let Some(ifindex) = pending.pop() {
            if ifindex == route {
                return true;
            }
            let above = self.above.get(&ifindex).into_iter().flatten();
            pending.extend(above.filter(|ifindex| seen.insert(**ifindex)));
        }
        false
    }

    pub(super) fn is_loopback(&self, ifindex: u32) -> bool {
        self.loopbacks.contains(&ifindex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32) -> Link {
        Link { ifindex, ..Link::default() }
    }

    fn member(ifindex: u32, master: u32) -> Link {
        Link { master: Some(master), ..link(ifindex) }
    }

    fn lies_on(ifindex: u32, lower: u32) -> Link {
        Link { lower: Some(lower), ..link(ifindex) }
    }

    fn switch(ifindex: u32, master: Option<u32>) -> Link {
        Link { master, is_open_vswitch: true, ..link(ifindex) }
    }

    #[test]
    fn packets_come_in_below_the_interface_of_the_route() {
        // Indices are in the order of the names; 9 does not exist.
        let plain = vec![link(1), link(2)];
        let bridge = vec![member(1, 3), member(2, 3), link(3), link(4)];
        let vlan = vec![link(1), lies_on(2, 1), lies_on(3, 1)];
        // eth0 and eth1 in bond0, bond0.5 on it, in br0 with tap0, a macvlan on br0.
        let tower = vec![
            member(1, 3),
            member(2, 3),
            link(3),
            Link { master: Some(5), lower: Some(3), ..link(4) },
            link(5),
            member(6, 5),
            lies_on(7, 5),
        ];
        // Two that lie on each other, and one that is its own master: no kernel has them.
        let circle = vec![Link { master: Some(2), ..lies_on(1, 2) }, lies_on(2, 1), member(3, 3)];
        // eth0 in ovs-system, br-int and br-ext.
        let ovs = vec![member(1, 2), switch(2, None), switch(3, Some(2)), switch(4, None), link(5)];
        let cases = [
            ("the same", &plain, 1, 1, true),
            ("another", &plain, 1, 2, false),
            ("one that is gone", &plain, 1, 9, false),
            ("a route by one that is gone", &plain, 9, 1, false),
            ("a gone one by itself", &plain, 9, 9, true),
            ("a bridge by its member", &bridge, 3, 1, true),
            ("a bridge by its other member", &bridge, 3, 2, true),
            ("a bridge by another interface", &bridge, 3, 4, false),
            ("a member by its bridge", &bridge, 1, 3, false),
            ("a member by another member", &bridge, 1, 2, false),
            ("a VLAN by the interface below", &vlan, 2, 1, true),
            ("an interface by its VLAN", &vlan, 1, 2, false),
            ("a VLAN by another VLAN", &vlan, 2, 3, false),
            ("a VLAN by a member of the bond below", &tower, 4, 2, true),
            ("a bridge by a member of the bond below its member", &tower, 5, 1, true),
            ("a macvlan by the bottom of it all", &tower, 7, 1, true),
            ("a macvlan by the bond in the middle", &tower, 7, 3, true),
            ("a bond by another member of the bridge above", &tower, 3, 6, false),
            ("a circle", &circle, 9, 1, false),
            ("its own master", &circle, 1, 3, false),
            ("a bridge of Open vSwitch by a port", &ovs, 4, 1, true),
            ("a bridge of Open vSwitch by no port", &ovs, 4, 5, false),
        ];
        for (description, table, route, attached, expected) in cases {
            let links: Links = table.iter().copied().collect();
            assert_eq!(links.may_come_in_by(route, attached), expected, "{description}");
        }
    }

    #[test]
    fn a_link_lies_on_another_where_its_frames_are_to_be_seen() {
        use LinkAttribute::{Controller, Link as On, LinkInfo as Info, LinkNetNsId};
        let kind = |kind| Info(vec![LinkInfo::Kind(kind)]);
        let cases = [
            ("a network card", vec![], link(5)),
            ("a member of a bridge", vec![Controller(3)], member(5, 3)),
            ("a VLAN", vec![On(2), kind(InfoKind::Vlan)], lies_on(5, 2)),
            ("a macvlan", vec![kind(InfoKind::MacVlan), On(2)], lies_on(5, 2)),
            ("an ipvlan", vec![On(2), kind(InfoKind::IpVlan)], lies_on(5, 2)),
            (
                "a VLAN in a bridge",
                vec![On(2), Controller(3), kind(InfoKind::Vlan)],
                Link { master: Some(3), ..lies_on(5, 2) },
            ),
            (
                "a macvlan whose card is in another namespace",
                vec![On(2), LinkNetNsId(0), kind(InfoKind::MacVlan)],
                link(5),
            ),
            ("an end of a veth pair", vec![On(2), kind(InfoKind::Veth)], link(5)),
            ("a tunnel", vec![On(2), kind(InfoKind::Vxlan)], link(5)),
            ("of no kind", vec![On(2)], link(5)),
            (
                "a bridge of Open vSwitch",
                vec![kind(InfoKind::Other("openvswitch".into()))],
                switch(5, None),
            ),
        ];
        for (description, attributes, expected) in cases {
            let mut message = LinkMessage::default();
            message.header.index = 5;
            message.attributes = attributes;
            assert_eq!(Link::from(&message), expected, "{description}");
        }
        let mut message = LinkMessage::default();
        message.header.link_layer_type = LinkLayerType::Loopback;
        assert!(Link::from(&message).is_loopback);
    }
}
