//! What the eBPF program and the daemon must agree on.
//!
//! Everything here is plain `no_std` code: [`packet`] is the seam to a packet's bytes, [`parse`] finds the
//! addresses and the port a packet is judged by, [`decide`] turns them into a verdict over the layouts in
//! [`abi`] and, for long lists, in [`flat`]. The same functions run in the kernel, in the daemon and in the tests on the host.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "the eBPF program is one function, and the verifier follows it better so"
)]

pub mod abi;
pub mod decide;
pub mod flat;
pub mod packet;
pub mod parse;
