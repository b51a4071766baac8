//! The allowlist: policy, kernel, store, daemon and command line.
pub mod api;
pub mod daemon;
pub mod kernel;
pub mod policy;
pub mod store;
mod version;
