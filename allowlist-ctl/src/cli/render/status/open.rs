//! What is open: told first, each with what closes it.

use std::io::{self, Write};

use super::super::without_entries;
use crate::{
    api::{ServiceState, ServiceStatus},
    cli::console::{Paint, Style},
    policy::service::Mode,
};

/// Writes the services that admit everyone, and returns whether there are any.
///
/// # Errors
/// What `out` answers.
pub(super) fn open(
    services: &[ServiceStatus],
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<bool> {
    let mut are_any = false;
    for ServiceStatus { name, mode, state, entries, .. } in services {
        let is_without = *entries == 0 && *state == ServiceState::Open;
        let sentence = match mode {
            Mode::Off => format!("Mode off: {name} is accessible to everyone."),
            _ if is_without => without_entries(name, *state),
            Mode::Monitor => {
                format!(
                    "Mode monitor: {name} is accessible to everyone, and counts whom it would deny."
                )
            }
            Mode::Enforce => continue,
        };
        are_any = true;
        writeln!(out, "{}", paint.paint(Style::Alarm, &sentence))?;
        if *mode != Mode::Enforce {
            writeln!(out, "  judge it: allowlist-ctl mode {name} enforce")?;
        }
        if is_without {
            writeln!(out, "  the first entry closes it: allowlist-ctl add {name} CIDR")?;
        }
    }
    Ok(are_any)
}
