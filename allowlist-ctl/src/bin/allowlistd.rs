//! The daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    allowlist::daemon::main()
}
