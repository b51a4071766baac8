//! A link: what holds the program on an interface, by its descriptor and by its pin.
//!
//! The descriptor is what counts while the daemon runs; the pin keeps the link over the daemon's end. A pin is named by
//! the link's id and the name that the interface is wanted by, so that both are known after a restart.

use std::{
    fs, io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use super::{
    Pins,
    pins::PinnedName,
    retry::Calls,
    sys::{self, LinkState, Run},
};

/// A link that is held.
#[derive(Debug)]
pub(super) struct Link {
    fd: OwnedFd,
    id: u32,
    /// What its pin is called.
    pin: PinnedName,
}

impl Link {
    /// Puts a program on an interface.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn create(
        program: BorrowedFd<'_>,
        ifindex: u32,
        run: Run,
        label: &str,
        calls: &Calls,
    ) -> io::Result<Self> {
        let fd = calls.ask(|| sys::create_link(program, ifindex, run))?;
        let state = sys::link_state(fd.as_fd())?;
        let id = state.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?.id;
        Ok(Self { fd, id, pin: PinnedName::new(id, label) })
    }

    /// The link that is pinned so, and what it is; `None` where that is none of XDP.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn from_pin(
        pins: &Pins,
        pin: PinnedName,
        calls: &Calls,
    ) -> io::Result<Option<(Self, LinkState)>> {
        let fd = calls.ask(|| sys::open_pin(&pins.link(&pin)))?;
        let state = sys::link_state(fd.as_fd())?;
        Ok(state.map(|state| (Self { fd, id: state.id, pin }, state)))
    }

    /// What the kernel says of it.
    ///
    /// # Errors
    /// What it answered.
    pub(super) fn state(&self) -> io::Result<LinkState> {
        let state = sys::link_state(self.fd.as_fd())?;
        state.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
    }

    /// Whether its pin is called so.
    pub(super) fn is_called(&self, pin: &PinnedName) -> bool {
        self.pin == *pin
    }

    /// Its id.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    /// Has it run another program from the next packet on.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn run(&self, program: BorrowedFd<'_>, calls: &Calls) -> io::Result<()> {
        calls.ask(|| sys::update_link(self.fd.as_fd(), program))
    }

    /// Whether its pin is there and is its own.
    pub(super) fn is_pinned(&self, pins: &Pins) -> bool {
        let pinned = sys::open_pin(&pins.link(&self.pin));
        match pinned.and_then(|pinned| sys::link_state(pinned.as_fd())) {
            Ok(state) => state.is_some_and(|state| state.id == self.id),
            // Links are opened for writing only, so that it cannot be asked; nothing can have become of it either.
            Err(error) => error.kind() == io::ErrorKind::ReadOnlyFilesystem,
        }
    }

    /// Pins it, in the place of what is there.
    ///
    /// # Errors
    /// What the kernel or the file system answered.
    pub(super) fn pin(&self, pins: &Pins, calls: &Calls) -> io::Result<()> {
        let path = pins.link(&self.pin);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        remove(&path)?;
        calls.ask(|| sys::pin(self.fd.as_fd(), &path))
    }

    /// Removes the pin, so that the program is taken off when this is dropped.
    ///
    /// # Errors
    /// What the file system answered; without a pin there is nothing to be removed.
    pub(super) fn unpin(&self, pins: &Pins) -> io::Result<()> {
        remove(&pins.link(&self.pin))
    }

    /// Has its pin tell another name of the interface.
    ///
    /// # Errors
    /// What the file system answered; the pin is then as it was. One that is gone is no error.
    pub(super) fn label(&mut self, pins: &Pins, label: &str) -> io::Result<()> {
        let pin = PinnedName::new(self.id, label);
        if pin != self.pin {
            match fs::rename(pins.link(&self.pin), pins.link(&pin)) {
                // It is put back under the new name.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
            self.pin = pin;
        }
        Ok(())
    }
}

/// Removes what is there, whatever it is.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(path),
        removed => removed,
    }
}
