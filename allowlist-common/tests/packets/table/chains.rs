//! Chains of IPv6 extension headers (RFC 8200, section 4; AH: RFC 4302, section 2.2).

use allowlist_common::parse::Aside;

use super::{
    DECOY, Fate, PORT, Row,
    build::{
        AH, DESTINATION, ESP, Extension, FRAGMENT, FRIEND_V6, HOP_BY_HOP, ICMPV6, NO_NEXT, ROUTING,
        V6, extension, fragment, segment,
    },
    row,
};

const CUT: Fate = Fate::Unreadable(Aside::ExtensionCutOff);
const TOO_MANY: Fate = Fate::Unreadable(Aside::TooManyExtensions);
const OTHER: Fate = Fate::Passed(Aside::OtherProtocol);

const KINDS: [(&str, u8); 5] = [
    ("hop-by-hop", HOP_BY_HOP),
    ("routing", ROUTING),
    ("fragment", FRAGMENT),
    ("AH", AH),
    ("destination options", DESTINATION),
];

pub(crate) fn rows() -> Vec<Row> {
    [counts(), pairs(), lengths(), ends(), cut_off()].into_iter().flatten().collect()
}

fn usual(kind: u8) -> Extension {
    match kind {
        FRAGMENT => fragment(0),
        AH => extension(AH, 24),
        _ => extension(kind, 8),
    }
}

fn to(port: u16, chain: Vec<Extension>) -> Vec<u8> {
    V6 { chain, ..V6::to(port) }.frame()
}

fn counts() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, kind) in KINDS {
        for (count, fate) in [
            (1, Fate::Denied),
            (2, Fate::Denied),
            (7, Fate::Denied),
            (8, Fate::Denied),
            (9, TOO_MANY),
            (12, TOO_MANY),
        ] {
            rows.push(row(format!("{count} {name}"), to(PORT, vec![usual(kind); count]), fate));
        }
        rows.push(row(
            format!("8 {name}, free port"),
            to(DECOY, vec![usual(kind); 8]),
            Fate::NoService,
        ));
        rows.push(row(format!("9 {name}, free port"), to(DECOY, vec![usual(kind); 9]), TOO_MANY));
    }
    let every: Vec<_> = KINDS.iter().map(|(_, kind)| usual(*kind)).collect();
    let mut eight = every.clone();
    eight.extend(every.iter().rev().take(3).cloned());
    rows.push(row("each kind once", to(PORT, every), Fate::Denied));
    rows.push(row("8 of all kinds", to(PORT, eight.clone()), Fate::Denied));
    let friendly = V6 { chain: eight.clone(), source: FRIEND_V6, ..V6::to(PORT) };
    rows.push(row("8 of all kinds, allowed source", friendly.frame(), Fate::Admitted));
    eight.push(usual(ROUTING));
    rows.push(row("9 of all kinds", to(PORT, eight.clone()), TOO_MANY));
    let friendly = V6 { chain: eight, source: FRIEND_V6, ..V6::to(PORT) };
    rows.push(row("9 of all kinds, allowed source", friendly.frame(), TOO_MANY));
    rows
}

fn pairs() -> Vec<Row> {
    let mut rows = Vec::new();
    for (first, one) in KINDS {
        for (second, other) in KINDS {
            rows.push(row(
                format!("{first}, then {second}"),
                to(PORT, vec![usual(one), usual(other)]),
                Fate::Denied,
            ));
        }
    }
    rows
}

/// Wherever a reader with a wrong unit would go on it meets the decoy: the bodies of the headers are full of it.
fn lengths() -> Vec<Row> {
    let mut rows = Vec::new();
    let forged = |kind: u8, length: usize| {
        let mut forged = extension(kind, length);
        let decoys = DECOY.to_be_bytes().repeat(length);
        forged.rest[1..].copy_from_slice(&decoys[1..length - 1]);
        forged
    };
    for length in [8, 12, 16, 20, 24, 28, 32, 36, 72, 264] {
        rows.push(row(
            format!("AH of {length} bytes"),
            to(PORT, vec![forged(AH, length)]),
            Fate::Denied,
        ));
        let name = format!("AH of {length} bytes, the port inside it");
        let mut inside = forged(AH, length);
        let ports = PORT.to_be_bytes().repeat(length);
        inside.rest[1..].copy_from_slice(&ports[1..length - 1]);
        rows.push(row(name, to(DECOY, vec![inside]), Fate::NoService));
    }
    for length in [8, 16, 24, 40, 256, 800] {
        for (name, kind) in
            [("hop-by-hop", HOP_BY_HOP), ("routing", ROUTING), ("destination options", DESTINATION)]
        {
            let chain = vec![forged(kind, length)];
            rows.push(row(format!("{name} of {length} bytes"), to(PORT, chain), Fate::Denied));
        }
    }
    rows
}

/// What may follow a chain.
fn ends() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, protocol) in [
        ("no next header", NO_NEXT),
        ("ESP", ESP),
        ("ICMPv6", ICMPV6),
        ("IPv4", 4),
        ("IPv6", 41),
        ("mobility", 135),
        ("an unassigned protocol", 200),
    ] {
        for (before, kind) in KINDS {
            let packet = V6 { chain: vec![usual(kind)], protocol, ..V6::to(PORT) };
            rows.push(row(format!("{before}, then {name}"), packet.frame(), OTHER));
        }
    }
    rows
}

fn cut_off() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, kind) in KINDS {
        let chain = vec![usual(kind)];
        let length = 1 + chain[0].rest.len();
        let packet = V6 { chain, ..V6::to(PORT) };
        let last = u16::try_from(length - 1).unwrap();
        for end in [1, 2, 3, 4, last] {
            let short = V6 { length: Some(end), ..packet.clone() };
            rows.push(row(format!("{name}, packet ends {end} bytes into it"), short.frame(), CUT));
            let frame = packet.frame()[..54 + usize::from(end)].to_vec();
            rows.push(row(format!("{name}, frame ends {end} bytes into it"), frame, CUT));
        }
        let bare = V6 { payload: Vec::new(), ..packet.clone() };
        let no_ports = Fate::Unreadable(Aside::PortsCutOff);
        rows.push(row(format!("{name}, nothing behind it"), bare.frame(), no_ports));
        if kind != FRAGMENT {
            let mut long = packet.clone();
            long.chain[0].rest[0] = 255;
            rows.push(row(format!("{name} with the length 255"), long.frame(), CUT));
            let mut beyond = packet;
            beyond.chain[0].rest[0] += 10;
            beyond.padding = segment(DECOY).repeat(8);
            rows.push(row(format!("{name} reaches into the padding"), beyond.frame(), CUT));
        }
    }
    let nine = V6 {
        chain: vec![usual(DESTINATION); 8],
        protocol: HOP_BY_HOP,
        payload: vec![],
        ..V6::to(PORT)
    };
    rows.push(row("8 headers and the announcement of a ninth", nine.frame(), TOO_MANY));
    rows
}

/// Extension headers of more than a kilobyte.
pub(crate) fn long_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, kind, length) in [
        ("hop-by-hop", HOP_BY_HOP, 1024),
        ("destination options", DESTINATION, 2048),
        ("AH", AH, 1028),
    ] {
        let packet = V6 { chain: vec![extension(kind, length)], ..V6::to(PORT) };
        rows.push(row(format!("{name} of {length} bytes"), packet.frame(), Fate::Denied));
        let friendly = V6 { source: FRIEND_V6, ..packet };
        rows.push(row(
            format!("{name} of {length} bytes, allowed source"),
            friendly.frame(),
            Fate::Admitted,
        ));
    }
    rows
}
