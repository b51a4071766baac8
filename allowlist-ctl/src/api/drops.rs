//! Dropped packets, as `drops` tells them.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::{Name, port::Ports};

/// Recent dropped packets by source, service and port.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drops {
    /// Packets that were dropped but not reported since the daemon started, for there were too many.
    pub lost: u64,
    /// Those that were reported, the latest first.
    pub drops: Vec<DroppedPackets>,
}

/// Dropped packets that have their source, service, port and reason in common.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DroppedPackets {
    /// How many were reported.
    pub count: u64,
    /// When the first one was.
    pub first: Timestamp,
    /// The last one; its time is that of the last.
    #[serde(flatten)]
    pub last: DroppedPacket,
}

/// A dropped packet, or one that would have been dropped in mode enforce.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DroppedPacket {
    /// When.
    pub time: Timestamp,
    /// Where it came from; not of every unreadable packet.
    pub source: Option<IpAddr>,
    /// The service; none of an unreadable packet.
    pub service: Option<Name>,
    /// Destination protocol and port; none of an unreadable packet.
    pub port: Option<Ports>,
    /// The interface it came in on.
    pub interface: String,
    /// VLAN id of the outermost tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Length of the frame, in bytes.
    pub length: u32,
    /// Why.
    pub reason: DropReason,
}

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The service denied it.
    Denied,
    /// The service would have denied it in mode enforce; it passed.
    WouldDeny,
    /// The frame ends inside its Ethernet header or a VLAN tag.
    FrameCutOff,
    /// More VLAN tags than are looked through.
    TooManyTags,
    /// The IP header is cut off or contradicts itself.
    BadIpHeader,
    /// An IPv6 extension header is cut off.
    ExtensionCutOff,
    /// More IPv6 extension headers than are walked.
    TooManyExtensions,
    /// The packet ends before its ports.
    PortsCutOff,
    /// A later fragment on a strict interface, from a source that no service admits.
    FragmentRefused,
}
