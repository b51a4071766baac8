//! Whether the store may take over what is in force.
//!
//! A filter outlives the daemon, and says which store its policy is from. A store that is missing, empty, another or an
//! older one would put in force what nobody meant: the start is refused then, before anything is made or changed, and
//! what is in force stays so. `--adopt-store` is how an operator says that it is meant.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

use allowlist_common::abi::StoreIdentity;
use anyhow::Context as _;
use tracing::warn;

use super::{config::Settings, owner};
use crate::{
    kernel::{InForce, Pins},
    policy::Policy,
    store::{Found, GoodCopy, Store, StoreError, quoted},
};

/// A store that may take over.
pub(super) struct TakenOver {
    pub(super) store: Store,
    pub(super) policy: Policy,
    /// Whether another store than the one in force was adopted.
    pub(super) adopted: bool,
    /// Whether what was counted and hit is another store's.
    pub(super) counts_are_foreign: bool,
}

/// Why a store may not take over: a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// There is none, or nothing is in it.
    #[error(
        "{} has no policy, and one is in force{}, which stays so: {}, or start allowlistd once with --adopt-store to begin with an empty policy that admits everyone, or take the filter off with `allowlistd --detach`",
        .path.display(), .of, PutBack(.path, .id.as_ref())
    )]
    Nothing {
        /// The database that there should be.
        path: PathBuf,
        /// What is in force.
        of: Of,
        /// The id of the store in force, where it is known.
        id: Option<[u8; 16]>,
    },
    /// It is another one.
    #[error(
        "{} is another store than the one whose policy is in force, which stays so: {}, or start allowlistd once with --adopt-store to put in force what is in this one, or take the filter off with `allowlistd --detach`",
        .path.display(), PutBack(.path, Some(.id))
    )]
    Another {
        /// The database.
        path: PathBuf,
        /// The id of the store in force.
        id: [u8; 16],
    },
    /// It is one of the past.
    #[error(
        "{} is at revision {found}, and revision {in_force} of it is in force, which stays so: it was put back from a copy, or its allowlist.db-wal was lost; put back the newer one, or start allowlistd once with --adopt-store to put revision {found} in force, or take the filter off with `allowlistd --detach`",
        .path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its revision.
        found: u64,
        /// The revision in force.
        in_force: u64,
    },
    /// It cannot be read.
    #[error("{error}; what is in force stays so. {}", WayBack(.path))]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        error: StoreError,
    },
}

/// The revision in force, where it is known.
#[derive(Debug)]
struct Of(Option<u64>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |revision| write!(f, " (revision {revision})"))
    }
}

/// How to have the store again that is in force, of which the id may be known.
struct PutBack<'a>(&'a Path, Option<&'a [u8; 16]>);

impl fmt::Display for PutBack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One of another store would be refused as well.
        let is_of_it = |copy: &GoodCopy| self.1.is_none_or(|id| copy.identity.id == *id);
        let Some(GoodCopy { path, identity, made }) = GoodCopy::of(self.0).filter(is_of_it) else {
            return f.write_str("put back the one that was there");
        };
        let (command, revision) = (copy_in(self.0, &path, ".away"), identity.revision);
        write!(
            f,
            "put back the one that was there, or its last good copy, of revision {revision} and {made}, with `{command}`"
        )
    }
}

/// What to type where a database is damaged.
struct WayBack<'a>(&'a Path);

impl fmt::Display for WayBack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match GoodCopy::of(self.0) {
            Some(GoodCopy { path, identity, made }) => write!(
                f,
                "The last good copy is {}, of revision {} and {made}: `{}` puts it in its place; then start allowlistd once with --adopt-store, for it may be older than what is in force",
                path.display(),
                identity.revision,
                copy_in(self.0, &path, ".damaged"),
            ),
            None => write!(
                f,
                "There is no good copy: move it away (`{}`) and put back one of yours, and start allowlistd once with --adopt-store; without any, that begins with an empty policy, which admits everyone",
                away(self.0, ".damaged").join(" && "),
            ),
        }
    }
}

