//! The table of packets and random ones, judged by the host's code and by the loaded program. Needs root.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod bed;
mod counted;
mod expiry;
mod fuzz;
mod host;
mod policies;
mod refusals;
mod rows;
#[path = "../../../allowlist-common/tests/packets/table/mod.rs"]
mod table;
mod truncated;
mod verifier;
