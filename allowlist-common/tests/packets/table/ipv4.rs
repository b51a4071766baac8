//! IPv4 (RFC 791): header length, total length, version, fragments.

use allowlist_common::parse::Aside;

use super::{
    DECOY, Fate, PORT, Row,
    build::{FRIEND, IPV4, IPV6, UDP, V4, V6, frame, segment},
    row,
};

const MORE: u16 = 0x2000;
const DONT: u16 = 0x4000;
const RESERVED: u16 = 0x8000;

const BAD: Fate = Fate::Unreadable(Aside::BadIpHeader);
const NO_PORTS: Fate = Fate::Unreadable(Aside::PortsCutOff);
const LATER: Fate = Fate::Later { allowed: false };

pub(crate) fn rows() -> Vec<Row> {
    [headers(), versions(), totals(), padding(), fragments()].into_iter().flatten().collect()
}

fn headers() -> Vec<Row> {
    let mut rows = Vec::new();
    for words in 1..=10 {
        // A reader that ignores the header's length finds the decoy in the options, or the port.
        let options = segment(DECOY).repeat(2)[..4 * words].to_vec();
        let with = |port| V4 { options: options.clone(), ..V4::to(port) };
        rows.push(row(format!("{words} words of options"), with(PORT).frame(), Fate::Denied));
        let options = segment(PORT).repeat(2)[..4 * words].to_vec();
        let forged = V4 { options, ..V4::to(DECOY) };
        let name = format!("{words} words of options that look like the port");
        rows.push(row(name, forged.frame(), Fate::NoService));
    }
    for ihl in 0..5 {
        let packet = V4 { ihl: Some(ihl), ..V4::to(DECOY) };
        rows.push(row(format!("IHL {ihl}"), packet.frame(), BAD));
    }
    for ihl in 11..=15 {
        // Header and segment have 40 bytes.
        let packet = V4 { ihl: Some(ihl), ..V4::to(PORT) };
        rows.push(row(format!("IHL {ihl} past the packet of 40 bytes"), packet.frame(), BAD));
        let padded = V4 { padding: segment(PORT).repeat(2), ..packet };
        rows.push(row(format!("IHL {ihl} past the packet, into padding"), padded.frame(), BAD));
    }
    let header_alone = V4 { ihl: Some(10), ..V4::to(DECOY) };
    rows.push(row("IHL 10 takes all of the packet", header_alone.frame(), NO_PORTS));
    let long = V4 { options: vec![1; 40], ..V4::to(PORT) }.frame();
    for length in [33, 34, 72, 73] {
        let name = format!("60 bytes of header, frame cut to {length}");
        rows.push(row(name, long[..length].to_vec(), BAD));
    }
    for length in [74, 75, 77] {
        let name = format!("60 bytes of header, frame cut to {length}");
        rows.push(row(name, long[..length].to_vec(), NO_PORTS));
    }
    rows.push(row(
        "60 bytes of header, frame cut behind the ports",
        long[..78].to_vec(),
        Fate::Denied,
    ));
    rows
}

fn versions() -> Vec<Row> {
    let wrong = (0..16).filter(|version| *version != 4);
    let mut rows: Vec<Row> = wrong
        .map(|version| {
            row(
                format!("EtherType IPv4, version {version}"),
                V4 { version, ..V4::to(DECOY) }.frame(),
                BAD,
            )
        })
        .collect();
    rows.push(row("EtherType IPv4, IPv6 packet", frame(&[], IPV4, &V6::to(PORT).packet()), BAD));
    rows.push(row("EtherType IPv6, IPv4 packet", frame(&[], IPV6, &V4::to(PORT).packet()), BAD));
    rows
}

fn totals() -> Vec<Row> {
    let mut rows = Vec::new();
    for (total, fate) in [
        (0, BAD),
        (1, BAD),
        (19, BAD),
        (20, NO_PORTS),
        (21, NO_PORTS),
        (22, NO_PORTS),
        (23, NO_PORTS),
        (24, Fate::Denied),
        (25, Fate::Denied),
        (39, Fate::Denied),
        (41, Fate::Denied),
        (1500, Fate::Denied),
        (65_535, Fate::Denied),
    ] {
        let packet = V4 { total: Some(total), ..V4::to(PORT) };
        rows.push(row(
            format!("total length {total}, 40 bytes in the frame"),
            packet.frame(),
            fate,
        ));
    }
    let optioned = V4 { options: vec![1; 8], ..V4::to(PORT) };
    for (total, fate) in [(27, BAD), (28, NO_PORTS), (31, NO_PORTS), (32, Fate::Denied)] {
        let packet = V4 { total: Some(total), ..optioned.clone() };
        rows.push(row(format!("28 bytes of header, total length {total}"), packet.frame(), fate));
    }
    let longer = V4 { total: Some(1500), ..V4::to(PORT) }.frame();
    rows.push(row("total length 1500, frame cut in the ports", longer[..36].to_vec(), NO_PORTS));
    rows.push(row(
        "total length 1500, frame cut behind the ports",
        longer[..38].to_vec(),
        Fate::Denied,
    ));
    rows.push(row(
        "total length 1500, frame cut behind the header",
        longer[..34].to_vec(),
        NO_PORTS,
    ));
    rows.push(row("total length 1500, frame cut in the header", longer[..33].to_vec(), BAD));
    rows
}

