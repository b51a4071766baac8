//! Answers to packets that are denied: a TCP reset, or an ICMP error.
//!
//! The packet itself is turned around and sent back. An answer is never larger than what it answers by more than
//! the headers of an ICMP error.

use allowlist_common::{
    packet::Packet,
    parse::{Family, Protocol, v4},
};
use aya_ebpf::programs::XdpContext;

use crate::{
    aftermath::Found,
    checksum::Sum,
    packet::{Frame, resize},
};

/// The Ethernet header with four VLAN tags.
const MAX_LINK_HEADER: usize = 30;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;
/// What an ICMP error quotes: the IP header and eight bytes behind it (RFC 792).
const QUOTED_V4: usize = IPV4_HEADER + 8;
/// The same for ICMPv6, which would allow more (RFC 4443, section 3.1).
const QUOTED_V6: usize = IPV6_HEADER + 8;
/// What an ICMP error needs room for before the packet.
const MORE_V4: usize = IPV4_HEADER + ICMP_HEADER;
const MORE_V6: usize = IPV6_HEADER + ICMP_HEADER;
const HOP_LIMIT: u8 = 64;

const V4: u8 = Family::V4 as u8;
const V6: u8 = Family::V6 as u8;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// RFC 9293, section 3.1.
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Turns a denied packet in one buffer into its answer; `None` where it is not to be answered, or was cut and is no packet
/// any more.
#[inline(always)]
pub(crate) fn answer(ctx: &XdpContext, frame: &Frame, found: &Found) -> Option<()> {
    if !may_be_answered(frame, found) {
        return None;
    }
    if found.protocol == Protocol::Tcp as u8 {
        send_reset(ctx, frame, found, &Reset::of(frame, found)?)
    } else {
        send_icmp(ctx, frame, found)
    }
}

/// Nothing that went to many, or comes from an address that is not one host's, is answered (RFC 1122, section
/// 3.2.2; RFC 4443, section 2.4).
#[inline(always)]
fn may_be_answered(frame: &Frame, found: &Found) -> bool {
    let Some(to) = frame.read::<6>(0) else { return false };
    let to_one = to[0] & 1 == 0;
    let between_hosts = match found.family {
        V4 => is_one_v4(found.source[0]) && is_one_v4(found.destination[0]),
        _ => found.destination[0] != 0xff && found.source[0] != 0xff && found.source != [0; 16],
    };
    to_one && between_hosts
}

/// Not "this host", loopback, multicast, reserved or broadcast.
#[inline(always)]
const fn is_one_v4(first: u8) -> bool {
    first != 0 && first != 127 && first < 224
}

/// What a reset answers.
struct Reset {
    ports: [u8; 4],
    sequence: u32,
    acknowledged: u32,
    flags: u8,
}

impl Reset {
    /// The reset for a segment (RFC 9293, section 3.10.7.1); none for a reset or a segment that is cut off.
    #[inline(always)]
    fn of(frame: &Frame, found: &Found) -> Option<Self> {
        let start = usize::from(found.transport);
        let header: [u8; TCP_HEADER] = frame.read(start)?;
        let flags = header[13];
        let header_length = u32::from(header[12] >> 4) * 4;
        let end = u32::from(found.transport) + header_length;
        if flags & RST != 0 || (header_length as usize) < TCP_HEADER || end > found.end {
            return None;
        }
        let ports = [header[2], header[3], header[0], header[1]];
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        if flags & ACK != 0 {
            return Some(Self { ports, sequence: word(8), acknowledged: 0, flags: RST });
        }
        let mut length = found.end - end;
        length += u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let acknowledged = word(4).wrapping_add(length);
        Some(Self { ports, sequence: 0, acknowledged, flags: RST | ACK })
    }

    /// The header, with the checksum over it and the pseudo header's sum.
    #[inline(always)]
    fn header(&self, pseudo: Sum) -> [u8; TCP_HEADER] {
        let [a, b, c, d] = self.ports;
        let [s0, s1, s2, s3] = self.sequence.to_be_bytes();
        let [a0, a1, a2, a3] = self.acknowledged.to_be_bytes();
        // 5 words long, no window, no urgent data.
        let mut header =
            [a, b, c, d, s0, s1, s2, s3, a0, a1, a2, a3, 0x50, self.flags, 0, 0, 0, 0, 0, 0];
        let [high, low] = pseudo.bytes(&header).checksum().to_be_bytes();
        header[16] = high;
        header[17] = low;
        header
    }
}

/// Lengths of headers are written in 16 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "headers are shorter than 64 KiB")]
const fn length(bytes: usize) -> u16 {
    bytes as u16
}

/// Puts a reset in the packet's place; the VLAN tags stay.
#[inline(always)]
fn send_reset(ctx: &XdpContext, denied: &Frame, found: &Found, reset: &Reset) -> Option<()> {
    let start = usize::from(found.network);
    if found.family == V4 {
        let (source, destination) = (&v4(&found.source), &v4(&found.destination));
        let frame = resize(ctx, denied, 0, start + IPV4_HEADER + TCP_HEADER)?;
        turn_around(&frame)?;
        write_ipv4(&frame, start, TCP, length(TCP_HEADER), destination, source)?;
        let pseudo = pseudo_v4(source, destination, TCP, length(TCP_HEADER));
        frame.write(start + IPV4_HEADER, &reset.header(pseudo))
    } else {
        let (source, destination) = (&found.source, &found.destination);
        let frame = resize(ctx, denied, 0, start + IPV6_HEADER + TCP_HEADER)?;
        turn_around(&frame)?;
        write_ipv6(&frame, start, TCP, length(TCP_HEADER), destination, source)?;
        let pseudo = pseudo_v6(source, destination, TCP, length(TCP_HEADER));
        frame.write(start + IPV6_HEADER, &reset.header(pseudo))
    }
}

