//! Entries: prefixes that a list allows or excepts.

use std::{fmt, net::IpAddr, sync::Arc};

use allowlist_common::abi::{BootSeconds, NEVER, Node};
use imbl::OrdMap;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Prefix;

/// Longest comment, in bytes.
pub const MAX_COMMENT: usize = 500;

/// What an entry says about its prefix.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The prefix is admitted.
    #[default]
    Allow,
    /// The prefix is denied, inside a larger one that is admitted.
    Except,
}

/// What makes an entry of a list the same entry.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryKey {
    /// The prefix.
    pub prefix: Prefix,
    /// Allow or except.
    pub kind: Kind,
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.kind == Kind::Except { "!" } else { "" };
        write!(f, "{mark}{}", self.prefix)
    }
}

/// Who made a change.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Author {
    /// User id.
    pub uid: u32,
    /// The user's name, or the uid as text where it has none.
    pub name: String,
}

/// An entry of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Id by which the kernel names the entry.
    pub id: u32,
    /// The operator's note.
    pub comment: Option<Arc<str>>,
    /// Who added it.
    pub added_by: Arc<Author>,
    /// When it was added.
    pub added_at: Timestamp,
    /// From when on it no longer decides.
    pub expires_at: Option<Timestamp>,
}

/// A list of entries in the order of their prefixes.
///
/// Copies share what they have in common, so a change costs what it changes.
#[derive(Clone, Debug, Default)]
pub struct Entries(OrdMap<EntryKey, Entry>);

impl Entries {
    /// The list of these entries.
    pub fn from_sorted(entries: impl Iterator<Item = (EntryKey, Entry)>) -> Self {
        Self(entries.collect())
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are entries, and all of them deny.
    #[must_use]
    pub fn is_nothing_but_excepts(&self) -> bool {
        !self.is_empty() && self.iter().all(|(key, _)| key.kind == Kind::Except)
    }

    /// The entry with this key.
    #[must_use]
    pub fn get(&self, key: &EntryKey) -> Option<&Entry> {
        self.0.get(key)
    }

    /// Puts an entry, and returns the one that was there.
    pub fn insert(&mut self, key: EntryKey, entry: Entry) -> Option<Entry> {
        self.0.insert(key, entry)
    }

    /// Takes an entry away.
    pub fn remove(&mut self, key: &EntryKey) -> Option<Entry> {
        self.0.remove(key)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryKey, &Entry)> {
        self.0.iter()
    }

    /// What differs from this list in `next`: the key, the entry here, the entry there.
    pub fn difference<'a>(
        &'a self,
        next: &'a Self,
    ) -> impl Iterator<Item = (&'a EntryKey, Option<&'a Entry>, Option<&'a Entry>)> {
        self.0.diff(&next.0).map(|item| match item {
            imbl::ordmap::DiffItem::Add(key, new) => (key, None, Some(new)),
            imbl::ordmap::DiffItem::Update { old: (key, old), new: (_, new) } => {
                (key, Some(old), Some(new))
            }
            imbl::ordmap::DiffItem::Remove(key, old) => (key, Some(old), None),
        })
    }

    /// What the trie says for a prefix; `None` where the list has no entry of it.
    #[must_use]
    pub fn node(&self, prefix: Prefix, clock: &BootClock) -> Option<Node> {
        let allow = self.get(&EntryKey { prefix, kind: Kind::Allow });
        let except = self.get(&EntryKey { prefix, kind: Kind::Except });
        if allow.is_none() && except.is_none() {
            return None;
        }
        let id = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.id);
        let until = |entry: Option<&Entry>| entry.map_or(0, |entry| clock.end(entry.expires_at));
        Some(Node {
            allow: id(allow),
            except: id(except),
            allow_until: until(allow),
            except_until: until(except),
            prefix_len: prefix.bits().into(),
        })
    }

    /// The trie's nodes in order.
    pub fn nodes<'a>(&'a self, clock: &'a BootClock) -> impl Iterator<Item = (Prefix, Node)> + 'a {
        let mut last = None;
        self.iter().filter_map(move |(key, _)| {
            if last.replace(key.prefix) == Some(key.prefix) {
                return None;
            }
            self.node(key.prefix, clock).map(|node| (key.prefix, node))
        })
    }
}

impl IntoIterator for Entries {
    type Item = (EntryKey, Entry);
    type IntoIter =
        imbl::ordmap::ConsumingIter<EntryKey, Entry, imbl::shared_ptr::DefaultSharedPtr>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// How wall-clock time and the boot clock of the kernel relate.
#[derive(Clone, Copy, Debug)]
pub struct BootClock {
    /// The moment at which the boot clock was 0.
    pub booted_at: Timestamp,
    /// What the boot clock says now.
    pub now: BootSeconds,
}

impl BootClock {
    /// Whether a node still has an entry that decides.
    #[must_use]
    pub const fn decides(&self, node: &Node) -> bool {
        self.now < node.allow_until || self.now < node.except_until
    }

    /// An entry's end on the boot clock, in whole seconds; what ended before boot ended at second 1.
    #[must_use]
    pub fn end(&self, expires_at: Option<Timestamp>) -> BootSeconds {
        let Some(expires_at) = expires_at else { return NEVER };
        let seconds = expires_at.as_second().saturating_sub(self.booted_at.as_second());
        seconds.clamp(1, i64::from(NEVER - 1)).try_into().unwrap_or(1)
    }
}

/// An entry as it is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEntry {
    /// Prefix and kind.
    pub key: EntryKey,
    /// The operator's note.
    pub comment: Option<Arc<str>>,
}

/// A text that is no entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidEntry {
    /// The prefix.
    #[error(transparent)]
    Prefix(#[from] super::prefix::InvalidPrefix),
    /// The comment's length.
    #[error("the comment is {0} bytes long: use at most {MAX_COMMENT}")]
    CommentLength(usize),
    /// The comment's characters.
    #[error("the comment has control characters: write it as one line of text")]
    CommentText,
}

/// Reads an entry as it is written: a prefix, address or range, `!` before an except.
///
/// # Errors
/// [`InvalidEntry`] with the prefix's error.
pub fn parse_keys(text: &str) -> Result<Vec<EntryKey>, InvalidEntry> {
    let (kind, prefix) = match text.strip_prefix('!') {
        Some(prefix) => (Kind::Except, prefix.trim_start()),
        None => (Kind::Allow, text),
    };
    let prefixes = Prefix::parse_all(prefix)?;
    Ok(prefixes.into_iter().map(|prefix| EntryKey { prefix, kind }).collect())
}

/// Reads a comment; an empty one is none.
///
/// # Errors
/// [`InvalidEntry`] where it is too long or not one line of text.
pub fn parse_comment(text: &str) -> Result<Option<Arc<str>>, InvalidEntry> {
    let text = text.trim();
    if text.len() > MAX_COMMENT {
        return Err(InvalidEntry::CommentLength(text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidEntry::CommentText);
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Whether an address lies in a prefix.
#[must_use]
pub fn covers(prefix: Prefix, address: IpAddr) -> bool {
    match (prefix.net(), address) {
        (IpNet::V4(net), IpAddr::V4(address)) => net.contains(&address),
        (IpNet::V6(net), IpAddr::V6(address)) => net.contains(&address),
        _ => false,
    }
}
