"""Packets made by scapy, which shares nothing with this project's own builder and parser, and what docs/verdicts.md
makes of each, stated by hand. One JSON object a line: name, frame (from the Ethernet header on, in hexadecimal), fate.

The policy is that of the table: port 6379 of all five protocols closed, TCP port 80 open, TCP port 8080 monitored.
Allowed: 10.1.0.0/16 without 10.1.6.0/24 but with 10.1.6.128/25; not 10.1.7.0/24 but 10.1.7.9; 2001:db8:1::/48 without
2001:db8:1:6::/64 but with 2001:db8:1:6:8000::/65.
"""

import json
import logging

# Packets that are wrong on purpose are no news.
logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.contrib.mpls import MPLS
from scapy.fields import BitField, ByteField, ShortField
from scapy.layers.inet import (
    GRE, ICMP, IP, TCP, UDP, IPOption_EOL, IPOption_LSRR, IPOption_MTU_Probe, IPOption_NOP, IPOption_RR,
    IPOption_Router_Alert, IPOption_SSRR, IPOption_Security, IPOption_Timestamp, fragment,
)
from scapy.layers.inet6 import (
    HBHOptUnknown, ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
    IPv6ExtHdrSegmentRouting, Jumbo, MIP6MH_BU, Pad1, PadN, RouterAlert, fragment6,
)
from scapy.layers.ipsec import AH, ESP
from scapy.layers.l2 import ARP, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Padding, Raw

DENIED = "denied"
ADMITTED = "admitted"
OPEN = "open"
WOULD_DENY = "would deny"
NO_SERVICE = "no service"
LATER = "later fragment"
LATER_ALLOWED = "later fragment, allowed"
NOT_IP = "not ip"
OTHER = "other protocol"
CUT_FRAME = "frame cut off"
TAGS = "too many tags"
BAD_IP = "bad ip header"
CUT_EXTENSION = "extension cut off"
EXTENSIONS = "too many extensions"
CUT_PORTS = "ports cut off"

PORT, DECOY = 6379, 9
E = dict(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
FRIEND, STRANGER, HERE = "10.1.0.7", "192.0.2.66", "198.51.100.1"
FRIEND6, STRANGER6, HERE6 = "2001:db8:1::7", "2001:db8:bad::66", "2001:db8:ffff::1"


class DCCP(Packet):
    """RFC 4340, section 5.1, with long sequence numbers: a request, which scapy has no layer for."""

    name = "DCCP"
    fields_desc = [
        ShortField("sport", 40000), ShortField("dport", PORT), ByteField("offset", 5), ByteField("cover", 0),
        ShortField("checksum", 0), BitField("reserved", 0, 3), BitField("type", 0, 4), BitField("long", 1, 1),
        BitField("sequence", 1, 56), BitField("service", 0, 32),
    ]


def ether(**fields):
    return Ether(**E, **fields)


def v4(src=STRANGER, **fields):
    return IP(src=src, dst=HERE, **fields)


def v6(src=STRANGER6, **fields):
    return IPv6(src=src, dst=HERE6, **fields)


def tcp(dport=PORT, **fields):
    return TCP(sport=40000, dport=dport, flags="S", **fields)


def udp(dport=PORT, **fields):
    return UDP(sport=40000, dport=dport, **fields)


def emit(name, packet, fate):
    print(json.dumps({"name": "scapy, " + name, "frame": bytes(packet).hex(), "fate": fate}))


def transports():
    for family, ip, friend in [("IPv4", v4, FRIEND), ("IPv6", v6, FRIEND6)]:
        udp_lite = {"proto": 136} if ip is v4 else {"nh": 136}
        dccp = {"proto": 33} if ip is v4 else {"nh": 33}
        for protocol, fields, segment in [
            ("TCP", {}, tcp(options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("WScale", 7)])),
            ("UDP", {}, udp() / Raw(b"hello")),
            ("UDP-Lite", udp_lite, udp(len=8) / Raw(b"hello")),
            ("SCTP", {}, SCTP(sport=40000, dport=PORT) / SCTPChunkInit()),
            ("DCCP", dccp, DCCP()),
        ]:
            emit(f"{protocol} over {family}", ether() / ip(**fields) / segment, DENIED)
            emit(f"{protocol} over {family}, allowed source", ether() / ip(friend, **fields) / segment, ADMITTED)
        emit(f"open port, {family}", ether() / ip() / tcp(80), OPEN)
        emit(f"monitored port, {family}", ether() / ip() / tcp(8080), WOULD_DENY)
        emit(f"monitored port, allowed source, {family}", ether() / ip() / udp(8080), NO_SERVICE)
        emit(f"free port, {family}", ether() / ip() / tcp(DECOY), NO_SERVICE)
        emit(f"from the protected port, {family}", ether() / ip() / UDP(sport=PORT, dport=DECOY), NO_SERVICE)
        emit(f"TCP with data, {family}", ether() / ip() / TCP(dport=PORT, flags="PA", ack=7) / Raw(b"PING\r\n"), DENIED)
        emit(f"TCP reset, {family}", ether() / ip() / TCP(dport=PORT, flags="R"), DENIED)
        inner = ether() / v4() / tcp()
        emit(f"VXLAN, the protected port inside, {family}", ether() / ip() / udp(4789) / VXLAN(vni=7) / inner, NO_SERVICE)
    emit("UDP of a DNS answer to the protected port", ether() / v4() / UDP(sport=53, dport=PORT), DENIED)
    emit("UDP with an empty body and a wrong checksum", ether() / v4() / udp(chksum=0x1234), DENIED)


