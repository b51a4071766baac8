//! IPv6 (RFC 8200): version, payload length, fragments. Chains of extension headers have a table of their own.

use allowlist_common::parse::Aside;

use super::{
    DECOY, Fate, PORT, Row,
    build::{
        AH, DESTINATION, ESP, Extension, FRAGMENT, FRIEND_V6, HOP_BY_HOP, ICMPV6, NO_NEXT, ROUTING,
        V6, extension, fragment, segment,
    },
    row,
};

const BAD: Fate = Fate::Unreadable(Aside::BadIpHeader);
const NO_PORTS: Fate = Fate::Unreadable(Aside::PortsCutOff);
const CUT: Fate = Fate::Unreadable(Aside::ExtensionCutOff);
const OTHER: Fate = Fate::Passed(Aside::OtherProtocol);
const LATER: Fate = Fate::Later { allowed: false };

pub(crate) fn rows() -> Vec<Row> {
    [headers(), lengths(), fragments(), ports_of_fragments()].into_iter().flatten().collect()
}

fn headers() -> Vec<Row> {
    let wrong = (0..16).filter(|version| *version != 6);
    let mut rows: Vec<Row> = wrong
        .map(|version| {
            row(
                format!("EtherType IPv6, version {version}"),
                V6 { version, ..V6::to(DECOY) }.frame(),
                BAD,
            )
        })
        .collect();
    let whole = V6::to(PORT).frame();
    for (length, fate) in [
        (15, BAD),
        (20, BAD),
        (53, BAD),
        (54, NO_PORTS),
        (55, NO_PORTS),
        (57, NO_PORTS),
        (58, Fate::Denied),
        (73, Fate::Denied),
    ] {
        rows.push(row(format!("IPv6 frame cut to {length} bytes"), whole[..length].to_vec(), fate));
    }
    let mut labelled = V6::to(PORT).frame();
    labelled[14..18].copy_from_slice(&[0x6f, 0xff, 0xff, 0xff]);
    rows.push(row("every bit of traffic class and flow label", labelled, Fate::Denied));
    rows
}

fn lengths() -> Vec<Row> {
    let mut rows = Vec::new();
    for (length, fate) in [
        (0, NO_PORTS),
        (1, NO_PORTS),
        (3, NO_PORTS),
        (4, Fate::Denied),
        (19, Fate::Denied),
        (21, Fate::Denied),
        (1460, Fate::Denied),
        (65_535, Fate::Denied),
    ] {
        let packet = V6 { length: Some(length), ..V6::to(PORT) };
        rows.push(row(
            format!("payload length {length}, 20 bytes in the frame"),
            packet.frame(),
            fate,
        ));
    }
    for (name, protocol, fate) in [
        ("ICMPv6", ICMPV6, OTHER),
        ("no next header", NO_NEXT, OTHER),
        ("hop-by-hop, a jumbogram", HOP_BY_HOP, CUT),
        ("a fragment header", FRAGMENT, CUT),
        ("AH", AH, CUT),
    ] {
        let packet = V6 { length: Some(0), protocol, ..V6::to(PORT) };
        rows.push(row(format!("payload length 0, {name}"), packet.frame(), fate));
    }
    for port in [DECOY, PORT] {
        let bare = V6 { payload: Vec::new(), padding: segment(port), ..V6::to(port) };
        rows.push(row(format!("no payload, port {port} in the padding"), bare.frame(), NO_PORTS));
        let [payload, padding] = [&segment(port)[..2], &segment(port)[2..]].map(<[u8]>::to_vec);
        let half = V6 { payload, padding, ..V6::to(port) };
        rows.push(row(format!("port {port} half in the padding"), half.frame(), NO_PORTS));
        let chain = vec![extension(DESTINATION, 8)];
        let behind = V6 { chain, payload: Vec::new(), padding: segment(port), ..V6::to(port) };
        rows.push(row(
            format!("options alone, port {port} in the padding"),
            behind.frame(),
            NO_PORTS,
        ));
    }
    let padded = V6 { padding: segment(DECOY), ..V6::to(PORT) };
    rows.push(row(
        "a free port in the padding behind a segment, IPv6",
        padded.frame(),
        Fate::Denied,
    ));
    rows
}

