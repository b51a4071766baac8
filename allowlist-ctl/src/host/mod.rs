//! What this host's own network stack knows, asked by netlink: its connections, what listens on it,
//! and the ways packets take to it.
//!
//! Everything is that of the network namespace of the thread that asks, and needs no capability. No policy and no
//! XDP here.

mod addresses;
pub(crate) mod changes;
mod connections;
mod links;
mod listeners;
mod names;
pub(crate) mod netlink;
mod routes;
mod topology;

pub use self::{
    addresses::addresses,
    connections::{Connection, established},
    listeners::{Listener, Listeners, Transport, listeners},
    names::{MAX_INTERFACE_NAME, is_interface_name},
    topology::Topology,
};
