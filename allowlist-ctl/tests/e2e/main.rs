//! The real binaries against the real kernel and a real redis, in network namespaces. Needs root.

#![expect(clippy::print_stderr, reason = "a failed test shows the daemon's log")]

mod addresses;
mod admission;
mod api;
mod changes;
mod crash;
mod exit_codes;
mod interfaces;
mod overload;
mod rejects;
mod reports;
mod requests;
mod restart;
mod scans;
mod scope;
mod start_refusals;
mod support;
mod untouched;
