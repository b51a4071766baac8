//! Established connections of other hosts to protected ports of this one.

use std::io;

use crate::{
    host::{self, Connection, Topology},
    policy::{Packet, Policy},
};

/// An interface and its index.
pub(super) type Link = (String, u32);

/// A connection, and the interfaces with the filter by which its packets come in.
pub(super) struct FromAfar<'a> {
    pub(super) connection: Connection,
    links: Vec<&'a str>,
}

impl FromAfar<'_> {
    /// What its packets are judged by, as they come in by each of the interfaces.
    pub(super) fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        let Connection { local, peer, .. } = &self.connection;
        self.links.iter().map(|link| Packet::of_tcp(link, *local, peer.ip()))
    }
}

/// The connections to ports of a policy's services; none where none of these interfaces has the filter.
///
/// # Errors
/// What the kernel answered.
pub(super) fn from_afar<'a>(links: &'a [Link], policy: &Policy) -> io::Result<Vec<FromAfar<'a>>> {
    let of_services = |connection: &Connection| policy.has_port(connection.local.port());
    let connections: Vec<Connection> =
        host::established()?.into_iter().filter(of_services).collect();
    if connections.is_empty() || links.is_empty() {
        return Ok(Vec::new());
    }
    let indices: Vec<u32> = links.iter().map(|(_, ifindex)| *ifindex).collect();
    let mut topology = Topology::read()?;
    let mut found = Vec::new();
    for connection in connections {
        if topology.is_own(connection.peer.ip()) {
            continue;
        }
        let on = topology.ingress(&connection, &indices);
        let here = links.iter().filter(|(_, ifindex)| on.contains(ifindex));
        let links = here.map(|(name, _)| name.as_str()).collect();
        found.push(FromAfar { connection, links });
    }
    Ok(found)
}