def sources():
    for source, fate in [
        ("10.1.255.255", ADMITTED), ("10.2.0.0", DENIED), ("10.1.6.1", DENIED), ("10.1.6.200", ADMITTED),
        ("10.1.7.8", DENIED), ("10.1.7.9", ADMITTED),
    ]:
        emit(f"from {source}", ether() / v4(source) / tcp(), fate)
    for source, fate in [
        ("2001:db8:1:ffff::1", ADMITTED), ("2001:db8:2::1", DENIED), ("2001:db8:1:6::1", DENIED),
        ("2001:db8:1:6:8000::1", ADMITTED), ("::ffff:10.1.0.7", DENIED), ("fe80::1", DENIED),
    ]:
        emit(f"from {source}", ether() / v6(source) / tcp(), fate)


def tags():
    for count in range(1, 7):
        frame = ether()
        for index in range(count):
            frame = frame / (Dot1AD(vlan=7) if index == 0 and count % 2 == 0 else Dot1Q(vlan=42, prio=3))
        fate = DENIED if count <= 4 else TAGS
        emit(f"{count} tags, IPv4", frame / v4() / tcp(), fate)
        emit(f"{count} tags, IPv6", frame / v6() / udp(), fate)
        emit(f"{count} tags, allowed source", frame / v4(FRIEND) / tcp(), ADMITTED if count <= 4 else TAGS)
    emit("priority tag", ether() / Dot1Q(vlan=0, prio=7, id=1) / v4() / tcp(), DENIED)
    emit("802.1ad around 802.1ad", ether() / Dot1AD(vlan=1) / Dot1AD(vlan=2) / v6() / tcp(), DENIED)
    arp = ARP(hwsrc=E["src"], psrc=STRANGER, hwdst="00:00:00:00:00:00", pdst=HERE)
    emit("ARP", ether() / arp, NOT_IP)
    emit("ARP behind two tags", ether() / Dot1AD(vlan=7) / Dot1Q(vlan=42) / arp, NOT_IP)
    emit("spanning tree over LLC", Dot3(**E) / LLC() / STP(), NOT_IP)
    emit("MPLS", ether() / MPLS(label=7, s=1) / v4() / tcp(), NOT_IP)
    emit("PPPoE", ether() / PPPoE(sessionid=7) / PPP(proto=0x21) / v4() / tcp(), NOT_IP)
    emit("tag cut off", bytes(ether() / Dot1Q(vlan=42) / v4() / tcp())[:17], CUT_FRAME)
    emit("second tag cut off", bytes(ether() / Dot1AD(vlan=7) / Dot1Q(vlan=42) / v4() / tcp())[:21], CUT_FRAME)


