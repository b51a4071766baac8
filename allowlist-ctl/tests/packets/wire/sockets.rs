//! Programs that speak through the filter by ordinary sockets: what a server hears.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use allowlist::kernel::Variant;
use xtask::lab::{Namespace, PacketSocket, link};

use super::{answers::sum, cable::INTERFACE};
use crate::{
    bed::{Bed, on_interface},
    rows::World,
    table::{
        DECOY, PORT,
        build::{
            C_TAG, FRIEND, FRIEND_V6, HERE, HERE_V6, IPV4, IPV6, S_TAG, STRANGER, STRANGER_V6, UDP,
            V4, V6, frame,
        },
    },
};

/// Where [`frame`] sends its frames.
const SERVER_MAC: &str = "02:00:00:00:00:01";
/// How long something that has to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long nothing is expected any more.
const SILENCE: Duration = Duration::from_millis(200);
/// One that fits into a frame, and one that takes three fragments.
const SIZES: [usize; 2] = [100, 4000];

/// Addresses of one family.
struct Family {
    friend: IpAddr,
    stranger: IpAddr,
    here: IpAddr,
}

const FAMILIES: [Family; 2] = [
    Family { friend: v4(FRIEND), stranger: v4(STRANGER), here: v4(HERE) },
    Family { friend: v6(FRIEND_V6), stranger: v6(STRANGER_V6), here: v6(HERE_V6) },
];

const fn v4(address: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_octets(address))
}

const fn v6(address: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_octets(address))
}

/// A client that speaks from two addresses of each family, and a server.
struct Hosts {
    client: Namespace,
    server: Namespace,
}

impl Hosts {
    fn new() -> Self {
        let [client, server] = ["client", "server"].map(|label| Namespace::new(label).unwrap());
        link(&client, INTERFACE, &server, INTERFACE).unwrap();
        let mut on_server = vec![format!("link set {INTERFACE} address {SERVER_MAC}")];
        let mut on_client = Vec::new();
        for Family { friend, stranger, here } in FAMILIES {
            on_server.push(format!("address add {here} dev {INTERFACE}"));
            on_client.push(format!("route add {here} dev {INTERFACE}"));
            for source in [friend, stranger] {
                on_client.push(format!("address add {source} dev {INTERFACE}"));
                on_server.push(format!("route add {source} dev {INTERFACE}"));
            }
        }
        server.ip(&on_server).unwrap();
        client.ip(&on_client).unwrap();
        Self { client, server }
    }

    /// Runs a test with the program on the server's interface.
    fn run(&self, test: impl FnMut(&mut Bed) + Send) {
        on_interface(&self.server, INTERFACE, &Variant::ALL, test);
    }