/// The commands that move what is there of a database away. What SQLite has beside it must go too, or is written into
/// whatever takes its place.
fn away(database: &Path, to: &str) -> Vec<String> {
    let ending = |ending: &str| {
        let mut path = database.as_os_str().to_owned();
        path.push(ending);
        path
    };
    let there =
        ["", "-wal", "-journal"].into_iter().filter(|part| Path::new(&ending(part)).exists());
    let word = |path: &OsStr| quoted(&path.to_string_lossy());
    there
        .map(|part| format!("mv {} {}", word(&ending(part)), word(&ending(&format!("{to}{part}")))))
        .collect()
}

/// The command that puts a copy in the place of a database.
fn copy_in(database: &Path, copy: &Path, to: &str) -> String {
    let word = |path: &Path| quoted(&path.to_string_lossy());
    let mut commands = away(database, to);
    commands.push(format!("cp -p {} {}", word(copy), word(database)));
    commands.join(" && ")
}

/// Opens the store, where it may take over what is in force.
///
/// # Errors
/// A sentence; nothing has been made or changed then.
pub(super) fn open(settings: &Settings, pins: &Pins) -> anyhow::Result<TakenOver> {
    let in_force = pins.in_force()?;
    let path = Found::path(&settings.state_dir);
    let explain = |error: StoreError| match error {
        error @ StoreError::Damaged { .. } => {
            anyhow::Error::from(Refusal::Damaged { path: path.clone(), error })
        }
        error => error.into(),
    };
    let found = Found::look(&settings.state_dir).map_err(explain)?;
    let identity = found.identity();
    let mut adopted = None;
    if let Err(refusal) = check(&in_force, identity, &path) {
        if !settings.adopt_store {
            return Err(refusal.into());
        }
        let message = adoption(&in_force, identity);
        warn!("{message}");
        adopted = Some(message);
    } else if in_force == InForce::Nameless {
        warn!(
            "the filter in force does not say which store it is from: {} takes over",
            path.display()
        );
    } else if identity.is_none()
        && let Some(copy) = GoodCopy::of(&path)
    {
        warn!(
            "{} is made anew, and there is a copy of one: {}",
            path.display(),
            copy.path.display()
        );
    }
    let counts_are_foreign = match in_force {
        InForce::From(in_force) => identity.is_none_or(|identity| identity.id != in_force.id),
        InForce::Nothing | InForce::Nameless => false,
    };
    let (mut store, policy) = found.open().map_err(explain)?;
    if let Some(message) = &adopted {
        // Where the daemon is killed before this is pinned, it is to be adopted again.
        owner::adopt(&mut store, policy.revision, message).context("cannot adopt the store")?;
    }
    Ok(TakenOver { store, policy, adopted: adopted.is_some(), counts_are_foreign })
}

/// Whether a store may take over what is in force; `None` is one without anything in it.
fn check(in_force: &InForce, found: Option<StoreIdentity>, path: &Path) -> Result<(), Refusal> {
    let path = path.to_owned();
    match (in_force, found) {
        (InForce::From(in_force), None) => {
            let of = Of(Some(in_force.revision));
            Err(Refusal::Nothing { path, of, id: Some(in_force.id) })
        }
        (InForce::From(in_force), Some(found)) if found.id != in_force.id => {
            Err(Refusal::Another { path, id: in_force.id })
        }
        (InForce::From(in_force), Some(found)) if found.revision < in_force.revision => {
            let (found, in_force) = (found.revision, in_force.revision);
            Err(Refusal::Older { path, found, in_force })
        }
        // Nobody has made a change in a store of revision 0.
        (InForce::Nameless, found) if found.is_none_or(|found| found.revision == 0) => {
            Err(Refusal::Nothing { path, of: Of(None), id: None })
        }
        _ => Ok(()),
    }
}

/// What is said of a store that is adopted though it is not the one in force.
fn adoption(in_force: &InForce, found: Option<StoreIdentity>) -> String {
    let told = |identity: &StoreIdentity| {
        let id = identity.id.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        format!("revision {} of store {id}", identity.revision)
    };
    let found = found.as_ref().map_or("a new store".to_owned(), told);
    let in_force = match in_force {
        InForce::From(identity) => told(identity),
        InForce::Nothing | InForce::Nameless => "a store that is not known".to_owned(),
    };
    format!("adopted {found} in the place of {in_force}")
}

#[cfg(test)]
mod tests;
