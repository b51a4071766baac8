//! The daemon as if it were of a later release, with another program and other maps: what upgrades are tested with.

use std::process::ExitCode;

fn main() -> ExitCode {
    allowlist::daemon::main()
}
