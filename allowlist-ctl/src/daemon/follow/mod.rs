//! Followed files: tells when the file at a path has settled, and what is in it.
//!
//! No policy here: whoever starts a [`Follower`] is told the bytes, or why there are none, and decides.
//!
//! **Noticing.** inotify watches every directory in which a name of the path is looked up, those of symbolic links
//! on the way too ([`route`]). So a swap of `..data` as Kubernetes does it, a parent directory that comes, goes or is
//! replaced, and a new target of a link are all seen. Every [`Options::poll`] each path is looked at anyway: network
//! file systems send no events, queues overflow, and watches may be refused.
//!
//! **Half-written files.** An event only says where to look. A file is read when nothing has happened to it for
//! [`Options::debounce`] (in a burst that does not end: every [`Options::latest`]), and when nobody writes it:
//! - A read lease ([`lease`]) is had only while nobody has the file open for writing, however long the writer
//!   pauses, and it holds writers off, or tells of them, while the file is read. It needs the file to be the
//!   daemon's user's, or `CAP_LEASE`.
//! - Where there is none to be had (another's file without `CAP_LEASE`, network file systems) a file is read once a
//!   writer has closed it or it was renamed into place, and else when it has not changed for [`Options::settle`].
//!   It must be the same before and after. A writer that pauses for longer than that is taken for done.
//!
//! **Trust.** Whoever may write the file decides what is in it, and to follow `/home/alice/list.txt` is to trust
//! Alice; nothing is refused. [`News::writable_by_all`] names what everybody may write to: the file, or a directory on
//! the way (of a link too) in which everybody may replace names, that is without the sticky bit. Groups and access
//! control lists are not judged. A path is never opened unless it is a regular file, and opening never blocks.

mod file;
mod followed;
mod lease;
mod route;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

pub(super) use self::file::FollowError;
use self::{
    file::{Stamp, Taken},
    followed::{Followed, Sign},
    watch::{Event, Watches},
};
use crate::api::MAX_LIST_BODY;

/// What there is to say about a followed file. Said once: again only when something of it differs.
#[derive(Debug)]
pub(super) struct News {
    /// As it was given to [`Follower::set`].
    pub(super) path: PathBuf,
    /// What is in the file; may be nothing at all.
    pub(super) content: Result<Vec<u8>, FollowError>,
    /// The file, or a directory on the way to it, that everybody on this host may change.
    pub(super) writable_by_all: Option<PathBuf>,
}

/// How files are followed; only tests have a reason to differ from the default.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Largest file, in bytes.
    pub(super) limit: u64,
    /// How long nothing must have happened before a file is read.
    pub(super) debounce: Duration,
    /// A file that changes all the time is read this long after the first change.
    pub(super) latest: Duration,
    /// How long a file must be unchanged where nothing else tells that it is whole, and how long an error must last
    /// before it is told.
    pub(super) settle: Duration,
    /// How often every path is looked at.
    pub(super) poll: Duration,
    /// How long a file may be in the making before that is an error.
    pub(super) patience: Duration,
    /// Whether to be told of changes by the kernel.
    pub(super) inotify: bool,
    /// Whether to ask for leases.
    pub(super) leases: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: u64::try_from(MAX_LIST_BODY).unwrap_or(u64::MAX),
            debounce: Duration::from_millis(100),
            latest: Duration::from_secs(2),
            settle: Duration::from_secs(3),
            poll: Duration::from_secs(2),
            patience: Duration::from_secs(30),
            inotify: true,
            leases: true,
        }
    }
}

/// What is wanted of the thread, until it has taken it.
type Wanted = Mutex<Orders>;

#[derive(Default)]
struct Orders {
    /// The paths that are to be followed; `None` for those that are.
    paths: Option<BTreeSet<PathBuf>>,
    /// Paths to be told of again as if they were new.
    again: BTreeSet<PathBuf>,
}

impl Orders {
    fn are_none(&self) -> bool {
        self.paths.is_none() && self.again.is_empty()
    }
}

/// Follows files on a thread of its own, which ends when this is dropped.
pub(super) struct Follower {
    wanted: Arc<Wanted>,
    /// Wakes the thread; closed, it ends it.
    wake: PipeWriter,
}

/// What is in a file just now; `None` where somebody writes it, or it is not known whether it is whole.
///
/// # Errors
/// [`FollowError`]
pub(super) fn read_now(path: &Path) -> Result<Option<Vec<u8>>, FollowError> {
    let options = Options::default();
    let old = Stamp::of(path, options.limit)?.is_older_than(options.settle);
    match file::take(path, old, &options)? {
        Taken::Whole(_, content) => Ok(Some(content)),
        _ => Ok(None),
    }
}

impl Follower {
    /// Starts a follower of no file yet. `sink` runs on the follower's thread; nothing is noticed while it does.
    ///
    /// # Errors
    /// Where no thread or pipe can be had. Without inotify it is slower, which is no error.
    pub(super) fn start(sink: impl FnMut(News) + Send + 'static) -> io::Result<Self> {
        Self::start_with(Options::default(), sink)
    }

