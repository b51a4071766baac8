//! Test networks out of network namespaces, for the demo and the end-to-end tests.
//!
//! Everything made here is a guard: it is taken away when it is dropped, and also when the process
//! is interrupted, once [`clean_up_on_signals`] was called. All of it needs root.

mod bpffs;
mod client;
mod namespace;
mod network;
mod packets;
mod process;
mod redis;
mod scratch;
mod sweep;
mod undo;
mod wait;
mod wire;

pub use self::{
    bpffs::Bpffs,
    client::{Answer, Client},
    namespace::Namespace,
    network::{Host, INTERFACE, Network, link},
    packets::PacketSocket,
    process::Process,
    redis::{Connection, PingLoop, redis_server},
    scratch::Scratch,
    sweep::sweep,
    undo::{Undo, clean_up_on_signals, keep},
    wait::{pace, until},
    wire::{Tap, Wire, udp_frame},
};
