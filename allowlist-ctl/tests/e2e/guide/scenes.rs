//! What is there before a page's first block, where that is more than the daemon.

use anyhow::Result;

use super::machine::Machine;

/// A machine whose redis admits this address, or is not protected yet.
pub(super) fn redis(admitted: Option<&str>) -> Result<Machine> {
    let mut machine = Machine::installed()?;
    machine.server.add_redis()?;
    if let Some(address) = admitted {
        machine.typed("server", "allowlist-ctl protect redis tcp/6379")?;
        machine.typed("server", &format!("allowlist-ctl add redis {address}"))?;
    }
    Ok(machine)
}
