//! Protocols with ports and without, and the borders of ports.

use allowlist_common::parse::Aside;

use super::{
    DECOY, Fate, MONITOR_PORT, OPEN_PORT, PORT, Row,
    build::{DCCP, FRIEND, FRIEND_V6, SCTP, TCP, UDP, UDP_LITE, V4, V6, segment},
    row,
};

const OTHER: Fate = Fate::Passed(Aside::OtherProtocol);
const NO_PORTS: Fate = Fate::Unreadable(Aside::PortsCutOff);

const JUDGED: [(&str, u8); 5] =
    [("TCP", TCP), ("UDP", UDP), ("UDP-Lite", UDP_LITE), ("SCTP", SCTP), ("DCCP", DCCP)];

pub(crate) fn rows() -> Vec<Row> {
    [judged(), others(), ports()].into_iter().flatten().collect()
}

fn judged() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, protocol) in JUDGED {
        let v4 = V4 { protocol, ..V4::to(PORT) };
        let v6 = V6 { protocol, ..V6::to(PORT) };
        rows.push(row(format!("{name} over IPv4"), v4.frame(), Fate::Denied));
        rows.push(row(format!("{name} over IPv6"), v6.frame(), Fate::Denied));
        let friend = V4 { source: FRIEND, ..v4.clone() };
        rows.push(row(format!("{name} over IPv4, allowed source"), friend.frame(), Fate::Admitted));
        let friend = V6 { source: FRIEND_V6, ..v6.clone() };
        rows.push(row(format!("{name} over IPv6, allowed source"), friend.frame(), Fate::Admitted));
        let free = V4 { payload: segment(DECOY), ..v4.clone() };
        rows.push(row(format!("{name} to a free port"), free.frame(), Fate::NoService));
        for (length, fate) in
            [(0, NO_PORTS), (1, NO_PORTS), (2, NO_PORTS), (3, NO_PORTS), (4, Fate::Denied)]
        {
            let payload = segment(PORT)[..length].to_vec();
            let short = V4 { payload: payload.clone(), ..v4.clone() };
            rows.push(row(format!("{name} over IPv4, {length} bytes of it"), short.frame(), fate));
            let short = V6 { payload, ..v6.clone() };
            rows.push(row(format!("{name} over IPv6, {length} bytes of it"), short.frame(), fate));
        }
        let friend = V4 { source: FRIEND, payload: vec![0; 3], ..v4 };
        rows.push(row(format!("{name}, ports cut off, allowed source"), friend.frame(), NO_PORTS));
    }
    rows
}

fn others() -> Vec<Row> {
    let mut rows = Vec::new();
    // In IPv4 the numbers of IPv6 extension headers stand for nothing that has ports behind it.
    for protocol in [
        0, 1, 2, 4, 5, 7, 16, 18, 32, 34, 41, 43, 44, 46, 47, 50, 51, 58, 59, 60, 89, 103, 112,
        115, 131, 133, 135, 137, 253, 255,
    ] {
        let packet = V4 { protocol, ..V4::to(PORT) };
        rows.push(row(format!("IPv4 protocol {protocol}"), packet.frame(), OTHER));
    }
    for protocol in
        [1, 2, 4, 41, 47, 50, 58, 59, 61, 89, 103, 131, 133, 135, 137, 139, 140, 253, 255]
    {
        let packet = V6 { protocol, ..V6::to(PORT) };
        rows.push(row(format!("IPv6 next header {protocol}"), packet.frame(), OTHER));
    }
    let inner = V4 { source: FRIEND, ..V4::to(PORT) }.packet();
    let tunnel = V4 { protocol: 4, payload: inner, ..V4::to(PORT) };
    rows.push(row("IP in IP, a protected port inside", tunnel.frame(), OTHER));
    let bare = V4 { protocol: 47, payload: Vec::new(), ..V4::to(PORT) };
    rows.push(row("GRE, nothing behind the header", bare.frame(), OTHER));
    let bare = V6 { protocol: 58, payload: vec![], ..V6::to(PORT) };
    rows.push(row("ICMPv6, nothing behind the header", bare.frame(), OTHER));
    rows
}

fn ports() -> Vec<Row> {
    let mut rows = Vec::new();
    for (port, fate) in [
        (PORT - 1, Fate::NoService),
        (PORT, Fate::Denied),
        (PORT + 1, Fate::NoService),
        (PORT.swap_bytes(), Fate::NoService),
        (PORT & 0xff, Fate::NoService),
        (PORT & 0xff00, Fate::NoService),
        (PORT ^ 0x0100, Fate::NoService),
        (PORT ^ 0x8000, Fate::NoService),
        (0, Fate::NoService),
        (0xffff, Fate::NoService),
        (OPEN_PORT, Fate::Open),
        (MONITOR_PORT, Fate::WouldDeny),
    ] {
        rows.push(row(format!("TCP port {port}"), V4::to(port).frame(), fate));
        rows.push(row(format!("TCP port {port}, IPv6"), V6::to(port).frame(), fate));
    }
    let udp = |port| V4 { protocol: UDP, ..V4::to(port) };
    rows.push(row("UDP to the port that is open by TCP", udp(OPEN_PORT).frame(), Fate::NoService));
    rows.push(row("UDP to the port that TCP monitors", udp(MONITOR_PORT).frame(), Fate::NoService));
    let mut from = segment(DECOY);
    from[..2].copy_from_slice(&PORT.to_be_bytes());
    rows.push(row(
        "from the protected port",
        V4 { payload: from, ..V4::to(DECOY) }.frame(),
        Fate::NoService,
    ));
    let mut between = segment(DECOY);
    between[1..3].copy_from_slice(&PORT.to_be_bytes());
    rows.push(row(
        "the port one byte early",
        V4 { payload: between, ..V4::to(DECOY) }.frame(),
        Fate::NoService,
    ));
    rows
}