fn fragments() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, field, fate) in [
        ("atomic fragment", 0, Fate::Denied),
        ("atomic fragment, reserved bits", 0x0006, Fate::Denied),
        ("first fragment", 0x0001, Fate::Denied),
        ("first fragment, reserved bits", 0x0007, Fate::Denied),
        ("later fragment, offset 1", 0x0008, LATER),
        ("later fragment, offset 1, more to come", 0x0009, LATER),
        ("later fragment, offset 2", 0x0010, LATER),
        ("later fragment, offset 0x20", 0x0100, LATER),
        ("later fragment, offset 0x1000", 0x8000, LATER),
        ("later fragment, offset 8191", 0xfff8, LATER),
    ] {
        let name = format!("IPv6 {name}");
        let chain = vec![fragment(field)];
        rows.push(row(&name, V6 { chain: chain.clone(), ..V6::to(PORT) }.frame(), fate));
        let free = if fate == Fate::Denied { Fate::NoService } else { fate };
        rows.push(row(
            format!("{name}, free port"),
            V6 { chain: chain.clone(), ..V6::to(DECOY) }.frame(),
            free,
        ));
        let fate =
            if fate == Fate::Denied { Fate::Admitted } else { Fate::Later { allowed: true } };
        let friendly = V6 { chain, source: FRIEND_V6, ..V6::to(PORT) };
        rows.push(row(format!("{name}, allowed source"), friendly.frame(), fate));
    }
    // The byte that others have their length in is reserved here (RFC 8200, section 4.5).
    let mut reserved = fragment(0x0001);
    reserved.rest[0] = 0xff;
    rows.push(row(
        "first fragment, reserved byte 255",
        V6 { chain: vec![reserved], ..V6::to(PORT) }.frame(),
        Fate::Denied,
    ));
    let chains: [(&str, Vec<Extension>, Fate); 7] = [
        (
            "hop-by-hop, routing, later fragment",
            vec![extension(HOP_BY_HOP, 8), extension(ROUTING, 24), fragment(8)],
            LATER,
        ),
        ("atomic, then later fragment", vec![fragment(0), fragment(8)], LATER),
        ("first, then later fragment", vec![fragment(1), fragment(8)], LATER),
        ("later, then first fragment", vec![fragment(8), fragment(1)], LATER),
        ("two atomic fragments", vec![fragment(0), fragment(0)], Fate::Denied),
        (
            "first fragment, options behind",
            vec![fragment(1), extension(DESTINATION, 16)],
            Fate::Denied,
        ),
        ("first fragment, AH behind", vec![fragment(1), extension(AH, 24)], Fate::Denied),
    ];
    rows.extend(
        chains.map(|(name, chain, fate)| row(name, V6 { chain, ..V6::to(PORT) }.frame(), fate)),
    );
    rows
}

fn ports_of_fragments() -> Vec<Row> {
    let mut rows = Vec::new();
    for length in 0..4 {
        let payload = segment(PORT)[..length].to_vec();
        let first =
            V6 { chain: vec![fragment(1)], payload, padding: segment(PORT), ..V6::to(PORT) };
        rows.push(row(format!("IPv6 first fragment with {length} bytes"), first.frame(), NO_PORTS));
    }
    let payload = segment(PORT)[..4].to_vec();
    let first = V6 { chain: vec![fragment(1)], payload, ..V6::to(PORT) };
    rows.push(row("IPv6 first fragment with the ports alone", first.frame(), Fate::Denied));
    let chain = vec![fragment(1), extension(DESTINATION, 64)];
    // The first fragment ends inside the options (RFC 7112 forbids that).
    let cut = V6 { chain, length: Some(48), ..V6::to(PORT) };
    rows.push(row("first fragment ends inside an extension header", cut.frame(), CUT));
    for (name, protocol) in [("ICMPv6", ICMPV6), ("ESP", ESP), ("nothing", NO_NEXT)] {
        let first = V6 { chain: vec![fragment(1)], protocol, ..V6::to(PORT) };
        rows.push(row(format!("first fragment of {name}"), first.frame(), OTHER));
        let later = V6 { chain: vec![fragment(8)], protocol, ..V6::to(PORT) };
        rows.push(row(format!("later fragment of {name}"), later.frame(), LATER));
    }
    let empty = V6 { chain: vec![fragment(8)], payload: Vec::new(), ..V6::to(PORT) };
    rows.push(row("IPv6 later fragment without payload", empty.frame(), LATER));
    rows
}
