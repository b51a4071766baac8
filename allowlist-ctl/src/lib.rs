//! The allowlist: policy, kernel, store, daemon and command line.
pub mod policy;
pub mod kernel;
pub mod store;
