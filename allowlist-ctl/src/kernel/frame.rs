//! Made-up packets, as frames: what a client's first packet looks like, with nothing in it.

use std::net::{IpAddr, SocketAddr};

use allowlist_common::parse::Protocol;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
/// RFC 8200, section 4.5.
const FRAGMENT_HEADER: u8 = 44;
const HOPS: u8 = 64;
/// A port that clients use (RFC 6335, section 6).
const SOURCE_PORT: u16 = 49_152;

/// A packet that nobody sent.
#[derive(Clone, Copy, Debug)]
pub struct MadeUp {
    /// Source address.
    pub source: IpAddr,
    /// Destination, of the same family.
    pub destination: SocketAddr,
    /// Transport protocol.
    pub protocol: Protocol,
    /// VLAN id of its tag.
    pub vlan: Option<u16>,
    /// Which part of it.
    pub cut: Cut,
}

/// Whether a packet is whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cut {
    /// It is.
    #[default]
    Whole,
    /// The first of several fragments.
    First,
    /// One of those behind it.
    Later,
}

impl MadeUp {
    /// The frame, from its Ethernet header on. Checksums are left out: nobody looks at them.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = vec![0; 12];
        if let Some(vlan) = self.vlan {
            frame.extend(VLAN.to_be_bytes());
            frame.extend((vlan & 0xfff).to_be_bytes());
        }
        let payload = self.payload();
        match (self.source, self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend(IPV4.to_be_bytes());
                frame.extend([0x45, 0]);
                frame.extend(length(20 + payload.len()));
                frame.extend([0, 1]);
                // Offsets are in units of eight bytes, below three flags (RFC 791, section 3.1).
                let fragment: u16 = match self.cut {
                    Cut::Whole => 0,
                    Cut::First => 0x2000,
                    Cut::Later => 8,
                };
                frame.extend(fragment.to_be_bytes());
                frame.extend([HOPS, number(self.protocol), 0, 0]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            (source, destination) => {
                let is_cut = self.cut != Cut::Whole;
                frame.extend(IPV6.to_be_bytes());
                frame.extend([0x60, 0, 0, 0]);
                frame.extend(length(payload.len() + if is_cut { 8 } else { 0 }));
                let next = if is_cut { FRAGMENT_HEADER } else { number(self.protocol) };
                frame.extend([next, HOPS]);
                frame.extend(in_v6(source));
                frame.extend(in_v6(destination));
                if is_cut {
                    // Offsets are in units of eight bytes, above three bits (RFC 8200, section 4.5).
                    let fragment: u16 = if self.cut == Cut::First { 1 } else { 8 << 3 };
                    frame.extend([number(self.protocol), 0]);
                    frame.extend(fragment.to_be_bytes());
                    frame.extend([0, 0, 0, 1]);
                }
            }
        }
        frame.extend(payload);
        frame
    }

    /// The transport header; of a later fragment some bytes that are none.
    fn payload(&self) -> Vec<u8> {
        if self.cut == Cut::Later {
            return vec![0; 8];
        }
        let mut header = Vec::from(SOURCE_PORT.to_be_bytes());
        header.extend(self.destination.port().to_be_bytes());
        match self.protocol {
            // A SYN (RFC 9293, section 3.1).
            Protocol::Tcp => {
                header.extend([0; 8]);
                header.extend([0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
            }
            // RFC 768; of UDP-Lite the checksum covers the header (RFC 3828, section 3.1). Both are eight bytes.
            Protocol::Udp | Protocol::UdpLite => header.extend([0, 8, 0, 0]),
            // The common header (RFC 9260, section 3).
            Protocol::Sctp => header.extend([0; 8]),
            // The generic header of a request, and its service code (RFC 4340, sections 5.1 and 5.2).
            Protocol::Dccp => {
                header.extend([5, 0, 0, 0, 0x01, 0, 0, 0]);
                header.extend([0; 8]);
            }
        }
        header
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

fn in_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Its number in an IP header (IANA "Assigned Internet Protocol Numbers").
const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::UdpLite => 136,
        Protocol::Sctp => 132,
        Protocol::Dccp => 33,
    }
}

#[cfg(test)]
mod tests {
    use allowlist_common::parse::{Aside, Flow, parse};

    use super::*;

    #[test]
    fn a_frame_is_parsed_as_what_it_was_made_for() {
        let ends = [("10.0.0.7", "192.0.2.1:6379"), ("2001:db8::7", "[2001:db8::1]:6379")];
        for (source, destination) in ends {
            for protocol in Protocol::ALL {
                for (vlan, cut) in [(None, Cut::Whole), (Some(7), Cut::First), (None, Cut::Later)] {
                    let (source, destination) =
                        (source.parse().unwrap(), destination.parse().unwrap());
                    let packet = MadeUp { source, destination, protocol, vlan, cut };
                    let mut flow = Flow::EMPTY;
                    let parsed = parse(packet.frame().as_slice(), &mut flow);
                    let told = format!("{packet:?}: {flow:?}");
                    let address = match source {
                        IpAddr::V4(source) => {
                            [&source.octets()[..], &[0; 12]].concat().try_into().unwrap()
                        }
                        IpAddr::V6(source) => source.octets(),
                    };
                    assert_eq!(flow.source, address, "{told}");
                    if cut == Cut::Later {
                        assert_eq!(parsed, Err(Aside::LaterFragment), "{told}");
                        continue;
                    }
                    assert_eq!(parsed, Ok(()), "{told}");
                    assert_eq!((flow.protocol, flow.port), (protocol, 6379), "{told}");
                    assert_eq!(flow.is_fragment, cut == Cut::First, "{told}");
                    let ethernet = if vlan.is_some() { 18 } else { 14 };
                    assert_eq!(flow.network, ethernet, "{told}");
                }
            }
        }
    }
}