fn padding() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, port) in [("a free port", DECOY), ("the protected port", PORT)] {
        let bare = V4 { payload: Vec::new(), padding: segment(port), ..V4::to(port) };
        rows.push(row(format!("no payload, {name} in the padding"), bare.frame(), NO_PORTS));
        let half = V4 {
            payload: segment(port)[..3].to_vec(),
            padding: segment(port)[3..].to_vec(),
            ..V4::to(port)
        };
        rows.push(row(format!("{name} half in the padding"), half.frame(), NO_PORTS));
    }
    let padded = V4 { padding: segment(DECOY), ..V4::to(PORT) };
    rows.push(row("a free port in the padding behind a segment", padded.frame(), Fate::Denied));
    let small = V4 {
        protocol: UDP,
        payload: segment(PORT)[..8].to_vec(),
        padding: vec![0; 18],
        ..V4::to(PORT)
    };
    rows.push(row("a datagram of 8 bytes, padded to 60", small.frame(), Fate::Denied));
    rows
}

fn fragments() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, fragment, fate) in [
        ("don't fragment", DONT, Fate::Denied),
        ("reserved bit", RESERVED, Fate::Denied),
        ("first fragment", MORE, Fate::Denied),
        ("first fragment, every flag", MORE | DONT | RESERVED, Fate::Denied),
        ("later fragment, offset 1", 1, LATER),
        ("later fragment, offset 1, more to come", MORE | 1, LATER),
        ("later fragment, offset 3", 3, LATER),
        ("later fragment, offset 0x100", 0x100, LATER),
        ("later fragment, offset 0x1000", 0x1000, LATER),
        ("later fragment, offset 8191", 0x1fff, LATER),
        ("later fragment, offset 185, every flag", 0xe0b9, LATER),
    ] {
        rows.push(row(name, V4 { fragment, ..V4::to(PORT) }.frame(), fate));
        let free = if fate == Fate::Denied { Fate::NoService } else { fate };
        rows.push(row(
            format!("{name}, free port"),
            V4 { fragment, ..V4::to(DECOY) }.frame(),
            free,
        ));
        let friendly = V4 { fragment, source: FRIEND, ..V4::to(PORT) };
        let fate =
            if fate == Fate::Denied { Fate::Admitted } else { Fate::Later { allowed: true } };
        rows.push(row(format!("{name}, allowed source"), friendly.frame(), fate));
    }
    for length in 0..4 {
        let payload = segment(PORT)[..length].to_vec();
        let first = V4 { fragment: MORE, payload, padding: segment(PORT), ..V4::to(PORT) };
        rows.push(row(format!("first fragment with {length} bytes"), first.frame(), NO_PORTS));
    }
    let first = V4 { fragment: MORE, payload: segment(PORT)[..4].to_vec(), ..V4::to(PORT) };
    rows.push(row("first fragment with the ports alone", first.frame(), Fate::Denied));
    let later = V4 { fragment: 1, ..V4::to(PORT) };
    let rest: [(&str, V4, Fate); 5] = [
        ("later fragment of ICMP", V4 { protocol: 1, ..later.clone() }, LATER),
        ("later fragment of GRE", V4 { protocol: 47, ..later.clone() }, LATER),
        ("later fragment without payload", V4 { payload: Vec::new(), ..later.clone() }, LATER),
        ("later fragment with IHL 4", V4 { ihl: Some(4), ..later.clone() }, BAD),
        ("later fragment, header past the packet", V4 { ihl: Some(11), ..later }, BAD),
    ];
    rows.extend(rest.map(|(name, packet, fate)| row(name, packet.frame(), fate)));
    let ping = V4 { fragment: MORE, protocol: 1, ..V4::to(PORT) };
    rows.push(row("first fragment of ICMP", ping.frame(), Fate::Passed(Aside::OtherProtocol)));
    rows
}
