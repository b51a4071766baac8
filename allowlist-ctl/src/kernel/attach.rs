//! Putting the program on interfaces, and taking it off.

use std::{fs, io, path::Path};

use aya::programs::{
    ProgramError, Xdp,
    links::{FdLink, LinkError, PinnedLink},
    xdp::{XdpLink, XdpLinkId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{
    Interface, Pins,
    error::AttachError,
    retry::{self, Calls},
    sys::pinned_link_ifindex,
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

/// The program on an interface.
#[derive(Debug)]
pub struct Attached {
    /// The interface's name.
    pub interface: String,
    /// Its index.
    pub ifindex: u32,
    /// Whether the program runs in generic mode, and if so why.
    pub generic: Option<String>,
    /// Keeps the link; the pin keeps it over the daemon's end.
    #[expect(dead_code, reason = "the program is on the interface for as long as this is held")]
    link: FdLink,
}

/// Puts the program on an interface, taking over the link that is pinned for it.
///
/// A take-over replaces the program of the link in one step: no packet is judged by nothing.
///
/// # Errors
/// [`AttachError`]; the interface is as before then.
pub(super) fn attach(
    program: &mut Xdp,
    pins: &Pins,
    interface: &Interface,
    mode: XdpMode,
    calls: &Calls,
) -> Result<Attached, AttachError> {
    if !interface.is_ethernet {
        return Err(AttachError::NotEthernet(interface.name.clone()));
    }
    let path = pins.link(interface.ifindex);
    let refused = |error: ProgramError| AttachError::TakeOver {
        interface: interface.name.clone(),
        source: os_code(&error)
            .map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error),
    };
    let taken_over = match pinned_link(&path, interface.ifindex) {
        Some(link) => Some(link.and_then(|link| take_over(program, link, calls)).map_err(refused)?),
        None => None,
    };
    if let Some(link) = taken_over {
        info!(interface = interface.name, "took over the filter that was in force");
        let generic = interface.is_generic.then(|| "kept from before".to_owned());
        return Ok(Attached {
            interface: interface.name.clone(),
            ifindex: interface.ifindex,
            generic,
            link,
        });
    }
    if let Some(program) = interface.program {
        return Err(AttachError::Taken { interface: interface.name.clone(), program });
    }
    let (link, generic) = create(program, interface, mode, calls)?;
    let link = pin(link, &path, calls).map_err(|source| AttachError::Pin {
        interface: interface.name.clone(),
        path,
        source,
    })?;
    Ok(Attached { interface: interface.name.clone(), ifindex: interface.ifindex, generic, link })
}

impl Attached {
    /// Removes the pin, so that the program is taken off when this is dropped.
    ///
    /// # Errors
    /// What the file system answered; without a pin there is nothing to be removed.
    pub(super) fn unpin(&self, pins: &Pins) -> io::Result<()> {
        match fs::remove_file(pins.link(self.ifindex)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Whether the link still holds the interface: not when it is gone, or the link was cut from outside.
    #[must_use]
    pub(super) fn is_in_force(&self, pins: &Pins) -> bool {
        holds(&pins.link(self.ifindex), self.ifindex)
    }
}

/// Whether the link that is pinned there holds the interface.
fn holds(path: &Path, ifindex: u32) -> bool {
    match pinned_link_ifindex(path) {
        Ok(held) => held == Some(ifindex),
        // Links are opened for writing only, so that it cannot be asked; nothing is given up for that.
        Err(error) => error.kind() == io::ErrorKind::ReadOnlyFilesystem,
    }
}

/// The pinned link, where it holds the interface; what else is there is removed.
fn pinned_link(path: &Path, ifindex: u32) -> Option<Result<FdLink, ProgramError>> {
    if !path.exists() {
        return None;
    }
    if holds(path, ifindex) {
        return Some(PinnedLink::from_pin(path).map(FdLink::from).map_err(other));
    }
    if let Err(error) = fs::remove_file(path) {
        warn!("cannot remove the stale pin {}: {error}", path.display());
    }
    None
}

fn take_over(program: &mut Xdp, link: FdLink, calls: &Calls) -> Result<FdLink, ProgramError> {
    let link = XdpLink::try_from(link).map_err(other)?;
    let id = calls.once(|| program.attach_to_link(link))?;
    take_link(program, id)
}

fn take_link(program: &mut Xdp, id: XdpLinkId) -> Result<FdLink, ProgramError> {
    FdLink::try_from(program.take_link(id)?).map_err(other)
}

fn other(error: LinkError) -> ProgramError {
    ProgramError::IOError(match error {
        LinkError::SyscallError(error) => error.io_error,
        error => io::Error::other(error),
    })
}

/// A new link, native where it goes, with the reason where it is generic.
fn create(
    program: &mut Xdp,
    interface: &Interface,
    mode: XdpMode,
    calls: &Calls,
) -> Result<(FdLink, Option<String>), AttachError> {
    let mut create_in = |mode, name| create_in(program, interface, mode, name, calls);
    let native = || aya::programs::XdpMode::Driver;
    let generic = || aya::programs::XdpMode::Skb;
    match mode {
        XdpMode::Native => Ok((create_in(native(), "native")?, None)),
        XdpMode::Generic => {
            let link = create_in(generic(), "generic")?;
            Ok((link, Some("as configured".into())))
        }
        XdpMode::Auto => match create_in(native(), "native") {
            Ok(link) => Ok((link, None)),
            Err(AttachError::Mode { reason, .. }) => {
                let link = create_in(generic(), "generic")?;
                Ok((link, Some(format!("the driver does not take it: {reason}"))))
            }
            Err(error) => Err(error),
        },
    }
}

fn create_in(
    program: &mut Xdp,
    interface: &Interface,
    mode: aya::programs::XdpMode,
    name: &'static str,
    calls: &Calls,
) -> Result<FdLink, AttachError> {
    let refused = |error: &ProgramError| match os_code(error) {
        Some(libc::ENODEV) => AttachError::NoSuchInterface(interface.name.clone()),
        _ => AttachError::Mode {
            interface: interface.name.clone(),
            mode: name,
            reason: reason(error),
        },
    };
    let id = calls
        .once(|| program.attach_to_if_index(interface.ifindex, mode))
        .map_err(|error| refused(&error))?;
    // Where the kernel has no links aya attaches by netlink; dropping that takes the program off again.
    take_link(program, id).map_err(|_| AttachError::NoLink(interface.name.clone()))
}

fn os_code(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::IOError(error) => error.raw_os_error(),
        _ => None,
    }
}

fn reason(error: &ProgramError) -> String {
    match error {
        ProgramError::SyscallError(error) => error.io_error.to_string(),
        other => other.to_string(),
    }
}

fn pin(link: FdLink, path: &Path, calls: &Calls) -> io::Result<FdLink> {
    retry::pin(calls, || link.pin(path)).map(FdLink::from)
}
