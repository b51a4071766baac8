//! Ethernet and VLAN tags (IEEE 802.1Q, 802.1ad), and what is not IP.

use allowlist_common::parse::Aside;

use super::{
    DECOY, Fate, PORT, Row,
    build::{C_TAG, IPV4, IPV6, S_TAG, V4, V6, frame},
    row,
};

pub(crate) fn rows() -> Vec<Row> {
    [tags(), cut_off(), not_ip()].into_iter().flatten().collect()
}

fn tags() -> Vec<Row> {
    let mut rows = Vec::new();
    let (v4, v6) = (V4::to(PORT).packet(), V6::to(PORT).packet());
    for (kind, outermost, inner) in
        [("802.1Q", C_TAG, C_TAG), ("802.1ad", S_TAG, S_TAG), ("802.1ad outermost", S_TAG, C_TAG)]
    {
        for (count, fate) in [
            (1, Fate::Denied),
            (2, Fate::Denied),
            (3, Fate::Denied),
            (4, Fate::Denied),
            (5, Fate::Unreadable(Aside::TooManyTags)),
            (6, Fate::Unreadable(Aside::TooManyTags)),
        ] {
            let mut tags = vec![(inner, 42); count];
            tags[0].0 = outermost;
            rows.push(row(format!("{count} tags, {kind}, IPv4"), frame(&tags, IPV4, &v4), fate));
            rows.push(row(format!("{count} tags, {kind}, IPv6"), frame(&tags, IPV6, &v6), fate));
        }
    }
    for (name, control) in [
        ("priority tag, VLAN 0", 0xe000),
        ("VLAN 4095 with every other bit", 0xffff),
        ("a tag whose control information looks like IPv4", IPV4),
        ("a tag whose control information looks like a tag", C_TAG),
    ] {
        rows.push(row(name, frame(&[(C_TAG, control)], IPV4, &v4), Fate::Denied));
    }
    let decoy = V4::to(DECOY).packet();
    rows.push(row(
        "4 tags, port of no service",
        frame(&[(C_TAG, 1); 4], IPV4, &decoy),
        Fate::NoService,
    ));
    // 5 tags hide the port, whatever it is.
    let hidden = Fate::Unreadable(Aside::TooManyTags);
    rows.push(row("5 tags, port of no service", frame(&[(C_TAG, 1); 5], IPV4, &decoy), hidden));
    rows.push(row("5 tags, ARP", frame(&[(S_TAG, 1); 5], 0x0806, &[0; 28]), hidden));
    rows.push(row(
        "4 tags and the EtherType of a fifth, nothing behind",
        frame(&[(C_TAG, 1); 4], C_TAG, &[]),
        hidden,
    ));
    rows
}

fn cut_off() -> Vec<Row> {
    let mut rows = Vec::new();
    let whole = frame(&[(C_TAG, 42)], IPV4, &V4::to(PORT).packet());
    let cut = Fate::Unreadable(Aside::FrameCutOff);
    // The kernel's test run takes no frames below 14 bytes: those are judged on the host alone.
    for length in 0..18 {
        rows.push(row(
            format!("tagged frame cut to {length} bytes"),
            whole[..length].to_vec(),
            cut,
        ));
    }
    let no_header = Fate::Unreadable(Aside::BadIpHeader);
    rows.push(row("tagged frame, cut behind its EtherType", whole[..18].to_vec(), no_header));
    let plain = V4::to(PORT).frame();
    for length in [0, 1, 6, 12, 13] {
        rows.push(row(format!("frame cut to {length} bytes"), plain[..length].to_vec(), cut));
    }
    rows.push(row("IPv4 frame, Ethernet header alone", plain[..14].to_vec(), no_header));
    rows.push(row(
        "IPv6 frame, Ethernet header alone",
        V6::to(PORT).frame()[..14].to_vec(),
        no_header,
    ));
    let second = frame(&[(S_TAG, 1), (C_TAG, 2)], IPV4, &[]);
    for length in 18..22 {
        rows.push(row(
            format!("second tag, cut to {length} bytes"),
            second[..length].to_vec(),
            cut,
        ));
    }
    rows
}

fn not_ip() -> Vec<Row> {
    let inner = V4::to(PORT).packet();
    let mut rows = Vec::new();
    let passed = Fate::Passed(Aside::NotIp);
    for (name, ethertype) in [
        ("ARP", 0x0806),
        ("RARP", 0x8035),
        ("Wake-on-LAN", 0x0842),
        ("LLDP", 0x88cc),
        ("MPLS, which has no EtherType inside", 0x8847),
        ("PPPoE session", 0x8864),
        ("802.1ah, which is not looked through", 0x88e7),
        ("MACsec", 0x88e5),
        ("LLC, a length in place of the EtherType", 0x0026),
        ("a length of 0 in place of the EtherType", 0),
        ("the largest EtherType", 0xffff),
        ("one below IPv4", 0x07ff),
        ("one above IPv4", 0x0801),
        ("IPv4 in the wrong byte order", 0x0008),
        ("IPv6 in the wrong byte order", 0xdd86),
        ("one above IPv6", 0x86de),
        ("old QinQ 0x9100, which Linux does not look through either", 0x9100),
        ("old QinQ 0x9200", 0x9200),
    ] {
        rows.push(row(format!("{name}, IPv4 in its body"), frame(&[], ethertype, &inner), passed));
    }
    let mut old = vec![0, 42];
    old.extend(IPV4.to_be_bytes());
    old.extend(&inner);
    rows.push(row("0x9100 as a tag before IPv4", frame(&[], 0x9100, &old), passed));
    rows.push(row("0x9100 inside 802.1Q", frame(&[(C_TAG, 1)], 0x9100, &old), passed));
    rows.push(row("ARP behind 4 tags", frame(&[(S_TAG, 1); 4], 0x0806, &[0; 28]), passed));
    rows.push(row("ARP, nothing behind its EtherType", frame(&[], 0x0806, &[]), passed));
    rows
}
