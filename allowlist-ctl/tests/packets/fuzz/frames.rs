//! Random packets whose maker knows what they are, and others of which nobody does.

use std::net::IpAddr;

use allowlist_common::parse::{Aside, Protocol};
use xtask::random::Random;

use super::{
    draw::{DESTINATIONS, Drawn, PORTS, SOURCES},
    oracle::Shape,
};
use crate::table::build::{
    AH, C_TAG, DCCP, DESTINATION, Extension, HOP_BY_HOP, IPV4, IPV6, ROUTING, S_TAG, SCTP, TCP,
    UDP, UDP_LITE, V4, V6, extension, fragment, frame, segment,
};

/// A packet and the truth about it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) frame: Vec<u8>,
    pub(super) shape: Shape,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

/// Protocols by number; those without ports stand for no [`Protocol`].
const PROTOCOLS: [(u8, Option<Protocol>); 10] = [
    (TCP, Some(Protocol::Tcp)),
    (TCP, Some(Protocol::Tcp)),
    (TCP, Some(Protocol::Tcp)),
    (UDP, Some(Protocol::Udp)),
    (UDP_LITE, Some(Protocol::UdpLite)),
    (SCTP, Some(Protocol::Sctp)),
    (DCCP, Some(Protocol::Dccp)),
    (47, None),
    (50, None),
    (4, None),
];

/// A transport header, perhaps cut off, and what pads the frame behind the packet.
struct Body {
    number: u8,
    payload: Vec<u8>,
    padding: Vec<u8>,
    shape: Shape,
}

fn body(random: &mut Random, drawn: &Drawn) -> Body {
    let (mut number, mut protocol) = random.one_of(&PROTOCOLS);
    let mut port = random.one_of(&PORTS).wrapping_add(random.one_of(&[0, 1, 0xffff, 256]));
    let services: Vec<_> = drawn.policy.services.values().collect();
    if !services.is_empty() && !random.once_in(4) {
        let ports: Vec<_> = random.one_of(&services).ports.iter().copied().collect();
        let ports = random.one_of(&ports);
        let numbers = PROTOCOLS.iter().filter(|(_, known)| *known == Some(ports.protocol));
        number = random.one_of(&numbers.map(|(number, _)| *number).collect::<Vec<_>>());
        protocol = Some(ports.protocol);
        let (below, above) = (ports.first.wrapping_sub(1), ports.last.wrapping_add(1));
        port = random.one_of(&[ports.first, ports.first, ports.last, ports.last, below, above]);
    }
    let whole = segment(port);
    let length = if random.once_in(6) { random.below(5) } else { 4 + random.below(17) };
    let shape = match protocol {
        None => Shape::Passed(Aside::OtherProtocol),
        Some(_) if length < 4 => Shape::Unreadable(Aside::PortsCutOff),
        Some(protocol) => Shape::Port(protocol, port),
    };
    let padding = if random.once_in(3) { whole[length..].to_vec() } else { Vec::new() };
    Body { number, payload: whole[..length].to_vec(), padding, shape }
}

/// A packet that is what its maker says.
pub(super) fn make(random: &mut Random, drawn: &Drawn) -> Made {
    let source = source(random, drawn);
    let (packet, ethertype, shape, destination) = match source {
        IpAddr::V4(source) => v4(random, drawn, source.octets()),
        IpAddr::V6(source) => v6(random, drawn, source.octets()),
    };
    let count = if random.once_in(3) { random.below(7) } else { 0 };
    let tags: Vec<_> =
        (0..count).map(|_| (random.one_of(&[C_TAG, S_TAG]), random.short())).collect();
    let shape = if count > 4 { Shape::Unreadable(Aside::TooManyTags) } else { shape };
    Made { frame: frame(&tags, ethertype, &packet), shape, source, destination }
}

fn v4(random: &mut Random, drawn: &Drawn, source: [u8; 4]) -> (Vec<u8>, u16, Shape, IpAddr) {
    let Body { number, payload, padding, mut shape } = body(random, drawn);
    let words = if random.once_in(3) { random.below(11) } else { 0 };
    let fragment = random
        .one_of(&[0, 0, 0, 0, 0, 0, 0, 0x4000, 0x8000, 0x2000, 0xe000, 1, 0x2001, 0x0100, 0x1fff]);
    if fragment & 0x1fff != 0 {
        shape = Shape::LaterFragment;
    }
    let destination = destination(random, true);
    let IpAddr::V4(address) = destination else { unreachable!("asked for IPv4") };
    let mut packet = V4 {
        fragment,
        protocol: number,
        source,
        destination: address.octets(),
        options: random.bytes(4 * words),
        payload,
        padding,
        ..V4::to(0)
    };
    if packet.padding.is_empty() && random.once_in(8) {
        packet.total = Some(100 + (random.short() >> 1));
    }
    let bad = match random.below(40) {
        0 => {
            packet.version = random.one_of(&[0, 5, 6, 15]);
            true
        }
        1 => {
            packet.ihl = Some(random.one_of(&[0, 1, 4]));
            true
        }
        2 => {
            // Without options and padding 20 to 40 bytes; the header would take 60.
            packet.ihl = Some(15);
            packet.options.clear();
            packet.padding.clear();
            true
        }
        _ => false,
    };
    let shape = if bad { Shape::Unreadable(Aside::BadIpHeader) } else { shape };
    (packet.packet(), IPV4, shape, destination)
}