/// Puts an ICMP error before the packet, which it quotes up to eight bytes of the transport header (RFC 792).
///
/// Packets with IP options or extension headers are not answered: quoting headers of any length would need loops
/// that the verifier takes minutes to follow.
#[inline(always)]
fn send_icmp(ctx: &XdpContext, denied: &Frame, found: &Found) -> Option<()> {
    let start = usize::from(found.network);
    let headers = usize::from(found.transport) - start;
    match found.family {
        V4 if headers == IPV4_HEADER => {
            let (source, destination) = (&v4(&found.source), &v4(&found.destination));
            let frame = make_room(ctx, denied, start, MORE_V4, QUOTED_V4)?;
            let length = length(ICMP_HEADER + QUOTED_V4);
            write_ipv4(&frame, start, ICMP, length, destination, source)?;
            // Administratively prohibited: RFC 1812, section 5.2.7.1.
            let sum = Sum::ZERO.word(0x030d).native(frame.sum::<QUOTED_V4>(start + MORE_V4)?);
            frame.write(start + IPV4_HEADER, &icmp_header(3, 13, sum))
        }
        V6 if headers == IPV6_HEADER => {
            let (source, destination) = (&found.source, &found.destination);
            let frame = make_room(ctx, denied, start, MORE_V6, QUOTED_V6)?;
            let length = length(ICMP_HEADER + QUOTED_V6);
            write_ipv6(&frame, start, ICMPV6, length, destination, source)?;
            // Administratively prohibited: RFC 4443, section 3.1.
            let sum = pseudo_v6(source, destination, ICMPV6, length).word(0x0101);
            let sum = sum.native(frame.sum::<QUOTED_V6>(start + MORE_V6)?);
            frame.write(start + IPV6_HEADER, &icmp_header(1, 1, sum))
        }
        _ => None,
    }
}

/// Moves the link header forward by `more` bytes, turned around, and cuts the packet to what is quoted.
#[inline(always)]
fn make_room(
    ctx: &XdpContext,
    denied: &Frame,
    start: usize,
    more: usize,
    quoted: usize,
) -> Option<Frame> {
    let frame = resize(ctx, denied, i32::try_from(more).ok()?, start + more + quoted)?;
    // What is no longer link header in these bytes is overwritten by the headers of the answer.
    let mut at = 0;
    while at < MAX_LINK_HEADER {
        let word: [u8; 2] = frame.read(more + at)?;
        frame.write(at, &word)?;
        at += 2;
    }
    turn_around(&frame)?;
    Some(frame)
}

/// Swaps the Ethernet addresses.
#[inline(always)]
fn turn_around(frame: &Frame) -> Option<()> {
    let to: [u8; 6] = frame.read(0)?;
    let from: [u8; 6] = frame.read(6)?;
    frame.write(0, &from)?;
    frame.write(6, &to)
}

#[inline(always)]
fn icmp_header(kind: u8, code: u8, sum: Sum) -> [u8; ICMP_HEADER] {
    let [high, low] = sum.checksum().to_be_bytes();
    [kind, code, high, low, 0, 0, 0, 0]
}

/// Writes an IPv4 header without options.
#[inline(always)]
fn write_ipv4(
    frame: &Frame,
    start: usize,
    protocol: u8,
    payload: u16,
    from: &[u8; 4],
    to: &[u8; 4],
) -> Option<()> {
    let length = length(IPV4_HEADER) + payload;
    // Not to be fragmented, so that the identification does not matter (RFC 6864, section 4.1).
    let sum = Sum::ZERO.word(0x4500).word(length).word(0x4000).bytes(&[HOP_LIMIT, protocol]);
    let [sum_high, sum_low] = sum.bytes(from).bytes(to).checksum().to_be_bytes();
    let [high, low] = length.to_be_bytes();
    frame.write(start, &[0x45, 0, high, low, 0, 0, 0x40, 0])?;
    frame.write(start + 8, &[HOP_LIMIT, protocol, sum_high, sum_low])?;
    frame.write(start + 12, from)?;
    frame.write(start + 16, to)
}

/// Writes an IPv6 header.
#[inline(always)]
fn write_ipv6(
    frame: &Frame,
    start: usize,
    next: u8,
    payload: u16,
    from: &[u8; 16],
    to: &[u8; 16],
) -> Option<()> {
    let [high, low] = payload.to_be_bytes();
    frame.write(start, &[0x60, 0, 0, 0, high, low, next, HOP_LIMIT])?;
    frame.write(start + 8, from)?;
    frame.write(start + 24, to)
}

/// RFC 9293, section 3.1.
#[inline(always)]
fn pseudo_v4(a: &[u8; 4], b: &[u8; 4], protocol: u8, length: u16) -> Sum {
    Sum::ZERO.bytes(a).bytes(b).word(protocol.into()).word(length)
}

/// RFC 8200, section 8.1.
#[inline(always)]
fn pseudo_v6(a: &[u8; 16], b: &[u8; 16], next: u8, length: u16) -> Sum {
    Sum::ZERO.bytes(a).bytes(b).word(next.into()).word(length)
}
