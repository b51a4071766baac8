//! Whether what came back is the answer to what was sent, told from the bytes of both alone.

use crate::table::build::{C_TAG, ICMPV6, IPV4, IPV6, S_TAG, TCP};

const ICMP: u8 = 1;
const RST: u8 = 4;

/// Lengths of headers, and the bytes of a packet that an ICMP error quotes behind the IP header.
const ETHERNET: usize = 14;
const V4: usize = 20;
const V6: usize = 40;
const QUOTED: usize = 8;

/// An answer goes back the way that the packet came: addresses turned around, tags kept. To TCP it is a reset, to
/// everything else an ICMP error, "administratively prohibited", that quotes the packet.
pub(crate) fn check(sent: &[u8], answer: &[u8]) -> Result<(), String> {
    let failed = |what: &str| Err(format!("{what}: {answer:02x?} to {sent:02x?}"));
    if answer[..6] != sent[6..12] || answer[6..12] != sent[..6] {
        return failed("Ethernet addresses");
    }
    let (start, ethertype) = network(sent);
    if answer[12..start] != sent[12..start] {
        return failed("tags");
    }
    let (sent, answer) = (&sent[start..], &answer[start..]);
    let (addresses, header) = match ethertype {
        IPV4 => (12, V4),
        IPV6 => (8, V6),
        _ => return failed("of no family"),
    };
    let size = (header - addresses) / 2;
    let (from, to) = (addresses..addresses + size, addresses + size..addresses + 2 * size);
    if sent[from.clone()] != answer[to.clone()] || sent[to] != answer[from] {
        return failed("addresses");
    }
    let (length, protocol, whole) = if ethertype == IPV4 {
        (usize::from(word(answer, 2)), answer[9], sum(&answer[..V4]) == 0xffff)
    } else {
        (V6 + usize::from(word(answer, 4)), answer[6], true)
    };
    if !whole || length != answer.len() {
        return failed("header");
    }
    let body = &answer[header..];
    let mut pseudo = answer[addresses..header].to_vec();
    pseudo.extend(u16::try_from(body.len()).unwrap_or_default().to_be_bytes());
    pseudo.extend([0, protocol]);
    let pseudo = if protocol == ICMP { Vec::new() } else { pseudo };
    if sum(&[&pseudo, body].concat()) != 0xffff {
        return failed("checksum");
    }
    match (protocol, ethertype) {
        (TCP, _) => check_reset(sent, body).or_else(failed),
        (ICMP, IPV4) if body[..2] == [3, 13] => {
            check_quotation(sent, V4, &body[8..]).or_else(failed)
        }
        (ICMPV6, IPV6) if body[..2] == [1, 1] => {
            check_quotation(sent, V6, &body[8..]).or_else(failed)
        }
        _ => failed("neither a reset nor the error"),
    }
}

/// Every TCP segment of the rows ends its packet's headers; it is found by its ports, which the reset turns around.
fn check_reset(sent: &[u8], reset: &[u8]) -> Result<(), &'static str> {
    let ports = [reset[2], reset[3], reset[0], reset[1]];
    let Some(start) = sent.windows(4).position(|window| window == ports) else {
        return Err("ports");
    };
    if reset.len() != 20 || reset[13] & RST == 0 {
        return Err("no reset");
    }
    let acknowledged = sent[start + 13] & 0x10 != 0;
    // RFC 9293, section 3.10.7.1: to a segment with ACK its acknowledgement number is the reset's sequence number.
    let is_right = if acknowledged {
        reset[4..8] == sent[start + 8..start + 12]
    } else {
        reset[4..8] == [0; 4]
    };
    if is_right { Ok(()) } else { Err("sequence number") }
}

/// The IP header and eight bytes behind it; zeros stand for those that the packet does not have.
fn check_quotation(sent: &[u8], header: usize, quoted: &[u8]) -> Result<(), &'static str> {
    let mut expected = sent.to_vec();
    expected.resize(header + QUOTED, 0);
    if quoted == expected { Ok(()) } else { Err("quotation") }
}

/// Where the IP header begins, and what the `EtherType` before it is.
fn network(frame: &[u8]) -> (usize, u16) {
    let mut start = ETHERNET;
    while [C_TAG, S_TAG].contains(&word(frame, start - 2)) {
        start += 4;
    }
    (start, word(frame, start - 2))
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The sum of 16-bit words (RFC 1071): all ones over what has a right checksum in it.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    words.fold(0, |sum: u16, word| {
        let (sum, carried) = sum.overflowing_add(word);
        sum + u16::from(carried)
    })
}
