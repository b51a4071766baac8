//! What passes the filter by nature.

use crate::api::{PastFilter, Tunnel};

/// A sentence of it, where there is anything of that.
pub(super) fn past(past: &PastFilter) -> Option<String> {
    let PastFilter { other_protocols, other_protocols_last_minute, tunnels } = past;
    let mut parts = Vec::new();
    if other_protocols.packets > 0 {
        let came = match other_protocols_last_minute.packets {
            0 => String::new(),
            packets => format!(" ({packets} in the last minute)"),
        };
        parts.push({
            let packets = if other_protocols.packets == 1 { "packet" } else { "packets" };
            format!("{} {packets} of other protocols{came}", other_protocols.packets)
        });
    }
    let unseen = tunnels.iter().filter(|tunnel| !tunnel.filtered);
    let names: Vec<String> =
        unseen.map(|Tunnel { interface, kind, .. }| format!("{interface} ({kind})")).collect();
    if !names.is_empty() {
        parts.push(format!("what comes out of the tunnels {}", names.join(", ")));
    }
    (!parts.is_empty()).then(|| format!("Past the filter: {}. See docs/past.md", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Traffic;

    #[test]
    fn what_passes_is_told_where_there_is_any() {
        let tunnel = |interface: &str, kind: &str, filtered| Tunnel {
            interface: interface.into(),
            kind: kind.into(),
            filtered,
        };
        let packets = |packets| Traffic { packets, bytes: 0 };
        let table = [
            ("nothing", 0, 0, vec![], None),
            ("other protocols, long ago", 9, 0, vec![], Some("9 packets of other protocols")),
            (
                "other protocols",
                9,
                4,
                vec![],
                Some("9 packets of other protocols (4 in the last minute)"),
            ),
            ("a tunnel with the filter", 0, 0, vec![tunnel("vx1", "vxlan", true)], None),
            (
                "all of it",
                1,
                0,
                vec![tunnel("gre1", "gre", false), tunnel("wg0", "wireguard", false)],
                Some(
                    "1 packet of other protocols; what comes out of the tunnels gre1 (gre), wg0 (wireguard)",
                ),
            ),
        ];
        for (description, all, came, tunnels, expected) in table {
            let told = past(&PastFilter {
                other_protocols: packets(all),
                other_protocols_last_minute: packets(came),
                tunnels,
            });
            let expected =
                expected.map(|text| format!("Past the filter: {text}. See docs/past.md"));
            assert_eq!(told, expected, "{description}");
        }
    }
}
