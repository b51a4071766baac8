//! What is pinned beside the links, held so that it can be pinned again: who removes a pin does not mean to end what
//! counts, or what tells of denials, with the next stop of the daemon.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
};

use super::{
    Kernel, Pins,
    error::PinError,
    sys::{open_pin, pin},
};

/// By path.
#[derive(Debug, Default)]
pub(super) struct Pinned(BTreeMap<PathBuf, OwnedFd>);

impl Pinned {
    /// Holds what is pinned now.
    ///
    /// # Errors
    /// What the file system or the kernel answered.
    pub(super) fn hold(&mut self, pins: &Pins) -> io::Result<()> {
        for path in pins.of_this_version()? {
            if let Entry::Vacant(place) = self.0.entry(path) {
                let held = open_pin(place.key())?;
                place.insert(held);
            }
        }
        Ok(())
    }
}

impl Kernel {
    /// Pins again what was pinned beside the links and is not there any more.
    ///
    /// # Errors
    /// [`PinError`] says what is in the way.
    pub fn pin_again(&self) -> Result<(), PinError> {
        for (path, held) in &self.pinned.0 {
            let failed = |source| PinError { path: path.clone(), source };
            if fs::exists(path).map_err(failed)? {
                continue;
            }
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory).map_err(failed)?;
            }
            pin(held.as_fd(), path).map_err(failed)?;
        }
        Ok(())
    }
}
