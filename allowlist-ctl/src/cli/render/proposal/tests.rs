use super::*;
use crate::policy::lines;

const PROPOSAL: &str = r#"{"service":"redis","revision":3,"mode":"monitor","state":"closed","tighten":false,
    "noted":true,"proposed":[
        {"prefix":"10.0.0.0/28","addresses":4,"packets":12,"connections":2,
            "first":"2026-11-25T09:00:00Z","last":"2026-11-25T09:04:00Z"},
        {"prefix":"10.1.0.7/32","addresses":1,"packets":1,"connections":0,
            "first":"2026-11-25T09:01:00Z","last":"2026-11-25T09:01:00Z"},
        {"prefix":"2001:db8:1:2::/64","addresses":1,"packets":0,"connections":1}],
    "kept":[{"entry":"10.9.0.0/16","comment":"VPN # of old"},
        {"entry":"!10.9.6.0/24","expires_at":"2026-12-01T00:00:00Z"}],
    "left_out":{"admitted":1,"excepted":2,"denied":0,"ended":0},"unproven":3,"addresses":9,"packets":40,
    "connections":3,"first":"2026-11-25T09:00:00Z","last":"2026-11-25T09:05:00Z","incomplete":false,
    "warnings":[]}"#;

fn written(proposal: &Proposal) -> String {
    let mut out = Vec::new();
    super::proposal(proposal, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_proposal_is_a_file_that_says_what_it_is() {
    let proposal: Proposal = serde_json::from_str(PROPOSAL).unwrap();
    let expected = "\
# Entries for redis, proposed by `allowlist-ctl learn redis`.
# Nothing is changed yet; revision 3.
# Seen from 2026-11-25T09:00:00Z to 2026-11-25T09:05:00Z: 40 packets from 9 addresses, 3 established connections.
# Left out: 1 address that groups, trusted or its own entries admit already, 2 addresses that an except denies.
# 3 addresses below have no established connection now, and may be a guess:
# the source of a UDP packet, or of a first TCP packet, can be forged.
# Read it, save it as redis.txt, and type next:
#   allowlist-ctl try redis -f redis.txt
#   allowlist-ctl replace redis -f redis.txt

# Its own entries stay as they are:
10.9.0.0/16 # VPN # of old
!10.9.6.0/24 until=2026-12-01T00:00:00Z

# Proposed:
10.0.0.0/28 # 12 packets from 4 addresses, last 2026-11-25T09:04:00Z; 2 connections
10.1.0.7/32 # 1 packet from 1 address, last 2026-11-25T09:01:00Z
2001:db8:1:2::/64 # 1 established connection from 1 address
";
    assert_eq!(written(&proposal), expected);
    let entries = lines::parse(expected).unwrap();
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[0].comment.as_deref(), Some("VPN # of old"));
}

#[test]
fn a_proposal_of_nothing_says_so() {
    let mut proposal: Proposal = serde_json::from_str(PROPOSAL).unwrap();
    proposal = Proposal {
        tighten: true,
        noted: false,
        proposed: Vec::new(),
        kept: Vec::new(),
        left_out: LeftOut { denied: 1, ended: 2, ..LeftOut::default() },
        unproven: 0,
        seen: SeenSources::default(),
        incomplete: true,
        ..proposal
    };
    let expected = "\
# Entries for redis, proposed by `allowlist-ctl learn redis --tighten`.
# Nothing is changed yet; revision 3.
# Packets were not noted; 0 established connections.
# Left out: 1 address that is denied today, 2 addresses that had an entry that has ended.
# So many sources were seen that some may be missing.
# There is nothing to propose.
";
    assert_eq!(written(&proposal), expected);
}
