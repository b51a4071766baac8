//! Ports as they are written: `tcp/22`, `udp/5000-5010`.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use allowlist_common::parse::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A protocol and a range of ports, both ends included.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend(
    "pattern" = "^(tcp|udp|udplite|sctp|dccp)/0*[1-9][0-9]{0,4}(-0*[1-9][0-9]{0,4})?$",
    "examples" = ["tcp/6379", "udp/5000-5010"]
))]
pub struct Ports {
    /// The protocol.
    pub protocol: Protocol,
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

/// A text that names no ports.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPorts {
    /// Not of the form protocol, slash, port.
    #[error("'{0}' is not a port: write tcp/6379 or udp/5000-5010")]
    Unreadable(String),
    /// A protocol that has no ports, or none known.
    #[error("'{0}' is no protocol with ports: use tcp, udp, udplite, sctp or dccp")]
    Protocol(String),
    /// Outside 1 to 65535, or downwards.
    #[error("'{0}' is not a port from 1 to 65535, or a range of them, the lower one first")]
    Number(String),
}

impl Ports {
    /// The ports.
    #[must_use]
    pub const fn range(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Whether a port is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.first <= other.last && other.first <= self.last
    }
}

/// The protocol's name in ports.
#[must_use]
pub const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::UdpLite => "udplite",
        Protocol::Sctp => "sctp",
        Protocol::Dccp => "dccp",
    }
}

impl FromStr for Ports {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let shown = || text.chars().take(40).collect::<String>();
        let (protocol, ports) =
            text.split_once('/').ok_or_else(|| InvalidPorts::Unreadable(shown()))?;
        let protocol = Protocol::ALL
            .into_iter()
            .find(|known| protocol_name(*known) == protocol)
            .ok_or_else(|| InvalidPorts::Protocol(protocol.chars().take(40).collect()))?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        match (parse_port(first), parse_port(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { protocol, first, last }),
            _ => Err(InvalidPorts::Number(shown())),
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

crate::words::text_form!(Ports, InvalidPorts);

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = protocol_name(self.protocol);
        if self.first == self.last {
            f.pad(&format!("{protocol}/{}", self.first))
        } else {
            f.pad(&format!("{protocol}/{}-{}", self.first, self.last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_written_alike() {
        for text in ["tcp/22", "udp/5000-5010", "sctp/1", "dccp/65535", "udplite/1-65535"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
        assert_eq!("tcp/7-7".parse::<Ports>().unwrap().to_string(), "tcp/7");
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in
            ["", "22", "tcp", "tcp/", "tcp/0", "tcp/65536", "tcp/9-1", "tcp/+1", "icmp/1", "TCP/1"]
        {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }
}
