//! Putting the program on an interface.

use std::{io, os::fd::BorrowedFd};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Interface, error::AttachError, ethtool, interfaces, link::Link, refusal, retry::Calls, sys::Run,
};

/// How the program is to run on an interface.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver where that goes, else generic.
    #[default]
    Auto,
    /// In the driver only.
    Native,
    /// In the network stack, on any interface.
    Generic,
}

/// A new link, native where it goes, with the reason where it is generic. It is not pinned yet.
///
/// # Errors
/// [`AttachError`]; the interface is as before then.
pub(super) fn create(
    program: BorrowedFd<'_>,
    interface: &Interface,
    mode: XdpMode,
    calls: &Calls,
) -> Result<(Link, Option<String>), AttachError> {
    if !interface.is_ethernet {
        return Err(AttachError::NotEthernet(interface.name.clone()));
    }
    let create = |run| Link::create(program, interface.ifindex, run, &interface.name, calls);
    let reason = match mode {
        XdpMode::Generic => "as configured".to_owned(),
        XdpMode::Auto | XdpMode::Native => match create(Run::Native) {
            Ok(link) => return Ok((link, None)),
            Err(error) => why_not_native(&error, interface)?,
        },
    };
    if mode == XdpMode::Native {
        let interface = interface.name.clone();
        return Err(AttachError::Mode { interface, mode: "native", reason });
    }
    let link = create(Run::Generic).map_err(|error| why_not_generic(&error, interface))?;
    Ok((link, Some(reason)))
}

/// Why native XDP is not to be had; an error where generic XDP is not either.
fn why_not_native(error: &io::Error, interface: &Interface) -> Result<String, AttachError> {
    if let Some(error) = in_the_way(error, interface) {
        return Err(error);
    }
    let code = error.raw_os_error().unwrap_or(0);
    Ok(refusal::why(code, interface, &ethtool::driver(&interface.name)))
}

fn why_not_generic(error: &io::Error, interface: &Interface) -> AttachError {
    if let Some(error) = in_the_way(error, interface) {
        return error;
    }
    match error.raw_os_error() {
        // Nothing but links is new in what was asked for.
        Some(libc::EINVAL) => AttachError::NoLink(interface.name.clone()),
        _ => AttachError::Mode {
            interface: interface.name.clone(),
            mode: "generic",
            reason: error.to_string(),
        },
    }
}

/// What else there is that the program cannot go where it is.
fn in_the_way(error: &io::Error, interface: &Interface) -> Option<AttachError> {
    let name = || interface.name.clone();
    match error.raw_os_error()? {
        libc::ENODEV => Some(AttachError::NoSuchInterface(name())),
        libc::EBUSY | libc::EEXIST => {
            let present = interfaces().unwrap_or_default();
            let is_it = |one: &&Interface| one.ifindex == interface.ifindex;
            if let Some(program) = present.iter().find(is_it).and_then(|here| here.program) {
                return Some(AttachError::Taken { interface: name(), program });
            }
            // The kernel takes no program below one of an interface that lies on this one.
            let lies_on_it = |one: &&Interface| {
                one.lower == Some(interface.ifindex) || interface.master == Some(one.ifindex)
            };
            let above = present.iter().filter(lies_on_it).find(|one| one.program.is_some());
            Some(match above {
                Some(above) => AttachError::Below { interface: name(), above: above.name.clone() },
                // It was gone by the time that it was looked for.
                None => AttachError::Busy(name()),
            })
        }
        _ => None,
    }
}
