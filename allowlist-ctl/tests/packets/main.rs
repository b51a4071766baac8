//! The table of packets, scapy's and random ones, judged by the host's code and by the loaded program, and sent to it
//! over a cable. Needs root.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod bed;
mod counted;
mod expiry;
mod faults;
mod fuzz;
mod host;
mod modes;
mod pinned;
mod policies;
mod refusals;
mod rows;
mod scapy;
#[path = "../../../allowlist-common/tests/packets/table/mod.rs"]
mod table;
mod tried;
mod truncated;
mod variants;
mod verifier;
mod watched;
mod wire;
