//! Where the filter is pinned, so that it outlives the daemon.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use allowlist_common::abi::{ABI_VERSION, HITS_PAGES, maps};
use aya::maps::{MapData, MapError, MapInfo, MapType};
use jiff::Timestamp;

use super::{
    bpffs,
    error::{LoadError, RemoveError},
    link::remove,
    retry::{Calls, copy, os_error, tells_nothing},
};

/// The directory of pins: `BPFFS/allowlist`.
///
/// `links/` has a pin for each link ([`PinnedName`]); `v1/` has the program and the counters of ABI version
/// 1; `store` says which store
/// the policy is from.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
}

impl Pins {
    /// The pins under the BPF file system at `bpffs`.
    #[must_use]
    pub fn at(bpffs: &Path) -> Self {
        Self { root: bpffs.join("allowlist") }
    }

    /// The directory of all pins.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.root
    }

    /// When the counters began at zero: they are as old as their pin. None where they are not pinned.
    #[must_use]
    pub fn counting_since(&self) -> Option<Timestamp> {
        let counters = self.maps().join(maps::UNMATCHED_COUNTERS);
        Timestamp::try_from(fs::metadata(counters).ok()?.modified().ok()?).ok()
    }

    /// Makes the directories, mounting a BPF file system where there is none and that is allowed.
    ///
    /// # Errors
    /// [`LoadError`] where the directories cannot be made.
    pub fn prepare(&self) -> Result<(), LoadError> {
        bpffs::ensure(self.root.parent().unwrap_or(&self.root))?;
        for directory in [self.links(), self.maps()] {
            fs::create_dir_all(&directory).map_err(|source| LoadError::pin(&directory, source))?;
        }
        Ok(())
    }

    pub(super) fn link(&self, name: &PinnedName) -> PathBuf {
        self.links().join(&name.0)
    }

    /// Where a counter map is pinned; a pin that is not such a map is removed first.
    ///
    /// # Errors
    /// [`LoadError::Pin`] where it cannot be told what is pinned there, or a wrong pin cannot be removed.
    pub(super) fn counters(
        &self,
        name: &str,
        entries: u32,
        calls: &Calls,
    ) -> Result<PathBuf, LoadError> {
        let path = self.maps().join(name);
        let is_it = |info: &MapInfo| {
            info.max_entries() == entries
                && info.key_size() == 4
                && info.value_size() == 16
                && matches!(info.map_type(), Ok(MapType::PerCpuArray))
        };
        match pinned_map(&path, calls, is_it) {
            Ok(_) => Ok(path),
            Err(source) => Err(LoadError::pin(&path, source)),
        }
    }

    /// Where it is pinned which store the policy in force is from. It is no directory of a version's, so that every
    /// release finds it.
    pub(super) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Where the same is pinned until it takes the place of what is there.
    pub(super) fn new_store(&self) -> PathBuf {
        self.root.join("store_new")
    }

    /// Forgets what was counted and hit, which a filter in force goes on to count: for a store whose services and
    /// entries are others.
    ///
    /// # Errors
    /// [`LoadError::Pin`].
    pub fn forget_counts(&self) -> Result<(), LoadError> {
        let counters = Self::counter_maps().map(|(name, _)| self.maps().join(name));
        for path in counters.into_iter().chain((0..HITS_PAGES).map(|index| self.hits(index))) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LoadError::pin(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where a page of last hits is pinned.
    pub(super) fn hits(&self, index: u32) -> PathBuf {
        self.maps().join(format!("HITS_{index}"))
    }

    /// Where something that belongs to one program is pinned: until that has taken over from an earlier one, under a name
    /// of its own.
    pub(super) fn of_program(&self, what: OfProgram, is_new: bool) -> PathBuf {
        self.maps().join(match (what, is_new) {
            (OfProgram::Itself, false) => "PROGRAM",
            (OfProgram::Itself, true) => "PROGRAM_NEW",
            (OfProgram::Next, false) => "NEXT",
            (OfProgram::Next, true) => "NEXT_NEW",
        })
    }

    /// What this version has pinned beside the links.
    ///
    /// # Errors
    /// What the file system answered.
    pub(super) fn of_this_version(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(self.maps())?.map(|entry| Ok(entry?.path())).collect()
    }

    /// Removes what releases with other layouts have pinned, once none of their programs is in force any more.
    ///
    /// # Errors
    /// What the file system answered.
    pub(super) fn remove_other_versions(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            let version = path.file_name().and_then(|name| name.to_str()?.strip_prefix('v'));
            if version.is_some_and(|version| version.parse::<u32>().is_ok()) && path != self.maps()
            {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }

    /// The pins of links.
    ///
    /// # Errors
    /// What the file system answered; a missing directory has no pins.
    pub fn pinned_links(&self) -> io::Result<Vec<PinnedName>> {
        let entries = match fs::read_dir(self.links()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            found.extend(entry?.file_name().into_string().ok().map(PinnedName));
        }
        Ok(found)
    }

    /// Takes the filter off every interface by removing its pins; a daemon that runs still holds its links.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub fn remove_all(&self) -> Result<(), RemoveError> {
        match fs::remove_dir_all(&self.root) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(RemoveError { path: self.root.clone(), source })
            }
            _ => Ok(()),
        }
    }

    /// Names of the maps that go on counting over restarts, with their lengths.
    pub(super) fn counter_maps() -> [(&'static str, u32); 2] {
        use allowlist_common::abi::{Judged, SERVICES, Unmatched};
        let services = u32::try_from(SERVICES).unwrap_or(u32::MAX) * Judged::SLOTS;
        [(maps::SERVICE_COUNTERS, services), (maps::UNMATCHED_COUNTERS, Unmatched::SLOTS)]
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    fn maps(&self) -> PathBuf {
        self.root.join(format!("v{ABI_VERSION}"))
    }
}

/// The map that is pinned there, where it is like this; anything else is removed.
///
/// # Errors
/// What the file system or the kernel answered. What is there stays where that is not told.
pub(super) fn pinned_map(
    path: &Path,
    calls: &Calls,
    is_it: impl FnOnce(&MapInfo) -> bool,
) -> io::Result<Option<MapData>> {
    if !path.is_dir() {
        let opened = calls.once(|| {
            let map = MapData::from_pin(path)?;
            Ok::<_, MapError>((map.info()?, map))
        });
        match opened {
            Ok((info, map)) if is_it(&info) => return Ok(Some(map)),
            Err(error) => match os_error(&error) {
                Some(error) if tells_nothing(error) => return Err(copy(error)),
                _ => {}
            },
            Ok(_) => {}
        }
    }
    remove(path).map(|()| None)
}

/// What belongs to one program and is pinned with it.
#[derive(Clone, Copy)]
pub(super) enum OfProgram {
    /// The program that judges, for whoever wants to look at it.
    Itself,
    /// The array with the programs that go on with a packet. The kernel empties such an array when the last descriptor
    /// and pin of it are gone, and the daemon's descriptors end with the daemon.
    Next,
}

impl OfProgram {
    pub(super) const ALL: [Self; 2] = [Self::Itself, Self::Next];
}

/// What the pin of a link is called: its id, and the name that its interface is wanted by.
///
/// Names of interfaces may have dots, those of pins may not: whatever is neither a letter, a digit, `_` nor `-` is written
/// as `%` and two hexadecimal digits a byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PinnedName(String);

impl PinnedName {
    pub(super) fn new(id: u32, label: &str) -> Self {
        let mut name = format!("{id}-");
        for byte in label.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
                name.push(byte.into());
            } else {
                let _ = write!(name, "%{byte:02x}");
            }
        }
        Self(name)
    }

    /// The name that the interface is wanted by; pins that are not called so tell none.
    pub(super) fn label(&self) -> Option<String> {
        let (id, escaped) = self.0.split_once('-')?;
        id.parse::<u32>().ok()?;
        let mut bytes = Vec::new();
        let mut rest = escaped.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        }
        String::from_utf8(bytes).ok().filter(|label| !label.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_pin_tells_that_of_the_interface() {
        let table = [
            ("eth0", "7-eth0"),
            ("eth0.5", "7-eth0%2e5"),
            ("br-1f2e_x", "7-br-1f2e_x"),
            ("a%b", "7-a%25b"),
            ("é", "7-%c3%a9"),
        ];
        for (label, expected) in table {
            let name = PinnedName::new(7, label);
            assert_eq!(name.0, expected);
            assert_eq!(name.label().as_deref(), Some(label));
        }
        for other in ["5", "-eth0", "x-eth0", "7-", "7-a%2", "7-%zz", "7-%ff", "notes"] {
            assert_eq!(PinnedName(other.to_owned()).label(), None, "{other}");
        }
    }
}