    /// [`Self::start`] with other options.
    ///
    /// # Errors
    /// The same.
    pub(super) fn start_with(
        options: Options,
        sink: impl FnMut(News) + Send + 'static,
    ) -> io::Result<Self> {
        let (woken, wake) = io::pipe()?;
        let wanted = Arc::new(Wanted::default());
        let thread = Thread {
            options,
            wanted: Arc::downgrade(&wanted),
            woken,
            watches: Watches::new(options.inotify),
            followed: BTreeMap::new(),
            sink,
        };
        thread::Builder::new().name("follow".into()).spawn(|| thread.run())?;
        Ok(Self { wanted, wake })
    }

    /// Follows these files and no others. One that was not followed before is told of at once, unless it is being
    /// written just then.
    pub(super) fn set(&self, paths: BTreeSet<PathBuf>) {
        self.order(|orders| orders.paths = Some(paths));
    }

    /// Tells of a followed file again, when it is whole.
    pub(super) fn tell_again(&self, path: PathBuf) {
        self.order(|orders| orders.again.extend([path]));
    }

    fn order(&self, order: impl FnOnce(&mut Orders)) {
        let mut orders = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = orders.are_none();
        order(&mut orders);
        drop(orders);
        // Who has left orders untaken has woken the thread already.
        if is_first {
            // An error says that there is no thread any more: `sink` has panicked.
            let _ = (&self.wake).write(&[0]);
        }
    }
}

/// The follower is gone.
struct Gone;

struct Thread<S> {
    options: Options,
    wanted: Weak<Wanted>,
    woken: PipeReader,
    watches: Watches,
    followed: BTreeMap<PathBuf, Followed>,
    sink: S,
}

impl<S: FnMut(News)> Thread<S> {
    fn run(mut self) {
        let mut next_poll = Instant::now();
        loop {
            let due = self.followed.values().filter_map(Followed::due).min();
            let until = due.map_or(next_poll, |due| due.min(next_poll));
            let Ok(()) = self.wait(until).and_then(|()| self.turn(&mut next_poll)) else { return };
        }
    }

    /// What there is to do now.
    fn turn(&mut self, next_poll: &mut Instant) -> Result<(), Gone> {
        let mut moved = self.take_wanted()?;
        moved |= self.take_events();
        if Instant::now() >= *next_poll {
            *next_poll = Instant::now() + self.options.poll;
            self.look_at_all();
            moved = true;
        }
        if moved {
            self.watch();
        }
        for followed in self.followed.values_mut() {
            if let Some(news) = followed.judge(Instant::now(), &self.options) {
                if self.wanted.strong_count() == 0 {
                    return Err(Gone);
                }
                (self.sink)(news);
            }
        }
        Ok(())
    }

    /// Waits for a sign, at the latest until then.
    fn wait(&mut self, until: Instant) -> Result<(), Gone> {
        let mut fds = vec![PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.watches.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        // A millisecond more than is left, so as not to wake too early and spin.
        let left = until.saturating_duration_since(Instant::now());
        let left = if left.is_zero() { left } else { left + Duration::from_millis(1) };
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            // Polling by the clock is left.
            Err(_) => thread::sleep(self.options.debounce),
        }
        let woken = fds.first().is_some_and(|fd| fd.any().unwrap_or(false));
        drop(fds);
        // Nothing to read: the other end is closed.
        if woken && !matches!(self.woken.read(&mut [0; 64]), Ok(1..)) { Err(Gone) } else { Ok(()) }
    }

    /// Takes the paths that are to be followed from now on, and says whether there were any.
    fn take_wanted(&mut self) -> Result<bool, Gone> {
        let wanted = self.wanted.upgrade().ok_or(Gone)?;
        let mut orders = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.are_none() {
            return Ok(false);
        }
        let Orders { paths, again } = std::mem::take(&mut *orders);
        drop(orders);
        let now = Instant::now();
        for path in again {
            if let Some(followed) = self.followed.get_mut(&path) {
                *followed = Followed::new(path, now);
            }
        }
        let Some(mut paths) = paths else { return Ok(true) };
        self.followed.retain(|path, _| paths.remove(path));
        self.followed.extend(paths.into_iter().map(|path| {
            let followed = Followed::new(path.clone(), now);
            (path, followed)
        }));
        Ok(true)
    }

    /// Looks where events point to, and says whether the ways there have changed.
    fn take_events(&mut self) -> bool {
        let events = self.watches.events();
        let mut moved = events.contains(&Event::Lost);
        if moved {
            self.look_at_all();
        }
        for followed in self.followed.values_mut() {
            let signs = events.iter().filter_map(|event| match event {
                Event::Lost => None,
                Event::At { watch, name, sign } => {
                    let here = |dir: &Path| self.watches.is(dir, *watch);
                    followed.goes_by(here, name).then_some(*sign)
                }
            });
            if let Some(sign) = signs.max() {
                moved |= followed.look(sign, Instant::now(), &self.options);
            }
        }
        moved
    }

    fn look_at_all(&mut self) {
        for followed in self.followed.values_mut() {
            followed.look(Sign::Something, Instant::now(), &self.options);
        }
    }

    /// Watches the directories on the ways to all files.
    fn watch(&mut self) {
        // What happened before a directory was watched sent no event, so look again. Who makes directories faster
        // than they are watched is left to the next poll.
        for _ in 0..4 {
            let dirs = self.followed.values().flat_map(Followed::directories).collect();
            if !self.watches.set(&dirs) {
                break;
            }
            self.look_at_all();
        }
    }
}
