//! Directories that the kernel reports changes of.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::fd::{AsFd as _, BorrowedFd},
    path::{Path, PathBuf},
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tracing::{debug, warn};

use super::followed::Sign;

/// Reads of events before something else has its turn; each is of 4096 bytes.
const MAX_READS: usize = 64;

const WATCHED: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR)
    .union(AddWatchFlags::IN_DONT_FOLLOW);

/// What the kernel reports.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Event {
    /// Something happened to this name in a watched directory.
    At { watch: WatchDescriptor, name: OsString, sign: Sign },
    /// Anything may have happened: events were lost, or a directory itself is gone.
    Lost,
}

/// The watched directories.
pub(super) struct Watches {
    /// None: there is only polling.
    inotify: Option<Inotify>,
    directories: BTreeMap<PathBuf, WatchDescriptor>,
}

impl Watches {
    /// Watches nothing yet.
    pub(super) fn new(enabled: bool) -> Self {
        let init = || Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        let inotify = enabled.then(init).and_then(|inotify| {
            inotify
                .inspect_err(|error| {
                    warn!("followed files are only polled: no inotify: {}", error.desc());
                })
                .ok()
        });
        Self { inotify, directories: BTreeMap::new() }
    }

    /// Readable when there are events.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(Inotify::as_fd)
    }

    /// Whether this directory is the one of a watch.
    pub(super) fn is(&self, directory: &Path, watch: WatchDescriptor) -> bool {
        self.directories.get(directory) == Some(&watch)
    }

    /// Watches these directories and no others, and says whether one was not watched before.
    pub(super) fn set(&mut self, directories: &BTreeSet<&Path>) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mut watched = BTreeMap::new();
        for &directory in directories {
            // Of a directory that is watched already the kernel returns the same watch; of another one that has taken
            // its place a new one.
            match inotify.add_watch(directory, WATCHED) {
                Ok(watch) => {
                    watched.insert(directory.to_owned(), watch);
                }
                // It may have just gone, or the user's watches are used up. Polling is left.
                Err(error) => {
                    debug!("{} is only polled: {}", directory.display(), error.desc());
                }
            }
        }
        let used: BTreeSet<_> = watched.values().copied().collect();
        for watch in self.directories.values().filter(|watch| !used.contains(watch)) {
            // An error says that it is gone with its directory.
            let _ = inotify.rm_watch(*watch);
        }
        let grown = watched.iter().any(|(directory, watch)| !self.is(directory, *watch));
        self.directories = watched;
        grown
    }

    /// What has happened.
    pub(super) fn events(&self) -> Vec<Event> {
        let Some(inotify) = &self.inotify else { return Vec::new() };
        let batches = (0..MAX_READS).map_while(|_| inotify.read_events().ok());
        batches.flatten().filter_map(Self::event).collect()
    }

    fn event(event: InotifyEvent) -> Option<Event> {
        let complete = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO;
        let sign = if event.mask.intersects(complete) { Sign::Complete } else { Sign::Something };
        match event.name {
            Some(name) => Some(Event::At { watch: event.wd, name, sign }),
            // Follows the removal of a watch, also of one that is not needed any more.
            None if event.mask.contains(AddWatchFlags::IN_IGNORED) => None,
            None if event.mask.contains(AddWatchFlags::IN_ATTRIB) => None,
            None => Some(Event::Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_that_took_anothers_place_is_a_new_watch() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        fs::create_dir(&one).unwrap();
        let mut watches = Watches::new(true);
        let wanted = BTreeSet::from([one.as_path(), two.as_path()]);
        assert!(watches.set(&wanted), "the first watch");
        assert!(!watches.set(&wanted), "the same again");
        fs::rename(&one, root.path().join("old")).unwrap();
        fs::create_dir(&one).unwrap();
        assert_eq!(watches.events(), [Event::Lost], "the directory was moved");
        assert!(watches.set(&wanted), "another directory of that name");
        fs::write(root.path().join("old/list"), "").unwrap();
        assert_eq!(watches.events(), [], "the moved directory is not watched any more");
        fs::write(one.join("list"), "").unwrap();
        let events = watches.events();
        assert!(
            matches!(events.last(), Some(Event::At { name, sign: Sign::Complete, .. }) if name == "list"),
            "{events:?}"
        );
    }

    #[test]
    fn a_queue_that_has_overflowed_says_that_events_are_lost() {
        let root = tempfile::tempdir().unwrap();
        let mut watches = Watches::new(true);
        watches.set(&BTreeSet::from([root.path()]));
        let length = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let length: usize = length.trim().parse().unwrap();
        // Two events a file, and equal neighbours are one event.
        for n in 0..=length / 2 {
            fs::write(root.path().join((n % 2).to_string()), "").unwrap();
            if n % 2 == 1 {
                fs::remove_file(root.path().join("0")).unwrap();
                fs::remove_file(root.path().join("1")).unwrap();
            }
        }
        let mut events = Vec::new();
        while !events.contains(&Event::Lost) {
            let more = watches.events();
            assert!(!more.is_empty(), "no overflow after {} events", events.len());
            events.extend(more);
        }
    }
}
