//! What the eBPF program and the daemon must agree on.
//!
//! Everything here is plain `no_std` code: [`packet`] is the seam to a packet's bytes, [`parse`] finds the
//! addresses and the port a packet is judged by, [`decide`] turns them into a verdict over the layouts in
//! [`abi`]. The same functions run in the kernel, in the daemon and in the tests on the host.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod abi;
pub mod decide;
pub mod packet;
pub mod parse;
