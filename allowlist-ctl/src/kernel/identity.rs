//! Which store the policy in force is from, pinned beside the filter.

use std::{fs, io, path::Path};

use allowlist_common::abi::StoreIdentity;
use aya::maps::{Array, Map, MapData, MapError, MapType};
use nix::{
    errno::Errno,
    sys::statvfs::{FsFlags, statvfs},
};

use super::{
    Kernel, Pins,
    error::{LoadError, PinError},
    retry::{Calls, os_error, pin},
};

type Value = [u8; StoreIdentity::BYTES];

/// What an earlier daemon left in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InForce {
    /// Nothing.
    Nothing,
    /// A filter that does not say which store its policy is from.
    Nameless,
    /// The policy of a store.
    From(StoreIdentity),
}

impl Pins {
    /// What an earlier daemon left in force.
    ///
    /// # Errors
    /// [`LoadError`] where the pins cannot be read.
    pub fn in_force(&self) -> Result<InForce, LoadError> {
        let path = self.store();
        let unreadable = |source: io::Error| LoadError::pin(&path, source);
        if path.is_dir() {
            tracing::warn!("{} does not say which store it is from", path.display());
        } else if fs::exists(&path).map_err(unreadable)? {
            match read(&path) {
                Ok(identity) => return Ok(InForce::From(identity)),
                Err(error) => match os_error(&error).and_then(io::Error::raw_os_error) {
                    // What is there is something else.
                    None | Some(libc::EINVAL) => {
                        tracing::warn!("{} does not say which store it is from", path.display());
                    }
                    Some(libc::EPERM | libc::EACCES) => return Err(LoadError::Capability),
                    Some(code) => return Err(unreadable(io::Error::from_raw_os_error(code))),
                },
            }
        }
        let links = self.pinned_links().map_err(unreadable)?;
        Ok(if links.is_empty() { InForce::Nothing } else { InForce::Nameless })
    }
}

fn read(path: &Path) -> Result<StoreIdentity, MapError> {
    Ok(StoreIdentity::from_bytes(&open(path)?.get(&0, 0)?))
}

/// The map that is pinned there, where it is one of ours.
fn open(path: &Path) -> Result<Array<MapData, Value>, MapError> {
    let data = MapData::from_pin(path)?;
    if !matches!(data.info()?.map_type(), Ok(MapType::Array)) {
        return Err(MapError::InvalidMapType { map_type: 0 });
    }
    // That it is of this length is checked here.
    Array::try_from(Map::Array(data))
}

fn make(pins: &Pins, identity: &StoreIdentity, calls: &Calls) -> Result<(), PinError> {
    let (path, made) = (pins.store(), pins.new_store());
    let failed = |source: io::Error| PinError { path: path.clone(), source };
    let refused = |error: MapError| {
        let code = os_error(&error).and_then(io::Error::raw_os_error);
        failed(code.map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error))
    };
    // Filled before anybody can find it.
    let mut map = calls.patiently(|| Array::<MapData, Value>::create(1, 0)).map_err(refused)?;
    calls.patiently(|| map.set(0, identity.to_bytes(), 0)).map_err(refused)?;
    // One that an earlier daemon left that came no further.
    let _ = fs::remove_file(&made);
    pin(calls, || map.pin(&made)).map_err(failed)?;
    if path.is_dir() {
        // Nothing of ours.
        fs::remove_dir_all(&path).map_err(failed)?;
    }
    fs::rename(&made, &path).map_err(failed)
}

impl Kernel {
    /// Pins which store the policy in force is from.
    ///
    /// # Errors
    /// [`PinError`]; what was pinned before stays.
    pub fn note_store(&self, identity: &StoreIdentity) -> Result<(), PinError> {
        self.check_writable()?;
        let path = self.pins.store();
        if let Ok(mut map) = open(&path)
            && self.calls.patiently(|| map.set(0, identity.to_bytes(), 0)).is_ok()
        {
            return Ok(());
        }
        make(&self.pins, identity, &self.calls)
    }

    /// Checks that something could be pinned, and pins again which store is in force where that is not `noted` or gone.
    ///
    /// # Errors
    /// [`PinError`] says what is in the way.
    pub fn check_pins(&self, identity: &StoreIdentity, noted: bool) -> Result<(), PinError> {
        self.check_writable()?;
        let failed = |source: io::Error| PinError { path: self.pins.store(), source };
        if noted && fs::exists(self.pins.store()).map_err(failed)? {
            return Ok(());
        }
        self.note_store(identity)
    }

    /// Checks that a pin could be removed.
    ///
    /// # Errors
    /// That the BPF file system is read-only.
    pub fn may_unpin(&self) -> io::Result<()> {
        match self.check_writable() {
            Err(PinError { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Err(source)
            }
            // One that is not there has no pins.
            _ => Ok(()),
        }
    }

    fn check_writable(&self) -> Result<(), PinError> {
        let root = self.pins.directory();
        let failed = |errno: Errno| PinError { path: root.to_owned(), source: errno.into() };
        let about = statvfs(root).map_err(failed)?;
        if about.flags().contains(FsFlags::ST_RDONLY) { Err(failed(Errno::EROFS)) } else { Ok(()) }
    }
}
