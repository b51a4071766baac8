//! Protected ports that the host itself uses for its outgoing connections.

use std::{fs, ops::RangeInclusive};

use allowlist_common::parse::Protocol;

use crate::policy::{Name, port::Ports};

/// The kernel's range of ephemeral ports, for TCP and UDP of both families (ip-sysctl in Linux).
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// A warning where replies to the host's own connections would be judged.
pub(super) fn ephemeral_warning(name: &Name, ports: impl Iterator<Item = Ports>) -> Option<String> {
    warning(name, ports, &read_range(&fs::read_to_string(EPHEMERAL).ok()?)?)
}

fn read_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(first), Ok(last)) => Some(first..=last),
        _ => None,
    }
}

fn warning(
    name: &Name,
    ports: impl Iterator<Item = Ports>,
    ephemeral: &RangeInclusive<u16>,
) -> Option<String> {
    let inside = |ports: &Ports| {
        matches!(ports.protocol, Protocol::Tcp | Protocol::Udp)
            && ports.first <= *ephemeral.end()
            && *ephemeral.start() <= ports.last
    };
    let inside: Vec<String> = ports.filter(inside).map(|ports| ports.to_string()).collect();
    if inside.is_empty() {
        return None;
    }
    Some(format!(
        "{} of {name} lies in the range {}-{} that this host uses for its own outgoing connections: replies to \
         them are judged too; narrow net.ipv4.ip_local_port_range, or reserve the port in \
         net.ipv4.ip_local_reserved_ports",
        inside.join(", "),
        ephemeral.start(),
        ephemeral.end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_in_the_range_are_warned_about() {
        let range = read_range("32768\t60999\n").unwrap();
        let table = [
            ("tcp/6379", false),
            ("tcp/32767", false),
            ("tcp/32768", true),
            ("udp/60999-61000", true),
            ("udp/61000", false),
            ("tcp/1-65535", true),
            ("sctp/40000", false),
        ];
        for (ports, expected) in table {
            let ports = [ports.parse().unwrap()].into_iter();
            let found = warning(&"redis".parse().unwrap(), ports.clone(), &range);
            assert_eq!(found.is_some(), expected, "{ports:?}");
        }
    }
}
