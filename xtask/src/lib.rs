//! What the project's own commands share with the daemon's build script and end-to-end tests.

pub mod lab;
pub mod random;
pub mod toolchain;