fn v6(random: &mut Random, drawn: &Drawn, source: [u8; 16]) -> (Vec<u8>, u16, Shape, IpAddr) {
    let Body { number, payload, padding, shape } = body(random, drawn);
    let count = if random.once_in(2) { random.below(11) } else { 0 };
    let chain: Vec<Extension> = (0..count).map(|_| any_extension(random)).collect();
    let shape = walked(&chain).unwrap_or(shape);
    let destination = destination(random, false);
    let IpAddr::V6(address) = destination else { unreachable!("asked for IPv6") };
    let mut packet = V6 {
        source,
        destination: address.octets(),
        chain,
        protocol: number,
        payload,
        padding,
        ..V6::to(0)
    };
    if packet.padding.is_empty() && random.once_in(8) {
        packet.length = Some(1000 + (random.short() >> 1));
    }
    let bad = random.once_in(40);
    if bad {
        packet.version = random.one_of(&[0, 4, 7, 15]);
    }
    let shape = if bad { Shape::Unreadable(Aside::BadIpHeader) } else { shape };
    (packet.packet(), IPV6, shape, destination)
}

/// One of at most 40 bytes: ten of them stay within what the kernel program reads.
fn any_extension(random: &mut Random) -> Extension {
    match random.below(8) {
        0 => fragment(random.one_of(&[0, 1, 6, 7])),
        1 => fragment(random.one_of(&[0, 0, 0, 8, 9, 0x8000, 0xfff8])),
        2 | 3 => {
            let length = 8 + 4 * random.below(9);
            noisy(random, extension(AH, length))
        }
        _ => {
            let kind = random.one_of(&[HOP_BY_HOP, ROUTING, DESTINATION]);
            let length = 8 + 8 * random.below(5);
            noisy(random, extension(kind, length))
        }
    }
}

/// With anything in its body.
fn noisy(random: &mut Random, mut extension: Extension) -> Extension {
    let body = random.bytes(extension.rest.len() - 1);
    extension.rest[1..].copy_from_slice(&body);
    extension
}

/// What a chain makes of the packet behind it, where it does.
fn walked(chain: &[Extension]) -> Option<Shape> {
    let is_later = |extension: &Extension| {
        let field = u16::from_be_bytes([extension.rest[1], extension.rest[2]]);
        extension.kind == crate::table::build::FRAGMENT && field >= 8
    };
    if chain.iter().take(8).any(is_later) {
        return Some(Shape::LaterFragment);
    }
    (chain.len() > 8).then_some(Shape::Unreadable(Aside::TooManyExtensions))
}

/// A source near the entries of some list, or anywhere.
fn source(random: &mut Random, drawn: &Drawn) -> IpAddr {
    if random.once_in(12) {
        return if random.once_in(2) {
            random.array::<4>().into()
        } else {
            random.array::<16>().into()
        };
    }
    let lists: Vec<_> = drawn.policy.lists().map(|(.., entries)| entries).collect();
    let mut near: IpAddr = random.one_of(&SOURCES).parse().unwrap();
    let list = random.one_of(&lists);
    let keys: Vec<_> = list.iter().map(|(key, _)| key.prefix.net()).collect();
    if !keys.is_empty() {
        let net = random.one_of(&keys);
        near = if random.once_in(2) { net.network() } else { net.broadcast() };
    }
    // One bit off now and then: across a border.
    match near {
        IpAddr::V4(address) => {
            let flip = if random.once_in(2) { 1 << random.below(32) } else { 0 };
            IpAddr::V4((address.to_bits() ^ flip).into())
        }
        IpAddr::V6(address) => {
            let flip = if random.once_in(2) { 1 << random.below(128) } else { 0 };
            IpAddr::V6((address.to_bits() ^ flip).into())
        }
    }
}

fn destination(random: &mut Random, v4: bool) -> IpAddr {
    if random.once_in(12) {
        return if v4 { random.array::<4>().into() } else { random.array::<16>().into() };
    }
    let all = DESTINATIONS.map(|text| text.parse::<IpAddr>().unwrap());
    let family: Vec<_> = all.into_iter().filter(|address| address.is_ipv4() == v4).collect();
    random.one_of(&family)
}

/// A packet with some bytes changed, or cut off.
pub(super) fn mutated(random: &mut Random, drawn: &Drawn) -> Vec<u8> {
    let mut frame = make(random, drawn).frame;
    for _ in 0..=random.below(4) {
        let place = 12 + random.below(frame.len() - 12);
        match random.below(5) {
            0 => frame[place] = random.byte(),
            1 => frame[place] ^= 1 << random.below(8),
            2 => frame[place] = random.one_of(&[0, 6, 17, 43, 44, 51, 60, 0x45, 0x60, 0x81, 0xff]),
            3 if random.once_in(4) => frame.truncate(place.max(14)),
            _ => {
                let byte = frame[place];
                frame.insert(place, byte);
            }
        }
    }
    frame
}

/// Random bytes, of which the first say that they are IP or a tag.
pub(super) fn noise(random: &mut Random) -> Vec<u8> {
    let length = random.below(200);
    let ethertype = random.one_of(&[IPV4, IPV6, C_TAG, S_TAG]);
    let mut bytes = random.bytes(length);
    if let Some(first) = bytes.first_mut()
        && random.once_in(2)
    {
        *first = if ethertype == IPV4 { 0x45 } else { 0x60 };
    }
    frame(&[], ethertype, &bytes)
}
