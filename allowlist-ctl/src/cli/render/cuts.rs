//! Connections that a change cuts.

use crate::api::CutConnection;

use super::count;

/// So many connections are told; JSON has all of them.
const TOLD: usize = 20;

/// The connections, a line each.
pub(in crate::cli) fn cut_lines(cuts: &[CutConnection]) -> Vec<String> {
    let told = cuts.iter().take(TOLD).map(|cut| {
        let CutConnection { service, peer, local, own_session } = cut;
        let own = if *own_session { ", your own SSH session" } else { "" };
        format!("{peer} -> {local} ({service}){own}")
    });
    let more = cuts.len().saturating_sub(TOLD);
    let more = (more > 0)
        .then(|| format!("... and {}", count(more, "more connection", "more connections")));
    told.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_told_with_their_service() {
        let cut = |peer: &str, own_session| CutConnection {
            service: "ssh".parse().unwrap(),
            peer: peer.parse().unwrap(),
            local: "192.0.2.1:22".parse().unwrap(),
            own_session,
        };
        let cuts = [cut("203.0.113.7:51234", true), cut("[2001:db8::7]:51234", false)];
        let expected = [
            "203.0.113.7:51234 -> 192.0.2.1:22 (ssh), your own SSH session",
            "[2001:db8::7]:51234 -> 192.0.2.1:22 (ssh)",
        ];
        assert_eq!(cut_lines(&cuts), expected);
        let many = vec![cut("203.0.113.7:51234", false); 23];
        assert_eq!(cut_lines(&many).len(), 21);
        assert_eq!(cut_lines(&many)[20], "... and 3 more connections");
    }
}