def options():
    for name, chosen in [
        ("record route", [IPOption_RR(routers=["192.0.2.1", "192.0.2.2"])]),
        ("loose source route", [IPOption_LSRR(routers=["192.0.2.1"])]),
        ("strict source route", [IPOption_SSRR(routers=["192.0.2.1", "192.0.2.2"])]),
        ("timestamp", [IPOption_Timestamp(flg=0, timestamp=1)]),
        ("router alert", [IPOption_Router_Alert()]),
        ("security", [IPOption_Security()]),
        ("MTU probe", [IPOption_MTU_Probe()]),
        ("four bytes of nothing", [IPOption_NOP()] * 3 + [IPOption_EOL()]),
        ("as many as there can be", [IPOption_NOP()] * 40),
    ]:
        emit(f"IPv4 option: {name}", ether() / v4(options=chosen) / tcp(), DENIED)
        emit(f"IPv4 option: {name}, free port", ether() / v4(options=chosen) / udp(DECOY), NO_SERVICE)
        emit(f"IPv4 option: {name}, allowed source", ether() / v4(FRIEND, options=chosen) / udp(), ADMITTED)
    # Who takes the header for 20 bytes long reads these as ports.
    forged = [IPOption_NOP(), IPOption_NOP(), IPOption_NOP(), IPOption_EOL()] * 2
    frame = bytearray(bytes(ether() / v4(options=forged) / tcp()))
    frame[36:38] = DECOY.to_bytes(2, "big")
    emit("IPv4 options that look like a free port", bytes(frame), DENIED)


def chained(packet, headers, segment):
    """Behind one another, each announced by the one before it: scapy leaves that open around AH."""
    numbers = {
        IPv6ExtHdrHopByHop: 0, IPv6ExtHdrRouting: 43, IPv6ExtHdrSegmentRouting: 43, IPv6ExtHdrFragment: 44, AH: 51,
        IPv6ExtHdrDestOpt: 60, TCP: 6,
    }
    for header in [*headers, segment]:
        packet.lastlayer().nh = numbers[type(header)]
        packet = packet / header.copy()
    return packet


def chains():
    hop = IPv6ExtHdrHopByHop(options=[RouterAlert(), Pad1(), Pad1()])
    options = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1E, optdata=b"\0" * 20)])
    routing = IPv6ExtHdrRouting(addresses=["2001:db8::1", "2001:db8::2"])
    segments = IPv6ExtHdrSegmentRouting(addresses=[HERE6, "2001:db8::1"])
    # Of 24 bytes: AH counts words of four bytes, minus two.
    ah = AH(payloadlen=4, spi=1, seq=1, icv=b"\x11" * 12)
    atomic = IPv6ExtHdrFragment(offset=0, m=0, id=7)
    for name, headers in [
        ("hop-by-hop", [hop]),
        ("destination options", [options]),
        ("routing", [routing]),
        ("segment routing", [segments]),
        ("AH", [ah]),
        ("atomic fragment", [atomic]),
        ("hop-by-hop, destination options", [hop, options]),
        ("hop-by-hop, routing, destination options", [hop, routing, options]),
        ("routing, AH", [routing, ah]),
        ("AH, destination options", [ah, options]),
        ("atomic fragment, AH", [atomic, ah]),
        ("hop-by-hop, destination options, routing, atomic fragment, AH", [hop, options, routing, atomic, ah]),
        ("destination options, hop-by-hop, which is out of order", [options, hop]),
    ]:
        for port, source, fate in [
            (PORT, STRANGER6, DENIED), (PORT, FRIEND6, ADMITTED), (DECOY, STRANGER6, NO_SERVICE),
        ]:
            emit(f"{name}, port {port} from {source}", ether() / chained(v6(source), headers, tcp(port)), fate)
    for count, fate in [(8, DENIED), (9, EXTENSIONS)]:
        packet = v6()
        for _ in range(count):
            packet = packet / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")])
        emit(f"{count} destination options", ether() / packet / tcp(), fate)
    emit("8 atomic fragments", ether() / chained(v6(), [atomic] * 8, tcp()), DENIED)
    jumbo = IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=28)])
    # Its length is 0 here, so the packet ends where the header of the option would begin.
    emit("jumbogram", ether() / v6(plen=0) / jumbo / tcp(), CUT_EXTENSION)
    emit("hop-by-hop cut off by the frame", bytes(ether() / v6() / hop / tcp())[:60], CUT_EXTENSION)
    emit("routing cut off by the packet", ether() / v6(plen=16) / routing / tcp(), CUT_EXTENSION)
    long = IPv6ExtHdrDestOpt(len=200, options=[PadN(optdata=b"\0\0\0\0")])
    emit("destination options longer than the packet", ether() / v6() / long / tcp(), CUT_EXTENSION)
    emit("nothing behind hop-by-hop", ether() / v6() / IPv6ExtHdrHopByHop(nh=6), CUT_PORTS)


