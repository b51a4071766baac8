//! What does not come by the filter, or passes it by nature.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Traffic;
use crate::policy::{Name, port::Ports};

/// A port of a service on which something listens where there is no filter: anybody reaches it there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unfiltered {
    /// The service.
    pub service: Name,
    /// Its port.
    pub port: Ports,
    /// The interface without the filter.
    pub interface: String,
    /// An address of that interface at which it listens.
    pub address: IpAddr,
    /// Whether the filter can be put there: the interface has an Ethernet header.
    pub can_attach: bool,
}

/// What passes the filter by nature.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastFilter {
    /// Packets of protocols without ports, such as ICMP, GRE and ESP; they are among those of no service, too.
    pub other_protocols: Traffic,
    /// Those of the last minute.
    pub other_protocols_last_minute: Traffic,
    /// Tunnels that are up. What comes out of one is not judged where the tunnel's own packets come in.
    pub tunnels: Vec<Tunnel>,
}

/// A tunnel.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tunnel {
    /// The interface.
    pub interface: String,
    /// What `ip link` calls its type, such as `wireguard`.
    pub kind: String,
    /// Whether the filter is on it, so that what comes out of it is judged there.
    pub filtered: bool,
}
