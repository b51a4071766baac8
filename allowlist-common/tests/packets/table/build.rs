//! A small packet builder: says what goes where, and checks nothing.

/// An allowed IPv4 source.
pub(crate) const FRIEND: [u8; 4] = [10, 1, 0, 7];
/// An IPv4 source that no entry covers.
pub(crate) const STRANGER: [u8; 4] = [192, 0, 2, 66];
/// Where IPv4 packets go.
pub(crate) const HERE: [u8; 4] = [198, 51, 100, 1];
/// An allowed IPv6 source, `2001:db8:1::7`.
pub(crate) const FRIEND_V6: [u8; 16] = v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 7]);
/// An IPv6 source that no entry covers, `2001:db8:bad::66`.
pub(crate) const STRANGER_V6: [u8; 16] = v6([0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0x66]);
/// Where IPv6 packets go.
pub(crate) const HERE_V6: [u8; 16] = v6([0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1]);

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const C_TAG: u16 = 0x8100;
pub(crate) const S_TAG: u16 = 0x88a8;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const UDP_LITE: u8 = 136;
pub(crate) const SCTP: u8 = 132;
pub(crate) const DCCP: u8 = 33;
pub(crate) const ICMPV6: u8 = 58;

pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const ESP: u8 = 50;
pub(crate) const AH: u8 = 51;
pub(crate) const NO_NEXT: u8 = 59;
pub(crate) const DESTINATION: u8 = 60;

/// Bytes of an IPv6 address.
pub(crate) const fn v6(groups: [u16; 8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut index = 0;
    while index < 8 {
        let [high, low] = groups[index].to_be_bytes();
        bytes[2 * index] = high;
        bytes[2 * index + 1] = low;
        index += 1;
    }
    bytes
}

/// A frame: VLAN tags (protocol identifier and control information, the outermost first), the `EtherType`, the rest.
pub(crate) fn frame(tags: &[(u16, u16)], ethertype: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (identifier, control) in tags {
        bytes.extend(identifier.to_be_bytes());
        bytes.extend(control.to_be_bytes());
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// A transport header of 20 bytes: ports, and the rest as a TCP SYN has it.
pub(crate) fn segment(port: u16) -> Vec<u8> {
    let mut bytes = 40_000_u16.to_be_bytes().to_vec();
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    bytes
}

/// An IPv4 packet.
#[derive(Clone, Debug)]
pub(crate) struct V4 {
    pub(crate) version: u8,
    /// Header length in words; `None` for the right one.
    pub(crate) ihl: Option<u8>,
    /// Total length; `None` for the right one.
    pub(crate) total: Option<u16>,
    /// Flags and fragment offset.
    pub(crate) fragment: u16,
    pub(crate) protocol: u8,
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// What stands in the frame behind the packet.
    pub(crate) padding: Vec<u8>,
}

impl V4 {
    /// A TCP segment from the stranger to a port.
    pub(crate) fn to(port: u16) -> Self {
        Self {
            version: 4,
            ihl: None,
            total: None,
            fragment: 0,
            protocol: TCP,
            source: STRANGER,
            destination: HERE,
            options: Vec::new(),
            payload: segment(port),
            padding: Vec::new(),
        }
    }

    /// The packet without an Ethernet header.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let header = 20 + self.options.len();
        let ihl = self.ihl.unwrap_or_else(|| (header / 4).try_into().unwrap());
        let total = u16::try_from(header + self.payload.len()).unwrap();
        let mut bytes = vec![self.version << 4 | ihl, 0];
        bytes.extend(self.total.unwrap_or(total).to_be_bytes());
        bytes.extend([0x12, 0x34]);
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0]);
        bytes.extend(self.source);
        bytes.extend(self.destination);
        for part in [&self.options, &self.payload, &self.padding] {
            bytes.extend(part);
        }
        bytes
    }

    /// The packet in a frame without tags.
    pub(crate) fn frame(&self) -> Vec<u8> {
        frame(&[], IPV4, &self.packet())
    }
}

/// An IPv6 extension header as it stands on the wire, save its next header.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) kind: u8,
    /// Everything behind the first byte.
    pub(crate) rest: Vec<u8>,
}

/// An extension header that is `length` bytes long and says so; AH in its own unit.
pub(crate) fn extension(kind: u8, length: usize) -> Extension {
    let unit = if kind == AH { length / 4 - 2 } else { length / 8 - 1 };
    let mut rest = vec![u8::try_from(unit).unwrap()];
    rest.resize(length - 1, 0);
    Extension { kind, rest }
}

/// A fragment header: offset in units of 8 bytes, reserved bits and "more fragments" as they stand on the wire.
pub(crate) fn fragment(field: u16) -> Extension {
    let [high, low] = field.to_be_bytes();
    Extension { kind: FRAGMENT, rest: vec![0, high, low, 0, 0, 0x12, 0x34] }
}

/// An IPv6 packet.
#[derive(Clone, Debug)]
pub(crate) struct V6 {
    pub(crate) version: u8,
    /// Payload length; `None` for the right one.
    pub(crate) length: Option<u16>,
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) chain: Vec<Extension>,
    pub(crate) protocol: u8,
    pub(crate) payload: Vec<u8>,
    /// What stands in the frame behind the packet.
    pub(crate) padding: Vec<u8>,
}

impl V6 {
    /// A TCP segment from the stranger to a port.
    pub(crate) fn to(port: u16) -> Self {
        Self {
            version: 6,
            length: None,
            source: STRANGER_V6,
            destination: HERE_V6,
            chain: Vec::new(),
            protocol: TCP,
            payload: segment(port),
            padding: Vec::new(),
        }
    }

    /// The packet without an Ethernet header.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (index, extension) in self.chain.iter().enumerate() {
            body.push(self.chain.get(index + 1).map_or(self.protocol, |next| next.kind));
            body.extend(&extension.rest);
        }
        body.extend(&self.payload);
        let length = self.length.unwrap_or_else(|| body.len().try_into().unwrap());
        let mut bytes = vec![self.version << 4, 0, 0, 0];
        bytes.extend(length.to_be_bytes());
        bytes.push(self.chain.first().map_or(self.protocol, |first| first.kind));
        bytes.push(64);
        bytes.extend(self.source);
        bytes.extend(self.destination);
        bytes.extend(body);
        bytes.extend(&self.padding);
        bytes
    }

    /// The packet in a frame without tags.
    pub(crate) fn frame(&self) -> Vec<u8> {
        frame(&[], IPV6, &self.packet())
    }
}
