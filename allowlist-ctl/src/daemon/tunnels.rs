//! Tunnels of this host: what comes out of them was not judged where it came in. Pure.

use std::collections::BTreeSet;

use crate::{api::Tunnel, kernel::Interface};

/// The types of interfaces, in the words of `ip link`, that packets come out of which came in wrapped in others.
const KINDS: [&str; 22] = [
    "amt",
    "bareudp",
    "erspan",
    "geneve",
    "gre",
    "gretap",
    "gtp",
    "ip6erspan",
    "ip6gre",
    "ip6gretap",
    "ip6tnl",
    "ipip",
    "ovpn",
    "pfcp",
    "ppp",
    "sit",
    "tun",
    "vti",
    "vti6",
    "vxlan",
    "wireguard",
    "xfrm",
];

/// The tunnels that are up, in the order of their names. `filtered` are the indices of the interfaces with the filter.
pub(super) fn tunnels(interfaces: &[Interface], filtered: &BTreeSet<u32>) -> Vec<Tunnel> {
    let mut found: Vec<Tunnel> = interfaces
        .iter()
        .filter(|one| one.is_up)
        .filter_map(|one| {
            let kind = one.kind.as_deref().filter(|kind| KINDS.contains(kind))?;
            // The port of a bridge by which a virtual machine is reached, and not another host.
            let is_machine = kind == "tun" && one.is_ethernet && one.master.is_some();
            (!is_machine).then(|| Tunnel {
                interface: one.name.clone(),
                kind: kind.to_owned(),
                filtered: filtered.contains(&one.ifindex),
            })
        })
        .collect();
    found.sort_by(|one, other| one.interface.cmp(&other.interface));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_that_are_up_are_found() {
        let interface = |ifindex, name: &str, kind: &str| Interface {
            ifindex,
            name: name.into(),
            kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
            is_up: true,
            ..Interface::default()
        };
        let tap = Interface { is_ethernet: true, ..interface(7, "tap0", "tun") };
        let interfaces = [
            interface(1, "lo", ""),
            interface(3, "wg0", "wireguard"),
            interface(4, "vxlan1", "vxlan"),
            Interface { is_up: false, ..interface(5, "gre0", "gre") },
            interface(6, "tun0", "tun"),
            tap.clone(),
            Interface { ifindex: 8, name: "vnet0".into(), master: Some(9), ..tap },
            interface(9, "br0", "bridge"),
            interface(2, "eth0", ""),
            interface(10, "eth0.5", "vlan"),
        ];
        let found = tunnels(&interfaces, &[2, 4].into());
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.interface.as_str(), one.kind.as_str(), one.filtered))
            .collect();
        let expected = [
            ("tap0", "tun", false),
            ("tun0", "tun", false),
            ("vxlan1", "vxlan", true),
            ("wg0", "wireguard", false),
        ];
        assert_eq!(found, expected);
    }
}
