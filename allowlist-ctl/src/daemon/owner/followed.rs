//! Entries of files that groups follow.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::{Owner, history::daemon, now, trail::Deed};
use crate::{
    api::{ErrorCode, Problem},
    daemon::{
        entries,
        explain::{explain_refusal, in_words},
        follow::{self, FollowError, News},
    },
    policy::{
        EntryKey, Name, Origin, Policy,
        change::{self, Change, Outcome},
        entry::NewEntry,
    },
    store::{Draft, StoreError},
};

/// A file that could not be taken because the daemon could not do it is tried again after this time.
const AGAIN: Duration = Duration::from_mins(1);

/// Files whose entries were not taken, and are to be tried again.
#[derive(Default)]
pub(super) struct Untaken(BTreeMap<PathBuf, Trial>);

struct Trial {
    content: Vec<u8>,
    /// The revision at which it was tried: at another one it may go.
    revision: u64,
    next: Option<Instant>,
}

/// The files that a policy's groups follow.
pub(super) fn paths(policy: &Policy) -> BTreeSet<PathBuf> {
    policy.groups.values().filter_map(|group| group.follow.clone()).collect()
}

/// The groups that a change has follow a file, or another one: what is in it becomes part of the change. Not those that
/// a rollback brings back, which hold until the file changes.
fn begun(before: &Policy, after: &Policy, change: &Change) -> BTreeSet<Name> {
    let follows = |policy: &Policy, name: &Name| {
        policy.groups.get(name).and_then(|group| group.follow.clone())
    };
    let begins = |name: &&Name| {
        let now = follows(after, name);
        now.is_some() && now != follows(before, name)
    };
    match change {
        Change::Restore(_) => BTreeSet::new(),
        // Asked for, it is read again, too.
        Change::SetGroup { name, follow: Some(Some(_)) } => [name.clone()].into(),
        _ => after.groups.keys().filter(begins).cloned().collect(),
    }
}

/// A file that a group is to follow, read with the change that asks for it.
pub(super) struct FileRead {
    group: Name,
    path: PathBuf,
    found: Found,
}

enum Found {
    /// Entries, with the hash of what they were read from.
    Entries([u8; 32]),
    /// Somebody is writing to it.
    NotWhole,
    Wrong(Problem),
}

impl FileRead {
    /// Writes what was taken.
    pub(super) fn write(&self, draft: &Draft<'_>) -> Result<(), StoreError> {
        let key = key(&self.group, &self.path);
        match &self.found {
            Found::Entries(hash) => draft.followed(&key, hash),
            Found::NotWhole | Found::Wrong(_) => draft.forget_followed(&key),
        }
    }

    /// What is not taken yet.
    pub(super) fn warning(&self) -> Option<String> {
        let path = self.path.display();
        match &self.found {
            Found::Entries(_) => None,
            Found::NotWhole => Some(format!("the entries of {path} are taken when it is whole")),
            Found::Wrong(problem) => {
                Some(format!("the entries of {path} are not taken yet: {}", told(problem)))
            }
        }
    }
}

/// By which the store knows what a group took from a file.
fn key(name: &Name, path: &Path) -> String {
    format!("{name}:{}", path.display())
}

/// How long a command waits for files that are to be followed.
const SOON: Duration = Duration::from_secs(2);

/// A file that is being read, as [`follow::read_now`] does it, beside whoever wants to know what is in it.
struct Reading {
    group: Name,
    path: PathBuf,
    content: mpsc::Receiver<Result<Option<Vec<u8>>, FollowError>>,
}

impl Reading {
    fn begin(group: Name, path: PathBuf) -> Self {
        let (sender, content) = mpsc::channel();
        let file = path.clone();
        let reader = move || {
            // Whoever has stopped waiting is told by the follower.
            let _ = sender.send(follow::read_now(&file));
        };
        if let Err(error) = thread::Builder::new().name("read".into()).spawn(reader) {
            warn!("{} is read later: cannot start a thread: {error}", path.display());
        }
        Self { group, path, content }
    }

    /// What is in it; nothing where a file system that hangs has not said so by then.
    fn content(&self, deadline: Instant) -> Result<Option<Vec<u8>>, FollowError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.content.recv_timeout(left).unwrap_or(Ok(None))
    }
}

/// The entries in a file.
fn entries_of(content: &[u8]) -> Result<Vec<NewEntry>, Problem> {
    let of_file = |new: NewEntry| {
        let key = EntryKey { origin: Origin::File, ..new.key };
        NewEntry { key, ..new }
    };
    Ok(entries::from_text(content)?.into_iter().map(of_file).collect())
}

impl Owner {
    /// Takes what there is to say about a followed file.
    pub(super) fn take_news(&mut self, news: News) {
        let News { path, content, writable_by_all } = news;
        self.shared.set_writable(&path, writable_by_all);
        match content {
            Ok(content) => self.take_file(&path, content),
            Err(error) => {
                self.untaken.0.remove(&path);
                let message = format!("it {error}");
                let problem = Problem::new(ErrorCode::Failed, message);
                for name in self.followers(&path) {
                    self.tell(&name, &path, Some(problem.clone()));
                }
            }
        }
    }