def fragments():
    for size in [8, 64, 1000]:
        for source, first, later in [(STRANGER, DENIED, LATER), (FRIEND, ADMITTED, LATER_ALLOWED)]:
            pieces = fragment(v4(source, id=7) / udp() / Raw(b"x" * 1500), fragsize=size)[:12]
            for index, piece in enumerate(pieces):
                emit(f"IPv4 fragment {index} of {size} bytes from {source}", ether() / piece, later if index else first)
    pieces = fragment(v4(id=8) / tcp() / Raw(b"x" * 100), fragsize=8)
    emit("IPv4 fragment with the first 8 bytes of TCP", ether() / pieces[0], DENIED)
    emit("IPv4 fragment with the next 8 bytes of TCP", ether() / pieces[1], LATER)
    emit("IPv4 fragment with 2 bytes of TCP", ether() / v4(flags="MF", proto=6) / Raw(b"\x9c\x40"), CUT_PORTS)
    overlap = v4(frag=1, proto=6, id=8) / Raw(bytes(tcp())[8:])
    emit("IPv4 fragment that would overwrite the TCP header from its byte 8 on", ether() / overlap, LATER)
    emit("IPv4 first fragment of ICMP", ether() / fragment(v4(id=9) / ICMP() / Raw(b"x" * 90), fragsize=40)[0], OTHER)
    # Set, but without meaning (RFC 791): evil is the reserved bit.
    emit("IPv4, do not fragment, reserved bit", ether() / v4(flags="DF+evil") / tcp(), DENIED)
    for source, first, later in [(STRANGER6, DENIED, LATER), (FRIEND6, ADMITTED, LATER_ALLOWED)]:
        whole = v6(source) / IPv6ExtHdrFragment(id=7) / udp() / Raw(b"x" * 3000)
        for index, piece in enumerate(fragment6(whole, 1280)):
            emit(f"IPv6 fragment {index} from {source}", ether() / piece, later if index else first)
        hop = IPv6ExtHdrHopByHop(options=[RouterAlert()])
        whole = v6(source) / hop / IPv6ExtHdrFragment(id=8) / tcp() / Raw(b"x" * 3000)
        for index, piece in enumerate(fragment6(whole, 1280)):
            name = f"IPv6 fragment {index} behind hop-by-hop from {source}"
            emit(name, ether() / piece, later if index else first)
        tagged = ether() / Dot1Q(vlan=42) / fragment6(v6(source) / IPv6ExtHdrFragment() / udp() / Raw(b"x" * 2000), 1280)[1]
        emit(f"IPv6 later fragment behind a tag from {source}", tagged, later)
    tiny = v6() / IPv6ExtHdrFragment(nh=6, m=1, id=9) / Raw(bytes(tcp())[:3])
    emit("IPv6 fragment with 3 bytes of TCP", ether() / tiny, CUT_PORTS)
    hidden = v6() / IPv6ExtHdrFragment(m=1, id=9) / IPv6ExtHdrDestOpt(nh=6, len=3)
    emit("IPv6 fragment that ends inside destination options", ether() / hidden, CUT_EXTENSION)


