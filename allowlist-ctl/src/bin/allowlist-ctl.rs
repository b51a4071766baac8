//! The command line of the allowlist.

use std::process::ExitCode;

fn main() -> ExitCode {
    allowlist::cli::main()
}
