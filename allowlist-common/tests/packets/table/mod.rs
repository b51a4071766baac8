//! The table of packets: what each is, its bytes, and what docs/verdicts.md makes of it, stated by hand.
//!
//! Every row is judged under one policy, that of [`ENTRIES`] and the ports below; what it states never comes out of
//! the parser that it tests. The port [`DECOY`] stands where a wrong reader would look for the real one.

pub(crate) mod build;
mod chains;
mod frames;
mod ipv4;
mod ipv6;
mod sources;
mod transport;

use allowlist_common::parse::Aside;

/// The port of the closed service, in all five protocols.
pub(crate) const PORT: u16 = 6379;
/// The TCP port of the service without entries.
pub(crate) const OPEN_PORT: u16 = 80;
/// The TCP port of the closed service in mode monitor.
pub(crate) const MONITOR_PORT: u16 = 8080;
/// A port of no service.
pub(crate) const DECOY: u16 = 9;

/// Number of the closed service.
pub(crate) const CLOSED: u16 = 1;
/// Number of the service without entries.
pub(crate) const OPEN: u16 = 2;
/// Number of the service in mode monitor; its entries are those of the closed one.
pub(crate) const MONITOR: u16 = 3;

/// Allows and, behind a `!`, excepts of the closed services.
pub(crate) const ENTRIES: [&str; 9] = [
    "10.1.0.0/16",
    "!10.1.6.0/24",
    "10.1.6.128/25",
    "10.1.7.0/24",
    "!10.1.7.0/24",
    "10.1.7.9/32",
    "2001:db8:1::/48",
    "!2001:db8:1:6::/64",
    "2001:db8:1:6:8000::/65",
];

/// What becomes of a packet under the policy of the table, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// The closed service admits it.
    Admitted,
    /// The closed service drops it.
    Denied,
    /// The service without entries admits it.
    Open,
    /// The service in mode monitor passes it.
    WouldDeny,
    /// Its port belongs to no service: passed.
    NoService,
    /// Nothing that a port could be read from, and passed.
    Passed(Aside),
    /// A later fragment: passed, where fragments are strict only if the closed service allows the source.
    Later {
        /// Whether it does.
        allowed: bool,
    },
    /// Dropped where a closed service is enforced, else counted and passed.
    Unreadable(Aside),
}

/// A packet and what is to become of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) name: String,
    /// From the Ethernet header on.
    pub(crate) frame: Vec<u8>,
    /// What is to become of it.
    pub(crate) fate: Fate,
}

/// A row.
pub(crate) fn row(name: impl Into<String>, frame: Vec<u8>, fate: Fate) -> Row {
    Row { name: name.into(), frame, fate }
}

/// Every row.
pub(crate) fn rows() -> Vec<Row> {
    let rooms = [
        frames::rows(),
        ipv4::rows(),
        ipv6::rows(),
        chains::rows(),
        chains::long_rows(),
        transport::rows(),
        sources::rows(),
    ];
    rooms.into_iter().flatten().collect()
}
