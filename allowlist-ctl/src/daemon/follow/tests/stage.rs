//! Where files are written and followed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tempfile::TempDir;

use crate::daemon::follow::{Follower, News, Options};

/// News come long before this.
pub(super) const LONG: Duration = Duration::from_secs(20);
/// Quick, so as not to wait for long, and no poll in the way of what inotify is to notice.
pub(super) const BY_EVENTS: Options = Options {
    limit: 1000,
    debounce: Duration::from_millis(30),
    latest: Duration::from_millis(300),
    settle: Duration::from_millis(500),
    poll: Duration::from_mins(1),
    patience: Duration::from_mins(1),
    inotify: true,
    leases: true,
};
pub(super) const BY_POLLING: Options =
    Options { inotify: false, poll: Duration::from_millis(20), ..BY_EVENTS };
/// All means, and each one left out.
pub(super) const MEANS: [(&str, Options); 4] = [
    ("events and leases", BY_EVENTS),
    ("events only", Options { leases: false, ..BY_EVENTS }),
    ("polling and leases", BY_POLLING),
    ("polling only", Options { leases: false, ..BY_POLLING }),
];

/// Runs a test once by each of these means, all at once, for it mostly waits.
pub(super) fn by_means(means: &[(&str, Options)], test: impl Fn(&str, Options) + Sync) {
    thread::scope(|scope| {
        for &(what, options) in means {
            let test = &test;
            scope.spawn(move || test(what, options));
        }
    });
}

pub(super) fn by_all_means(test: impl Fn(&str, Options) + Sync) {
    by_means(&MEANS, test);
}

/// Makes two paths change places, so that neither is missing in between.
pub(super) fn exchange(one: &Path, other: &Path) {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).unwrap();
}

/// A follower, the news of it, and a directory for files.
pub(super) struct Stage {
    pub(super) what: String,
    pub(super) directory: TempDir,
    pub(super) follower: Follower,
    pub(super) news: Receiver<News>,
}

impl Stage {
    pub(super) fn new(what: &str, options: Options) -> Self {
        let (sender, news) = channel();
        let follower = Follower::start_with(options, move |news| sender.send(news).unwrap());
        let directory = tempfile::tempdir().unwrap();
        Self { what: what.to_owned(), directory, follower: follower.unwrap(), news }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn set(&self, names: &[&str]) {
        self.follower.set(names.iter().map(|name| self.at(name)).collect());
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        fs::write(self.at(name), content).unwrap();
    }

    /// Writes a file beside it and renames it over this one.
    pub(super) fn replace(&self, name: &str, content: &str) {
        self.write("new", content);
        fs::rename(self.at("new"), self.at(name)).unwrap();
    }

    #[track_caller]
    pub(super) fn next(&self) -> News {
        let news = self.news.recv_timeout(LONG);
        news.unwrap_or_else(|error| panic!("{}: no news: {error}", self.what))
    }

    /// The next news are of this file: its content, or what is wrong with it.
    #[track_caller]
    pub(super) fn expect(&self, name: &str, expected: Result<&str, &str>) {
        let News { path, content, .. } = self.next();
        let content = match &content {
            Ok(content) => Ok(std::str::from_utf8(content).unwrap()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(path, self.at(name), "{}", self.what);
        assert_eq!(content, expected.map_err(ToOwned::to_owned), "{}", self.what);
    }

    /// There are no news for as long as it would take to make some.
    #[track_caller]
    pub(super) fn expect_nothing(&self) {
        let found = self.news.recv_timeout(BY_EVENTS.settle * 3 / 2);
        assert!(matches!(found, Err(RecvTimeoutError::Timeout)), "{}: {found:?}", self.what);
    }
}
