//! From a frame's first byte to the addresses and the port it is judged by.
//!
//! One short function a layer. A packet without a port is an [`Aside`], and those that hide it are told from those
//! that have none: a cut off header must not pass for ICMP.

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

/// RFC 791, section 3.1.
const MORE_FRAGMENTS_V4: u16 = 0x2000;
const FRAGMENT_OFFSET_V4: u16 = 0x1fff;

/// RFC 8200, section 4.5.
const FRAGMENT_OFFSET_V6: u16 = 0xfff8;
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

/// An IP version.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    #[default]
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

/// What a packet is judged by, and where its headers are.
///
/// Plain fields that always hold something: what an enum leaves undefined the verifier will not have copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flow {
    /// Version of the addresses.
    pub family: Family,
    /// Source address as on the wire; an IPv4 one in the first four bytes.
    pub source: [u8; 16],
    /// Destination address, likewise.
    pub destination: [u8; 16],
    /// Transport protocol.
    pub protocol: Protocol,
    /// Destination port, in host order.
    pub port: u16,
    /// Whether it is the first of several fragments, or an atomic one.
    pub is_fragment: bool,
    /// Offset of the IP header.
    pub network: u16,
    /// Offset of the transport header.
    pub transport: u16,
    /// Offset of the packet's end by its IP header; the frame may end before.
    pub end: u32,
}

impl Flow {
    /// A flow to be filled by [`parse`].
    pub const EMPTY: Self = Self {
        family: Family::V4,
        source: [0; 16],
        destination: [0; 16],
        protocol: Protocol::Tcp,
        port: 0,
        is_fragment: false,
        network: 0,
        transport: 0,
        end: 0,
    };
}

/// The first four bytes of an address: an IPv4 one.
#[must_use]
#[inline(always)]
pub const fn v4(address: &[u8; 16]) -> [u8; 4] {
    [address[0], address[1], address[2], address[3]]
}

/// Why a packet has no port to be judged by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Aside {
    /// Neither IPv4 nor IPv6: ARP and the like.
    NotIp = 0,
    /// A protocol without ports: ICMP, GRE, ESP, IP in IP.
    OtherProtocol = 1,
    /// A fragment after the first one; without its first fragment nothing is reassembled. The flow has its source.
    LaterFragment = 2,
    /// Unreadable: the frame ends inside its Ethernet header or a VLAN tag.
    FrameCutOff = 3,
    /// Unreadable: more than [`MAX_TAGS`] VLAN tags.
    TooManyTags = 4,
    /// Unreadable: the frame ends inside the IP header, or the header's own lengths contradict it.
    BadIpHeader = 5,
    /// Unreadable: an IPv6 extension header reaches past the packet.
    ExtensionCutOff = 6,
    /// Unreadable: more than [`MAX_EXTENSIONS`] IPv6 extension headers.
    TooManyExtensions = 7,
    /// Unreadable: the packet, or its first fragment, ends before the destination port.
    PortsCutOff = 8,
    /// Unreadable: a fragment after the first one, on an interface where those pass only from sources that a service
    /// admits.
    FragmentRefused = 9,
}

impl Aside {
    /// Every kind, in the order of its index.
    pub const ALL: [Self; 10] = [
        Self::NotIp,
        Self::OtherProtocol,
        Self::LaterFragment,
        Self::FrameCutOff,
        Self::TooManyTags,
        Self::BadIpHeader,
        Self::ExtensionCutOff,
        Self::TooManyExtensions,
        Self::PortsCutOff,
        Self::FragmentRefused,
    ];

    /// Whether the packet hides what it would be judged by, rather than having no such thing.
    #[must_use]
    #[inline(always)]
    pub const fn is_unreadable(self) -> bool {
        self as u8 >= Self::FrameCutOff as u8
    }
}

/// The `EtherType` of a frame, and what stands before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link {
    /// `EtherType` behind the VLAN tags.
    pub ethertype: u16,
    /// VLAN id of the outermost tag; 0 without one.
    pub vlan: u16,
    /// Offset of what follows.
    pub offset: usize,
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

/// Parses a frame from its Ethernet header on, into a flow that was [`Flow::EMPTY`].
///
/// # Errors
/// [`Aside`], where there is no port to judge the packet by; the flow is not to be used then, save the source of a
/// later fragment.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(packet: &P, flow: &mut Flow) -> Result<(), Aside> {
    let link = ethernet(packet)?;
    match link.ethertype {
        ETHERTYPE_IPV4 => ipv4(packet, link.offset, flow),
        ETHERTYPE_IPV6 => ipv6(packet, link.offset, flow),
        _ => Err(Aside::NotIp),
    }
}

