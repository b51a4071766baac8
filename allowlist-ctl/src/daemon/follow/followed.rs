//! One followed file: when it is read, and what is said of it.

use std::{
    ffi::OsStr,
    hash::{BuildHasher as _, RandomState},
    mem,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    FollowError, News, Options,
    file::{Stamp, Taken, take},
    route::Route,
};

/// How long after a change another one may leave the same stamp: clocks of file systems are this coarse.
const COARSE: Duration = Duration::from_secs(2);

/// What an event says.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Sign {
    /// Look there.
    Something,
    /// A writer has closed it, or it was renamed into place.
    Complete,
}

/// What a look shows.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Sight {
    file: Result<Stamp, FollowError>,
    writable_by_all: Option<PathBuf>,
}

/// What was said last.
#[derive(Debug, Eq, PartialEq)]
struct Said {
    /// A hash of the content. Its key is random, so nobody can make another content of the same hash.
    content: Result<u64, FollowError>,
    writable_by_all: Option<PathBuf>,
}

/// A change that is not judged yet.
#[derive(Debug)]
struct Pending {
    seen: Sight,
    /// The file has only just begun to be followed.
    new: bool,
    /// A writer has closed it, and it has not changed since.
    complete: bool,
    first: Instant,
    last: Instant,
    /// When it was last tried to read the file.
    tried: Option<Instant>,
    due: Instant,
}

/// A followed file.
#[derive(Debug)]
pub(super) struct Followed {
    path: PathBuf,
    hasher: RandomState,
    route: Route,
    /// Nothing need be done while it looks like this.
    judged: Option<Sight>,
    said: Option<Said>,
    pending: Option<Pending>,
}

impl Pending {
    /// When to judge it after a sign of change just now.
    fn after_sign(&self, now: Instant, options: &Options) -> Instant {
        let tried = self.tried.map_or(now, |tried| tried + options.debounce);
        (now + options.debounce).min((self.first + options.latest).max(tried))
    }

    /// Puts the next look off.
    fn put_off(&mut self, until: Instant) {
        self.tried = Some(Instant::now());
        self.due = until;
    }
}

impl Followed {
    /// A file that is to be judged at once.
    pub(super) fn new(path: PathBuf, now: Instant) -> Self {
        let route = Route::to(&path);
        // What it looks like is asked when it is judged.
        let seen = Sight { file: Err(FollowError::Missing), writable_by_all: None };
        let pending = Pending {
            seen,
            new: true,
            complete: false,
            first: now,
            last: now,
            tried: None,
            due: now,
        };
        let (judged, said) = (None, None);
        Self { path, hasher: RandomState::new(), route, judged, said, pending: Some(pending) }
    }

    /// When to judge it.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.due)
    }

    /// The directories to watch.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.route.steps.iter().map(|step| step.directory.as_path())
    }

    /// Whether a name in a directory of which `here` holds is on the way to it.
    pub(super) fn goes_by(&self, here: impl Fn(&Path) -> bool, name: &OsStr) -> bool {
        self.route.goes_by(here, name)
    }

    /// Looks whether the file has changed, and says whether the way to it has.
    pub(super) fn look(&mut self, sign: Sign, now: Instant, options: &Options) -> bool {
        let route = Route::to(&self.path);
        let moved = route != self.route;
        self.route = route;
        let file = Stamp::of(&self.path, options.limit);
        let exposed = file.as_ref().is_ok_and(Stamp::is_writable_by_all);
        let file_itself = exposed.then(|| self.path.clone());
        let writable_by_all = file_itself.or_else(|| self.route.writable_by_all.clone());
        let seen = Sight { file, writable_by_all };
        let complete = sign == Sign::Complete;
        match &mut self.pending {
            Some(pending) if complete || pending.seen != seen => {
                pending.seen = seen;
                pending.complete = complete;
                pending.last = now;
                if !pending.new {
                    pending.due = pending.after_sign(now, options);
                }
            }
            None if complete || self.judged.as_ref() != Some(&seen) => {
                let (new, tried) = (false, None);
                let mut pending =
                    Pending { seen, new, complete, first: now, last: now, tried, due: now };
                pending.due = pending.after_sign(now, options);
                self.pending = Some(pending);
            }
            Some(_) | None => {}
        }
        moved
    }

    /// Judges the file when it is time to, and says what is new.
    pub(super) fn judge(&mut self, now: Instant, options: &Options) -> Option<News> {
        if self.due()? > now {
            return None;
        }
        self.look(Sign::Something, now, options);
        let pending = self.pending.as_mut().filter(|pending| pending.due <= now)?;
        let settled = pending.last + options.settle;
        let writable_by_all = pending.seen.writable_by_all.clone();
        let taken = match &pending.seen.file {
            Err(error) => Err(error.clone()),
            Ok(stamp) => {
                let unchanged = now >= settled;
                let old = pending.new && stamp.is_older_than(options.settle);
                take(&self.path, pending.complete || unchanged || old, options)
            }
        };
        let new = mem::take(&mut pending.new);
        let content = match taken {
            Ok(Taken::Whole(stamp, content)) => {
                let mut seen = self.pending.take()?.seen;
                // Where it has changed just now, the next change may look the same: judge it once more.
                let sure = stamp.is_older_than(COARSE);
                seen.file = Ok(stamp);
                self.judged = sure.then_some(seen);
                Ok(content)
            }
            Ok(unfinished) => {
                let (error, next) = match unfinished {
                    Taken::Held => (FollowError::Held, now + options.poll),
                    Taken::Changed => (FollowError::Changing, now + options.debounce),
                    _ => (FollowError::Changing, settled),
                };
                pending.put_off(next);
                if now < pending.first + options.patience {
                    return None;
                }
                Err(error)
            }
            // No hurry: until then the file may be back, as when an editor replaces it.
            Err(_) if !new && now < settled => {
                pending.put_off(settled);
                return None;
            }
            Err(error) => {
                // What cannot be opened is tried again, for permission may come from anywhere.
                let Pending { seen, .. } = self.pending.take()?;
                self.judged = seen.file.is_err().then_some(seen);
                Err(error)
            }
        };
        self.say(content, writable_by_all)
    }

    /// Makes news of it unless it was said already.
    fn say(
        &mut self,
        content: Result<Vec<u8>, FollowError>,
        writable_by_all: Option<PathBuf>,
    ) -> Option<News> {
        let hash = match &content {
            Ok(content) => Ok(self.hasher.hash_one(content)),
            Err(error) => Err(error.clone()),
        };
        let said = Said { content: hash, writable_by_all: writable_by_all.clone() };
        if self.said.as_ref() == Some(&said) {
            return None;
        }
        self.said = Some(said);
        Some(News { path: self.path.clone(), content, writable_by_all })
    }
}
