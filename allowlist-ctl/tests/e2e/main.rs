//! The real binaries against the real kernel and a real redis, in network namespaces. Needs root.

#![expect(clippy::print_stderr, reason = "a failed test shows the daemon's log")]

mod addresses;
mod admission;
mod api;
mod atomic;
mod bulk;
mod changes;
mod crash;
mod damage;
mod degraded;
mod exit_codes;
mod expiry;
mod followed;
mod full_disk;
mod gap;
mod guard_edges;
mod guards;
mod history;
mod interfaces;
mod kill;
mod links;
mod links_cut;
mod modes;
mod overload;
mod pending;
mod pins;
mod places;
mod privileges;
mod rejects;
mod reports;
mod requests;
mod restart;
mod roles;
mod scans;
mod scope;
mod service_manager;
mod sessions;
mod soak;
mod start_refusals;
mod support;
mod takeover;
mod trail;
mod trail_kept;
mod untouched;
mod upgrade;
