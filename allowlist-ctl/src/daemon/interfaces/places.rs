//! What a filter on an interface does not see, from how the interfaces lie on each other. Pure.

use std::collections::BTreeSet;

use crate::kernel::Interface;

/// What the filter on `name` does not judge though one might think so, a sentence each. `filtered` are the indices of the
/// interfaces that it is on.
pub(super) fn blind_spots(
    name: &str,
    present: &[Interface],
    filtered: &BTreeSet<u32>,
) -> Vec<String> {
    let Some(interface) = present.iter().find(|one| one.name == name) else { return Vec::new() };
    let of = |ifindex: Option<u32>| present.iter().find(|one| Some(one.ifindex) == ifindex);
    let kind = |one: &Interface| one.kind.clone().unwrap_or_default();
    let mut told = Vec::new();
    if let Some(master) = of(interface.master)
        && matches!(kind(master).as_str(), "bond" | "team")
        && !filtered.contains(&master.ifindex)
    {
        let members = present.iter().filter(|one| one.master == Some(master.ifindex));
        if members.into_iter().any(|one| one.name != name && !filtered.contains(&one.ifindex)) {
            let master = &master.name;
            told.push(format!(
                "{name} is a member of {master}: packets that come in by its other members are not judged; attach {master} or every member"
            ));
        }
    }
    let lower = of(interface.lower).filter(|lower| !filtered.contains(&lower.ifindex));
    match (kind(interface).as_str(), lower) {
        ("bridge", _) => {
            let ports: Vec<&str> = present
                .iter()
                .filter(|one| one.master == Some(interface.ifindex))
                .filter(|one| !filtered.contains(&one.ifindex))
                .map(|one| one.name.as_str())
                .collect();
            if !ports.is_empty() {
                told.push(format!(
                    "{name} is a bridge: packets that are only bridged between its ports are not judged; attach the ports ({})",
                    ports.join(", ")
                ));
            }
        }
        ("openvswitch", _) => told.push(format!(
            "{name} is a bridge of Open vSwitch: packets that are only switched between its ports are not judged; attach the ports"
        )),
        ("vrf", _) => told.push(format!(
            "{name} is a VRF: no packet comes in by it; attach its members"
        )),
        ("vlan", Some(lower)) => {
            let lower = &lower.name;
            let number = interface.vlan.map_or("one VLAN".into(), |number| format!("VLAN {number}"));
            told.push(format!(
                "{name} is a VLAN device: only packets of {number} of {lower} are judged; attach {lower} for all of them"
            ));
        }
        (kind @ ("macvlan" | "macvtap" | "ipvlan" | "ipvtap"), Some(lower)) => {
            let lower = &lower.name;
            told.push(format!(
                "{name} is a {kind} device: only packets to it are judged, not the others of {lower}; attach {lower} for all of them"
            ));
        }
        _ => {}
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(ifindex: u32, name: &str, kind: &str) -> Interface {
        Interface {
            ifindex,
            name: name.to_owned(),
            kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
            ..Interface::default()
        }
    }

    #[test]
    fn what_a_filter_does_not_see_is_told() {
        let member = |interface, master| Interface { master: Some(master), ..interface };
        let on = |interface, lower| Interface { lower: Some(lower), ..interface };
        let present = [
            interface(1, "lo", ""),
            member(interface(2, "eth0", ""), 4),
            member(interface(3, "eth1", ""), 4),
            interface(4, "bond0", "bond"),
            Interface { vlan: Some(5), ..on(interface(5, "bond0.5", "vlan"), 4) },
            interface(6, "br0", "bridge"),
            member(interface(7, "veth1", "veth"), 6),
            member(interface(8, "veth2", "veth"), 6),
            on(interface(9, "mv0", "macvlan"), 3),
            interface(10, "vrf0", "vrf"),
            interface(11, "ovs0", "openvswitch"),
            // Its lower interface is in another namespace.
            interface(12, "ipv0", "ipvlan"),
            member(interface(13, "eth3", ""), 10),
            member(interface(14, "eth4", ""), 15),
            interface(15, "team0", "team"),
            interface(16, "br1", "bridge"),
        ];
        let table: [(&str, &str, &[u32], &str); 19] = [
            ("a network card", "lo", &[1], ""),
            ("one that is not there", "eth9", &[], ""),
            (
                "a bond's member",
                "eth0",
                &[2],
                "eth0 is a member of bond0: packets that come in by its other members are not judged; attach bond0 or every member",
            ),
            ("every member of a bond", "eth0", &[2, 3], ""),
            ("a member and the bond", "eth0", &[2, 4], ""),
            ("a bond", "bond0", &[4], ""),
            ("the one member of a team", "eth4", &[14], ""),
            ("a member of a VRF", "eth3", &[13], ""),
            ("a port of a bridge", "veth1", &[7], ""),
            (
                "a VLAN",
                "bond0.5",
                &[5],
                "bond0.5 is a VLAN device: only packets of VLAN 5 of bond0 are judged; attach bond0 for all of them",
            ),
            ("a VLAN and what it lies on", "bond0.5", &[4, 5], ""),
            (
                "a bridge",
                "br0",
                &[6],
                "br0 is a bridge: packets that are only bridged between its ports are not judged; attach the ports (veth1, veth2)",
            ),
            (
                "a bridge and a port",
                "br0",
                &[6, 8],
                "br0 is a bridge: packets that are only bridged between its ports are not judged; attach the ports (veth1)",
            ),
            ("a bridge and its ports", "br0", &[6, 7, 8], ""),
            ("a bridge without ports", "br1", &[16], ""),
            (
                "a macvlan",
                "mv0",
                &[9],
                "mv0 is a macvlan device: only packets to it are judged, not the others of eth1; attach eth1 for all of them",
            ),
            ("an ipvlan in a container", "ipv0", &[12], ""),
            ("a VRF", "vrf0", &[10], "vrf0 is a VRF: no packet comes in by it; attach its members"),
            (
                "a bridge of Open vSwitch",
                "ovs0",
                &[11],
                "ovs0 is a bridge of Open vSwitch: packets that are only switched between its ports are not judged; attach the ports",
            ),
        ];
        for (description, name, filtered, expected) in table {
            let filtered = filtered.iter().copied().collect();
            let told = blind_spots(name, &present, &filtered).join("\n");
            assert_eq!(told, expected, "{description}");
        }
    }
}
