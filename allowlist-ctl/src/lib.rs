//! Allowlist: an IP allowlist that a server enforces in the kernel, before the network stack sees the packet.
//!
//! Two thin binaries, `allowlistd` and `allowlist-ctl`, stand on this library. Its rooms depend on each other one
//! way: everything on [`policy`], `daemon` and `cli` on [`api`] and never on each other; only [`kernel`] knows aya.
//! [`host`] depends on nothing.

pub mod api;
pub mod cli;
pub mod daemon;
pub mod host;
pub mod kernel;
mod patience;
pub mod policy;
pub mod store;
mod version;
mod words;
