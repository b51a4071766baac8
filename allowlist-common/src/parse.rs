//! From a frame's first byte to the addresses and the port it is judged by.
//!
//! One short function a layer. What is not for the filter to judge is an ordinary answer
//! ([`Parsed::Unjudged`]); what cannot be read is an error ([`Unreadable`]), because a packet that hides its
//! port must not pass for one that has none.

use crate::packet::Packet;

/// VLAN tags that are looked through (IEEE 802.1Q and 802.1ad).
pub const MAX_TAGS: usize = 4;
/// IPv6 extension headers that are walked (RFC 8200, section 4).
pub const MAX_EXTENSIONS: usize = 8;

const ETHERNET_HEADER: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_8021Q: u16 = 0x8100;
const ETHERTYPE_8021AD: u16 = 0x88a8;

const IPV6_HEADER: usize = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// A transport protocol whose packets are judged by their destination port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Protocol {
    /// RFC 9293.
    Tcp = 0,
    /// RFC 768.
    Udp = 1,
    /// RFC 3828.
    UdpLite = 2,
    /// RFC 9260.
    Sctp = 3,
    /// RFC 4340.
    Dccp = 4,
}

impl Protocol {
    /// Every protocol, in the order of its index.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::UdpLite, Self::Sctp, Self::Dccp];

    /// The protocol with this number in an IP header (IANA "Assigned Internet Protocol Numbers").
    #[must_use]
    #[inline(always)]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            136 => Some(Self::UdpLite),
            132 => Some(Self::Sctp),
            33 => Some(Self::Dccp),
            _ => None,
        }
    }
}

/// The address a packet claims to come from, as the bytes on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 address.
    V6([u8; 16]),
}

/// What a packet is judged by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flow {
    /// Source address.
    pub source: Address,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Destination port, in host order.
    pub port: u16,
}

/// Why a readable packet is no matter for the filter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Unjudged {
    /// Neither IPv4 nor IPv6: ARP and the like.
    NotIp = 0,
    /// A protocol without ports: ICMP, GRE, ESP, IP in IP.
    OtherProtocol = 1,
    /// A fragment after the first one; without its first fragment nothing is reassembled.
    LaterFragment = 2,
}

/// Why a packet cannot be judged.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Unreadable {
    /// The frame ends inside its Ethernet header or a VLAN tag.
    FrameCutOff = 0,
    /// More than [`MAX_TAGS`] VLAN tags.
    TooManyTags = 1,
    /// The frame ends inside the IP header, or the header's own lengths contradict it.
    BadIpHeader = 2,
    /// An IPv6 extension header reaches past the packet.
    ExtensionCutOff = 3,
    /// More than [`MAX_EXTENSIONS`] IPv6 extension headers.
    TooManyExtensions = 4,
    /// The packet, or its first fragment, ends before the destination port.
    PortsCutOff = 5,
}

impl Unreadable {
    /// Every kind, in the order of its index.
    pub const ALL: [Self; 6] = [
        Self::FrameCutOff,
        Self::TooManyTags,
        Self::BadIpHeader,
        Self::ExtensionCutOff,
        Self::TooManyExtensions,
        Self::PortsCutOff,
    ];
}

/// What the parser found in a readable packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// A packet with a destination port.
    Flow(Flow),
    /// A packet that the filter does not judge.
    Unjudged(Unjudged),
}

/// The part of a packet up to where its IP header says that it ends, so that padding is never read.
struct Bounded<'a, P: ?Sized> {
    packet: &'a P,
    end: usize,
}

impl<P: Packet + ?Sized> Bounded<'_, P> {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset + N > self.end { None } else { self.packet.read(offset) }
    }
}

/// Parses a frame from its Ethernet header on.
///
/// # Errors
/// [`Unreadable`] where a header is cut off, contradicts itself, or hides behind more headers than are walked.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(packet: &P) -> Result<Parsed, Unreadable> {
    let (ethertype, offset) = ethernet(packet)?;
    match ethertype {
        ETHERTYPE_IPV4 => ipv4(packet, offset),
        ETHERTYPE_IPV6 => ipv6(packet, offset),
        _ => Ok(Parsed::Unjudged(Unjudged::NotIp)),
    }
}

