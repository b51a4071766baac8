//! What can go wrong with the kernel, in sentences.

use std::{
    io,
    path::{Path, PathBuf},
};

use aya::maps::MapError;

use super::{budget::OverBudget, retry::os_error};
use crate::policy::table::TableFull;

/// Why the program could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The caller lacks a capability.
    #[error(
        "the kernel does not let this process load an XDP program: run allowlistd as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    Capability,
    /// The kernel has no support for something.
    #[error("this kernel cannot {feature}: Linux 5.10 or newer is needed ({source})")]
    TooOld {
        /// What it cannot do.
        feature: &'static str,
        /// What it answered.
        source: io::Error,
    },
    /// The verifier refused the program.
    #[error(
        "the kernel's verifier refused the program; start with RUST_LOG=debug to see its log, and please report it ({source})"
    )]
    Verifier {
        /// What it answered.
        source: io::Error,
    },
    /// Memory.
    #[error(
        "the kernel has no memory for the program's maps ({source}): free some and start again"
    )]
    Memory {
        /// What it answered.
        source: io::Error,
    },
    /// Something is in the way that should not last.
    #[error("the kernel is busy ({source}): start again")]
    Passing {
        /// What it answered.
        source: io::Error,
    },
    /// The BPF file system.
    #[error("{path} is not a BPF file system and none could be mounted there: {source}")]
    Bpffs {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A pin.
    #[error("cannot use the pin {path}: {source}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot load the XDP program: {0}")]
    Other(String),
}

impl LoadError {
    pub(super) fn pin(path: &Path, source: io::Error) -> Self {
        Self::Pin { path: path.to_owned(), source }
    }
}

/// Why pins could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove the pins in {}: {source}", .path.display())]
pub struct RemoveError {
    /// The directory of all pins.
    pub(super) path: PathBuf,
    /// What the file system answered.
    pub(super) source: io::Error,
}

impl RemoveError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let is_read_only = self.source.kind() == io::ErrorKind::ReadOnlyFilesystem;
        let place = self.path.parent().unwrap_or(&self.path).display();
        is_read_only.then(|| {
            format!(
                "remount it read-write with `mount -o remount,rw {place}`, and type `allowlistd --detach` again"
            )
        })
    }
}

/// Why something could not be pinned.
#[derive(Debug, thiserror::Error)]
#[error("nothing can be pinned at {path}: {source}")]
pub struct PinError {
    /// Where.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Why the maps could not be brought to a policy.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The policy does not fit.
    #[error(transparent)]
    TableFull(#[from] TableFull),
    /// No slot is left for a list of entries.
    #[error("the kernel tables hold no more lists of entries")]
    PoolFull,
    /// The memory for entries is bounded.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The kernel refused an update again and again.
    #[error("the kernel refused an update ({}); nothing has changed", reason(.0))]
    Refused(#[from] MapError),
    /// The kernel refused an update and taking back what went before it.
    #[error(
        "{0}; but part of the change stays in force until the kernel takes an update: that is tried every second"
    )]
    HalfDone(Box<SyncError>),
}

/// Why packets are not watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The program that watches.
    #[error("cannot load the program that watches: {0}")]
    Load(#[from] LoadError),
    /// The maps.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// What the kernel answered, which aya's own words leave out.
fn reason(error: &MapError) -> String {
    os_error(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Why the program is not on an interface.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No such interface.
    #[error("there is no interface '{0}'")]
    NoSuchInterface(String),
    /// The interface's frames begin with another header.
    #[error(
        "'{0}' has no Ethernet header (a tunnel, most likely): attach to the interface that carries the tunnel, or to the one behind it"
    )]
    NotEthernet(String),
    /// Another XDP program is there.
    #[error(
        "'{interface}' has an XDP program of somebody else, with id {program}: see `bpftool prog show id {program}` and take it off"
    )]
    Taken {
        /// The interface.
        interface: String,
        /// Id of the other program.
        program: u32,
    },
    /// Another XDP program was there, or still is where it is not seen.
    #[error("'{0}' has another XDP program, or one lies on it: try again")]
    Busy(String),
    /// An interface above has a program.
    #[error(
        "'{interface}' takes no program while '{above}', which lies on it, has one: attach '{interface}' first, or '{above}' alone"
    )]
    Below {
        /// The interface.
        interface: String,
        /// The one above.
        above: String,
    },
    /// The driver and the asked-for mode do not go together.
    #[error("'{interface}' does not take the program in mode {mode}: {reason}")]
    Mode {
        /// The interface.
        interface: String,
        /// What was asked for.
        mode: &'static str,
        /// What the kernel answered.
        reason: String,
    },
    /// The kernel attaches only without a link, so the filter would end with the daemon.
    #[error(
        "the kernel cannot hold the program on '{0}' by a BPF link: Linux 5.10 or newer is needed"
    )]
    NoLink(String),
    /// There is no program.
    #[error("the program is not loaded")]
    NotLoaded,
    /// The pin of the link.
    #[error("cannot pin the filter of '{interface}' in {path}: {source}")]
    Pin {
        /// The interface.
        interface: String,
        /// The directory of pins.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The maps could not be prepared for the interface.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Interfaces could not be listed.
    #[error("cannot list the interfaces: {0}")]
    Netlink(#[source] io::Error),
}