    fn listen(&self, family: &Family, port: u16) -> UdpSocket {
        let socket = self.server.inside(|| UdpSocket::bind((family.here, port))).unwrap().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn speak(&self, from: IpAddr) -> UdpSocket {
        self.client.inside(|| UdpSocket::bind((from, 0))).unwrap().unwrap()
    }
}

/// Who sent the next datagram, and how long it is.
fn hear(socket: &UdpSocket) -> Option<(IpAddr, usize)> {
    let (length, from) = socket.recv_from(&mut [0; 8192]).ok()?;
    Some((from.ip(), length))
}

/// Whether something is heard of the stranger, when first he has sent a datagram and then the friend, who is heard.
fn is_stranger_heard(server: &UdpSocket, family: &Family, size: usize) -> bool {
    let first = hear(server);
    if first == Some((family.friend, size)) {
        return false;
    }
    assert_eq!(first, Some((family.stranger, size)));
    assert_eq!(hear(server), Some((family.friend, size)));
    true
}

#[test]
fn datagrams_whole_and_in_fragments_reach_a_socket_from_allowed_sources_only() {
    let hosts = Hosts::new();
    hosts.run(|bed| {
        for world in [World::Enforced, World::Strict, World::Monitored, World::Off] {
            world.enter(bed);
            let is_closed = matches!(world, World::Enforced | World::Strict);
            for (family, size) in FAMILIES.iter().flat_map(|f| SIZES.map(|size| (f, size))) {
                let [stranger, friend] =
                    [family.stranger, family.friend].map(|from| hosts.speak(from));
                for (port, expected) in [
                    (PORT, !is_closed),
                    // Nothing denies a port of no service; strict fragments do not get to it all the same.
                    (DECOY, world != World::Strict || size == SIZES[0]),
                ] {
                    let server = hosts.listen(family, port);
                    for socket in [&stranger, &friend] {
                        socket.send_to(&vec![7; size], (family.here, port)).unwrap();
                    }
                    let heard = is_stranger_heard(&server, family, size);
                    let about = format!("{world:?}, {size} bytes to port {port}");
                    assert_eq!(heard, expected, "{about} from {}", family.stranger);
                }
            }
        }
    });
}

/// A datagram with its checksums, behind VLAN tags.
fn tagged(tags: &[(u16, u16)], source: IpAddr, port: u16) -> Vec<u8> {
    const LENGTH: u16 = 16;
    let mut payload = 40_000_u16.to_be_bytes().to_vec();
    for word in [port, LENGTH, 0, 0, 0, 0, 0] {
        payload.extend(word.to_be_bytes());
    }
    match source {
        IpAddr::V4(source) => {
            let packet = V4 { protocol: UDP, source: source.octets(), payload, ..V4::to(port) };
            let mut packet = packet.packet();
            let checksum = !sum(&packet[..20]);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            // Without a checksum of its own, which UDP over IPv4 may do (RFC 768).
            frame(tags, IPV4, &packet)
        }
        IpAddr::V6(source) => {
            let pseudo = [&source.octets()[..], &HERE_V6, &LENGTH.to_be_bytes(), &[0, UDP]];
            let checksum = !sum(&[&pseudo.concat()[..], &payload].concat());
            payload[6..8].copy_from_slice(&checksum.to_be_bytes());
            let packet = V6 { protocol: UDP, source: source.octets(), payload, ..V6::to(port) };
            frame(tags, IPV6, &packet.packet())
        }
    }
}

/// Linux takes the tag of VLAN 0 off whether it knows of VLANs or not, however many there are: what a filter does not
/// look through would be let in.
#[test]
fn datagrams_behind_tags_reach_a_socket_from_allowed_sources_only() {
    let hosts = Hosts::new();
    hosts.run(|bed| {
        let wire = PacketSocket::open(&hosts.client, INTERFACE).unwrap();
        for world in [World::Enforced, World::Off] {
            world.enter(bed);
            let is_open = world == World::Off;
            for (count, family) in
                (0..=6).flat_map(|count| FAMILIES.iter().map(move |f| (count, f)))
            {
                let mut tags = vec![(C_TAG, 0); count];
                if count % 2 == 0 && count > 0 {
                    tags[0].0 = S_TAG;
                }
                for (port, is_heard) in [(PORT, is_open), (DECOY, is_open || count <= 4)] {
                    let server = hosts.listen(family, port);
                    wire.send(&tagged(&tags, family.stranger, port)).unwrap();
                    // The friend goes untagged, so that he is heard always.
                    wire.send(&tagged(&[], family.friend, port)).unwrap();
                    let heard = is_stranger_heard(&server, family, 8);
                    let about = format!("{world:?}, {count} tags, port {port}");
                    assert_eq!(heard, is_heard, "{about} from {}", family.stranger);
                    if count <= 4 {
                        wire.send(&tagged(&tags, family.friend, port)).unwrap();
                        assert_eq!(hear(&server), Some((family.friend, 8)), "{about}");
                    }
                }
            }
        }
    });
}

#[test]
fn dropped_datagrams_are_reported_with_the_outermost_vlan() {
    let hosts = Hosts::new();
    hosts.run(|bed| {
        World::Enforced.enter(bed);
        let wire = PacketSocket::open(&hosts.client, INTERFACE).unwrap();
        for family in &FAMILIES {
            let server = hosts.listen(family, PORT);
            let tags = [&[][..], &[(C_TAG, 0)], &[(C_TAG, 0xe02a)], &[(S_TAG, 7), (C_TAG, 42)]];
            for tags in tags {
                wire.send(&tagged(tags, family.stranger, PORT)).unwrap();
            }
            wire.send(&tagged(&[], family.friend, PORT)).unwrap();
            assert_eq!(hear(&server), Some((family.friend, 8)));
            let drops = bed.drops().into_iter().map(|drop| (drop.source, drop.vlan));
            let expected =
                [None, None, Some(42), Some(7)].map(|vlan| (Some(family.stranger), vlan));
            assert_eq!(drops.collect::<Vec<_>>(), expected);
        }
    });
}

#[test]
fn connections_come_about_from_allowed_sources_only() {
    let hosts = Hosts::new();
    hosts.run(|bed| {
        World::Enforced.enter(bed);
        let listener = TcpListener::bind(("::", PORT)).unwrap();
        for Family { friend, stranger, here } in FAMILIES {
            let connect = |from: IpAddr, port: u16, within: Duration| {
                // The route says which address the client speaks from.
                let route = format!("route replace {here} dev {INTERFACE} src {from}");
                hosts.client.ip(&[route]).unwrap();
                let to: SocketAddr = (here, port).into();
                hosts.client.inside(|| TcpStream::connect_timeout(&to, within)).unwrap()
            };
            let kind = |result: std::io::Result<TcpStream>| result.map_err(|error| error.kind());
            assert_eq!(kind(connect(stranger, PORT, SILENCE)).unwrap_err(), ErrorKind::TimedOut);
            // Its packets do get here: at a port of no service nobody listens, and the server says so.
            assert_eq!(
                kind(connect(stranger, DECOY, PATIENCE)).unwrap_err(),
                ErrorKind::ConnectionRefused
            );
            let mut client = connect(friend, PORT, PATIENCE).unwrap();
            client.write_all(b"hello").unwrap();
            let (mut server, from) = listener.accept().unwrap();
            assert_eq!(from.ip().to_canonical(), friend);
            let mut said = [0; 5];
            server.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"hello");
        }
    });
}