/// The `EtherType` behind up to [`MAX_TAGS`] VLAN tags, and the offset of what follows it.
#[inline(always)]
fn ethernet<P: Packet + ?Sized>(packet: &P) -> Result<(u16, usize), Unreadable> {
    let mut offset = ETHERNET_HEADER;
    let mut tags = 0;
    loop {
        let ethertype =
            packet.read(offset - 2).map(u16::from_be_bytes).ok_or(Unreadable::FrameCutOff)?;
        if ethertype != ETHERTYPE_8021Q && ethertype != ETHERTYPE_8021AD {
            return Ok((ethertype, offset));
        }
        if tags == MAX_TAGS {
            return Err(Unreadable::TooManyTags);
        }
        tags += 1;
        offset += 4;
    }
}

/// RFC 791, section 3.1.
#[inline(always)]
fn ipv4<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<Parsed, Unreadable> {
    let header: [u8; 20] = packet.read(offset).ok_or(Unreadable::BadIpHeader)?;
    let version = header[0] >> 4;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if version != 4 || header_length < 20 || header_length > total_length {
        return Err(Unreadable::BadIpHeader);
    }
    // The last byte of the header, options included, must be there.
    packet.read::<1>(offset + header_length - 1).ok_or(Unreadable::BadIpHeader)?;
    if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
        return Ok(Parsed::Unjudged(Unjudged::LaterFragment));
    }
    let source = Address::V4([header[12], header[13], header[14], header[15]]);
    let packet = Bounded { packet, end: offset + total_length };
    transport(&packet, offset + header_length, header[9], source)
}

/// RFC 8200, section 3.
#[inline(always)]
fn ipv6<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<Parsed, Unreadable> {
    let header: [u8; IPV6_HEADER] = packet.read(offset).ok_or(Unreadable::BadIpHeader)?;
    if header[0] >> 4 != 6 {
        return Err(Unreadable::BadIpHeader);
    }
    let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let mut source = [0; 16];
    source.copy_from_slice(&header[8..24]);
    let packet = Bounded { packet, end: offset + IPV6_HEADER + payload_length };
    extensions(&packet, offset + IPV6_HEADER, header[6], Address::V6(source))
}

/// Walks the extension headers (RFC 8200, section 4; AH: RFC 4302, section 2).
#[inline(always)]
fn extensions<P: Packet + ?Sized>(
    packet: &Bounded<'_, P>,
    mut offset: usize,
    mut next: u8,
    source: Address,
) -> Result<Parsed, Unreadable> {
    let mut walked = 0;
    while is_extension(next) {
        if walked == MAX_EXTENSIONS {
            return Err(Unreadable::TooManyExtensions);
        }
        walked += 1;
        let header: [u8; 4] = packet.read(offset).ok_or(Unreadable::ExtensionCutOff)?;
        let length = match next {
            FRAGMENT => {
                if u16::from_be_bytes([header[2], header[3]]) & 0xfff8 != 0 {
                    return Ok(Parsed::Unjudged(Unjudged::LaterFragment));
                }
                8
            }
            // AH counts 4-byte words minus 2, the others 8-byte words minus 1.
            AUTHENTICATION => (usize::from(header[1]) + 2) * 4,
            _ => (usize::from(header[1]) + 1) * 8,
        };
        packet.read::<1>(offset + length - 1).ok_or(Unreadable::ExtensionCutOff)?;
        next = header[0];
        offset += length;
    }
    transport(packet, offset, next, source)
}

#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

/// All five protocols begin with the source port and the destination port, 16 bits each.
#[inline(always)]
fn transport<P: Packet + ?Sized>(
    packet: &Bounded<'_, P>,
    offset: usize,
    number: u8,
    source: Address,
) -> Result<Parsed, Unreadable> {
    let Some(protocol) = Protocol::from_number(number) else {
        return Ok(Parsed::Unjudged(Unjudged::OtherProtocol));
    };
    let [_, _, high, low] = packet.read(offset).ok_or(Unreadable::PortsCutOff)?;
    Ok(Parsed::Flow(Flow { source, protocol, port: u16::from_be_bytes([high, low]) }))
}