    /// Reads the files that a change has groups follow, and makes what is in them part of it: so they are guarded, shown
    /// and undone together. What is not to be read now is read when it can be.
    pub(super) fn read_files(
        &self,
        change: &Change,
        outcome: &mut Outcome,
    ) -> Result<Vec<FileRead>, Problem> {
        let begun = begun(&self.policy, &outcome.policy, change).into_iter();
        let followed = begun.filter_map(|group| {
            let path = outcome.policy.groups.get(&group)?.follow.clone()?;
            Some(Reading::begin(group, path))
        });
        // All at once, so that many that hang take no longer than one.
        let readings: Vec<Reading> = followed.collect();
        let deadline = Instant::now() + SOON;
        let mut files = Vec::new();
        for reading in readings {
            let content = reading.content(deadline);
            let Reading { group, path, .. } = reading;
            let found = match content {
                Ok(Some(content)) => match entries_of(&content) {
                    Ok(entries) => {
                        outcome
                            .take_file(&self.policy, &group, &entries, &daemon(), now())
                            .map_err(|refusal| explain_refusal(&refusal))?;
                        Found::Entries(Sha256::digest(&content).into())
                    }
                    Err(problem) => Found::Wrong(problem),
                },
                Ok(None) => Found::NotWhole,
                Err(error) => Found::Wrong(Problem::new(ErrorCode::Failed, format!("it {error}"))),
            };
            files.push(FileRead { group, path, found });
        }
        Ok(files)
    }

    /// Remembers how reading a file went.
    pub(super) fn tell_read(&self, file: FileRead) {
        let FileRead { group, path, found } = file;
        match found {
            Found::Entries(_) => self.tell(&group, &path, None),
            Found::NotWhole => self.follow_anew(&path),
            Found::Wrong(problem) => self.tell(&group, &path, Some(problem)),
        }
    }

    /// Tries again what could not be taken before.
    pub(super) fn retry_files(&mut self) {
        let (revision, now, free) = (self.policy.revision, Instant::now(), self.pending.is_none());
        let due = |_: &PathBuf, trial: &mut Trial| {
            free && (trial.revision != revision || trial.next.is_some_and(|next| next <= now))
        };
        let due: Vec<(PathBuf, Trial)> = self.untaken.0.extract_if(.., due).collect();
        for (path, Trial { content, .. }) in due {
            self.take_file(&path, content);
        }
    }

    /// Makes the entries that groups have from a file those of its content.
    ///
    /// What was taken before is not taken again, so that a rollback holds until the file changes.
    fn take_file(&mut self, path: &Path, content: Vec<u8>) {
        let hash: [u8; 32] = Sha256::digest(&content).into();
        self.untaken.0.remove(path);
        let mut trial = None;
        for name in self.followers(path) {
            let key = key(&name, path);
            let deed = Deed::about("sync", name.as_str(), &daemon());
            let taken = self.take_for(&name, &key, &hash, &content, &deed).err();
            if let Some(problem) = &taken {
                if self.is_news(&name, path, problem) {
                    self.note_refusal(&deed, problem);
                }
                let next = match problem.code {
                    ErrorCode::Pending => Some(Instant::now()),
                    ErrorCode::Failed => Some(Instant::now() + AGAIN),
                    _ => None,
                };
                trial = Some((self.policy.revision, next));
            }
            self.tell(&name, path, taken);
        }
        if let Some((revision, next)) = trial {
            self.untaken.0.insert(path.to_owned(), Trial { content, revision, next });
        }
    }

    fn take_for(
        &mut self,
        name: &Name,
        key: &str,
        hash: &[u8; 32],
        content: &[u8],
        deed: &Deed,
    ) -> Result<(), Problem> {
        let known = self.store.followed(key).map_err(|error| self.trouble.of_store(&error))?;
        if known.as_deref() == Some(hash) {
            return Ok(());
        }
        self.check_free()?;
        let change = Change::Sync { name: name.clone(), entries: entries_of(content)? };
        let outcome = change::apply(&self.policy, &change, &deed.author, now())
            .map_err(|refusal| explain_refusal(&refusal))?;
        if outcome.policy.revision == self.policy.revision {
            let written = self.store.draft().and_then(|draft| {
                draft.followed(key, hash)?;
                draft.commit()
            });
            return written.map_err(|error| self.trouble.of_store(&error));
        }
        // Nobody is there to be asked or to force it. Whom the file no longer has is cut off, as it is meant.
        self.guard_opening(&outcome.policy)?;
        let deed = Deed { what: in_words(&change), ..deed.clone() };
        self.commit(&outcome, &deed, |draft| draft.followed(key, hash))
    }

    fn followers(&self, path: &Path) -> Vec<Name> {
        let follows =
            self.policy.groups.iter().filter(|(_, group)| group.follow.as_deref() == Some(path));
        follows.map(|(name, _)| name.clone()).collect()
    }

    fn is_news(&self, name: &Name, path: &Path, problem: &Problem) -> bool {
        let known = self.shared.followed().remove(name);
        known.is_none_or(|(at, known)| at != path || told(&known) != told(problem))
    }

    /// Tells status and log what is wrong with a group's file, the log once.
    fn tell(&self, name: &Name, path: &Path, problem: Option<Problem>) {
        if let Some(problem) = &problem
            && self.is_news(name, path, problem)
        {
            warn!(group = %name, path = %path.display(), "the file's entries are not taken: {}", told(problem));
        }
        self.shared.set_followed(name, path, problem);
    }
}

/// A problem in one line.
pub(in crate::daemon) fn told(problem: &Problem) -> String {
    match problem.details.as_slice() {
        [] => problem.message.clone(),
        [one] => format!("{} ({one})", problem.message),
        [first, ..] => format!("{} ({first}, ...)", problem.message),
    }
}
