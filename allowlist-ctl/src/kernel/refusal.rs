//! Why a driver does not take the program, in words that help.
//!
//! The kernel's own words for it go to a tracepoint only: a link is refused with nothing but a number.

use super::{Interface, ethtool::Driver};

/// The MTU at which every driver with native XDP takes a program.
const PLAIN_MTU: u32 = 1500;

/// Why native XDP was refused with an error number, and what to do.
pub(super) fn why(code: i32, interface: &Interface, driver: &Driver) -> String {
    let name = &interface.name;
    let mtu = interface.mtu;
    let who = driver.name.as_ref().map_or("the driver".into(), |name| format!("the driver {name}"));
    if !driver.merging.is_empty() && matches!(code, libc::EOPNOTSUPP | libc::EINVAL) {
        let features = driver.merging.join(" and ");
        let off: Vec<String> = driver.merging.iter().map(|one| format!("{one} off")).collect();
        return format!(
            "{who} refuses native XDP while it merges packets ({features}): `ethtool -K {name} {}`",
            off.join(" ")
        );
    }
    match code {
        libc::ERANGE if interface.kind.as_deref() == Some("veth") => format!(
            "the MTU of the other end is too large for native XDP: `ip link set dev PEER mtu {PLAIN_MTU}` there"
        ),
        libc::ENOSPC if interface.kind.as_deref() == Some("veth") => format!(
            "it has fewer receive queues than the other end has transmit queues: `ethtool -L {name} rx N`, with as many"
        ),
        libc::ERANGE | libc::EINVAL | libc::EOPNOTSUPP if mtu > PLAIN_MTU => {
            let or = if code == libc::EOPNOTSUPP { ", if it has native XDP at all" } else { "" };
            format!(
                "{who} does not take it at an MTU of {mtu}{or}: `ip link set dev {name} mtu {PLAIN_MTU}`"
            )
        }
        libc::EOPNOTSUPP => format!("{who} has no native XDP"),
        libc::ENOMEM | libc::ENOSPC | libc::EINVAL => match driver.queues {
            Some((now, most)) if now > 1 && now * 2 > most => format!(
                "{who} has too few queues left for native XDP, which wants some of its own: `ethtool -L {name} combined {}`",
                now / 2
            ),
            _ => format!("{who} refuses it: {}", text(code)),
        },
        _ => format!("{who} refuses it: {}", text(code)),
    }
}

fn text(code: i32) -> String {
    std::io::Error::from_raw_os_error(code).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_tells_the_command_that_helps() {
        let driven = |merging: &[&'static str], queues| Driver {
            name: Some("virtio_net".into()),
            merging: merging.to_vec(),
            queues,
        };
        let nobody = Driver::default;
        let table = [
            (
                "hardware GRO",
                libc::EOPNOTSUPP,
                ("", 1500),
                driven(&["rx-gro-hw"], None),
                "the driver virtio_net refuses native XDP while it merges packets (rx-gro-hw): `ethtool -K eth0 rx-gro-hw off`",
            ),
            (
                "LRO too, and a large MTU",
                libc::EINVAL,
                ("", 9000),
                driven(&["rx-lro", "rx-gro-hw"], None),
                "the driver virtio_net refuses native XDP while it merges packets (rx-lro and rx-gro-hw): `ethtool -K eth0 rx-lro off rx-gro-hw off`",
            ),
            (
                "hardware GRO is not to blame for memory",
                libc::ENOMEM,
                ("", 1500),
                driven(&["rx-gro-hw"], Some((8, 8))),
                "the driver virtio_net has too few queues left for native XDP, which wants some of its own: `ethtool -L eth0 combined 4`",
            ),
            (
                "a large MTU",
                libc::EINVAL,
                ("", 9000),
                driven(&[], None),
                "the driver virtio_net does not take it at an MTU of 9000: `ip link set dev eth0 mtu 1500`",
            ),
            (
                "a large MTU, perhaps",
                libc::EOPNOTSUPP,
                ("", 9000),
                nobody(),
                "the driver does not take it at an MTU of 9000, if it has native XDP at all: `ip link set dev eth0 mtu 1500`",
            ),
            (
                "a veth pair's large MTU",
                libc::ERANGE,
                ("veth", 1500),
                driven(&[], None),
                "the MTU of the other end is too large for native XDP: `ip link set dev PEER mtu 1500` there",
            ),
            (
                "a veth pair's queues",
                libc::ENOSPC,
                ("veth", 1500),
                driven(&[], Some((2, 2))),
                "it has fewer receive queues than the other end has transmit queues: `ethtool -L eth0 rx N`, with as many",
            ),
            (
                "no native XDP",
                libc::EOPNOTSUPP,
                ("bridge", 1500),
                nobody(),
                "the driver has no native XDP",
            ),
            (
                "queues left",
                libc::EINVAL,
                ("", 1500),
                driven(&[], Some((4, 16))),
                "the driver virtio_net refuses it: Invalid argument (os error 22)",
            ),
            (
                "something else",
                libc::EIO,
                ("", 9000),
                nobody(),
                "the driver refuses it: Input/output error (os error 5)",
            ),
        ];
        for (description, code, (kind, mtu), driver, expected) in table {
            let interface = Interface {
                name: "eth0".into(),
                kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
                mtu,
                ..Interface::default()
            };
            assert_eq!(why(code, &interface, &driver), expected, "{description}");
        }
    }
}
