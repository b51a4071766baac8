//! What this host's own network stack knows, asked by netlink: its connections, and the ways packets take to it.
//!
//! Everything is that of the network namespace of the thread that asks, and needs no capability. No policy and no
//! XDP here.

pub(crate) mod changes;
mod connections;
mod links;
pub(crate) mod netlink;
mod routes;
mod topology;

pub use self::{
    connections::{Connection, established},
    topology::Topology,
};