def others():
    inner = v4(FRIEND) / tcp()
    for name, packet in [
        ("GRE", v4() / GRE() / inner),
        ("GRE with key and sequence", v4() / GRE(key_present=1, key=7, seqnum_present=1) / inner),
        ("GRE over IPv6", v6() / GRE() / inner),
        ("ESP", v4() / ESP(spi=7, seq=1, data=b"x" * 32)),
        ("ESP over IPv6", v6() / ESP(spi=7, seq=1, data=b"x" * 32)),
        # In IPv4 AH is a protocol of its own, not a header to be walked.
        ("AH over IPv4", v4() / AH(nh=6, payloadlen=4, icv=b"\x11" * 12) / tcp()),
        ("IP in IP", v4() / inner),
        ("IPv6 in IPv4", v4() / v6(FRIEND6) / tcp()),
        ("IPv4 in IPv6", v6() / inner),
        ("IPv6 in IPv6", v6() / v6(FRIEND6) / tcp()),
        ("ICMP echo", v4() / ICMP() / Raw(b"x" * 56)),
        ("ICMP error that quotes the protected port", v4() / ICMP(type=3, code=3) / v4() / udp()),
        ("ICMPv6 echo", v6() / ICMPv6EchoRequest(data=b"x" * 56)),
        ("neighbour solicitation", v6("fe80::2") / ICMPv6ND_NS(tgt=HERE6) / ICMPv6NDOptSrcLLAddr(lladdr=E["src"])),
        ("neighbour advertisement", v6("fe80::2") / ICMPv6ND_NA(tgt=HERE6) / ICMPv6NDOptDstLLAddr(lladdr=E["src"])),
        ("router advertisement", v6("fe80::2") / ICMPv6ND_RA()),
        ("multicast listener report",
         v6("fe80::2") / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2()),
        ("mobility header", v6() / MIP6MH_BU()),
        ("no next header", v6(nh=59) / Raw(bytes(tcp()))),
        ("IGMP", v4(proto=2) / Raw(b"\x16\0\0\0\xe0\0\0\x01")),
        ("OSPF", v4(proto=89) / Raw(bytes(tcp()))),
    ]:
        emit(name, ether() / packet, OTHER)


def malformed():
    whole = bytes(ether() / v4() / tcp())
    for length, fate in [(14, BAD_IP), (24, BAD_IP), (33, BAD_IP), (34, CUT_PORTS), (37, CUT_PORTS), (38, DENIED)]:
        emit(f"IPv4 frame cut to {length} bytes", whole[:length], fate)
    whole = bytes(ether() / v6() / tcp())
    for length, fate in [(14, BAD_IP), (53, BAD_IP), (54, CUT_PORTS), (57, CUT_PORTS), (58, DENIED)]:
        emit(f"IPv6 frame cut to {length} bytes", whole[:length], fate)
    emit("IHL 4", ether() / v4(ihl=4) / tcp(), BAD_IP)
    emit("IHL 0", ether() / v4(ihl=0) / tcp(), BAD_IP)
    emit("IHL 15 in a packet of 40 bytes", ether() / v4(ihl=15) / tcp(), BAD_IP)
    emit("IHL 6 in a packet that ends behind it", ether() / v4(ihl=6, len=24) / tcp(), CUT_PORTS)
    emit("total length of 19", ether() / v4(len=19) / tcp(), BAD_IP)
    emit("total length of 0", ether() / v4(len=0) / tcp(), BAD_IP)
    emit("total length that ends inside the ports", ether() / v4(len=22) / tcp(), CUT_PORTS)
    emit("total length beyond the frame", ether() / v4(len=1500) / tcp(), DENIED)
    emit("payload length that ends inside the ports", ether() / v6(plen=3) / tcp(), CUT_PORTS)
    emit("payload length beyond the frame", ether() / v6(plen=1400) / tcp(), DENIED)
    emit("a wrong IPv4 checksum", ether() / v4(chksum=0) / tcp(), DENIED)
    emit("time to live 0", ether() / v4(ttl=0) / tcp(), DENIED)
    emit("IPv4 announced, version 6", ether() / v4(version=6) / tcp(), BAD_IP)
    emit("IPv6 announced, version 4", ether() / v6(version=4) / tcp(), BAD_IP)
    emit("IPv4 under the EtherType of IPv6", ether(type=0x86DD) / v4() / tcp(), BAD_IP)
    emit("IPv6 under the EtherType of IPv4", ether(type=0x0800) / v6() / tcp(), BAD_IP)
    # What stands behind the packet's end is no part of it.
    short = v4(proto=17, len=22) / Raw(b"\x9c\x40")
    emit("a free port in the padding", ether() / short / Padding(DECOY.to_bytes(2, "big") * 12), CUT_PORTS)
    emit("a frame padded to 60 bytes", ether() / v4() / udp() / Padding(b"\0" * 18), DENIED)
    short = v6(nh=17, plen=2) / Raw(b"\x9c\x40")
    emit("a free port in the padding, IPv6", ether() / short / Padding(DECOY.to_bytes(2, "big") * 12), CUT_PORTS)


for part in [transports, sources, tags, options, chains, fragments, others, malformed]:
    part()