/// The Ethernet header and up to [`MAX_TAGS`] VLAN tags.
///
/// # Errors
/// [`Aside::FrameCutOff`] and [`Aside::TooManyTags`].
#[inline(always)]
pub fn ethernet<P: Packet + ?Sized>(packet: &P) -> Result<Link, Aside> {
    let mut link = Link { ethertype: 0, vlan: 0, offset: ETHERNET_HEADER };
    let mut tags = 0;
    loop {
        let ethertype = packet.read(link.offset - 2).ok_or(Aside::FrameCutOff)?;
        link.ethertype = u16::from_be_bytes(ethertype);
        if link.ethertype != ETHERTYPE_8021Q && link.ethertype != ETHERTYPE_8021AD {
            return Ok(link);
        }
        if tags == MAX_TAGS {
            return Err(Aside::TooManyTags);
        }
        if tags == 0 {
            let tag = packet.read(link.offset).ok_or(Aside::FrameCutOff)?;
            link.vlan = u16::from_be_bytes(tag) & 0x0fff;
        }
        tags += 1;
        link.offset += 4;
    }
}

/// RFC 791, section 3.1.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "offsets lie within a frame of 64 KiB")]
fn ipv4<P: Packet + ?Sized>(packet: &P, start: usize, flow: &mut Flow) -> Result<(), Aside> {
    let header: [u8; 20] = packet.read(start).ok_or(Aside::BadIpHeader)?;
    let version = header[0] >> 4;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if version != 4 || header_length < 20 || header_length > total_length {
        return Err(Aside::BadIpHeader);
    }
    // The last byte of the header, options included, must be there.
    packet.read::<1>(start + header_length - 1).ok_or(Aside::BadIpHeader)?;
    flow.family = Family::V4;
    flow.source[..4].copy_from_slice(&header[12..16]);
    flow.destination[..4].copy_from_slice(&header[16..20]);
    flow.network = start as u16;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if fragment & FRAGMENT_OFFSET_V4 != 0 {
        return Err(Aside::LaterFragment);
    }
    flow.is_fragment = fragment & MORE_FRAGMENTS_V4 != 0;
    let packet = Bounded { packet, end: start + total_length };
    transport(&packet, start + header_length, header[9], flow)
}

/// RFC 8200, section 3.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "offsets lie within a frame of 64 KiB")]
fn ipv6<P: Packet + ?Sized>(packet: &P, start: usize, flow: &mut Flow) -> Result<(), Aside> {
    let header: [u8; IPV6_HEADER] = packet.read(start).ok_or(Aside::BadIpHeader)?;
    if header[0] >> 4 != 6 {
        return Err(Aside::BadIpHeader);
    }
    let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    flow.family = Family::V6;
    flow.source.copy_from_slice(&header[8..24]);
    flow.destination.copy_from_slice(&header[24..40]);
    flow.network = start as u16;
    let offset = start + IPV6_HEADER;
    extensions(&Bounded { packet, end: offset + payload_length }, offset, header[6], flow)
}

/// Walks the extension headers (RFC 8200, section 4; AH: RFC 4302, section 2).
#[inline(always)]
fn extensions<P: Packet + ?Sized>(
    packet: &Bounded<'_, P>,
    mut offset: usize,
    mut next: u8,
    flow: &mut Flow,
) -> Result<(), Aside> {
    let mut walked = 0;
    while is_extension(next) {
        if walked == MAX_EXTENSIONS {
            return Err(Aside::TooManyExtensions);
        }
        walked += 1;
        let header: [u8; 4] = packet.read(offset).ok_or(Aside::ExtensionCutOff)?;
        let length = match next {
            FRAGMENT => 8,
            // AH counts 4-byte words minus 2, the others 8-byte words minus 1.
            AUTHENTICATION => (usize::from(header[1]) + 2) * 4,
            _ => (usize::from(header[1]) + 1) * 8,
        };
        packet.read::<1>(offset + length - 1).ok_or(Aside::ExtensionCutOff)?;
        if next == FRAGMENT {
            if u16::from_be_bytes([header[2], header[3]]) & FRAGMENT_OFFSET_V6 != 0 {
                return Err(Aside::LaterFragment);
            }
            flow.is_fragment = true;
        }
        next = header[0];
        offset += length;
    }
    transport(packet, offset, next, flow)
}

#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

/// All five protocols begin with the source port and the destination port, 16 bits each.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "offsets lie within a frame of 64 KiB")]
fn transport<P: Packet + ?Sized>(
    packet: &Bounded<'_, P>,
    offset: usize,
    number: u8,
    flow: &mut Flow,
) -> Result<(), Aside> {
    flow.protocol = Protocol::from_number(number).ok_or(Aside::OtherProtocol)?;
    let [_, _, high, low] = packet.read(offset).ok_or(Aside::PortsCutOff)?;
    flow.port = u16::from_be_bytes([high, low]);
    flow.transport = offset as u16;
    flow.end = packet.end as u32;
    Ok(())
}
