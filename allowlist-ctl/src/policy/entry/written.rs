//! Entries as somebody writes them, and asks for them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{EntryKey, Kind, MAX_COMMENT};
use crate::policy::prefix::{InvalidPrefix, Prefix};

/// An entry as it is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEntry {
    /// Prefix, kind and origin.
    pub key: EntryKey,
    /// The operator's note; an empty one takes away what is there, where none keeps it.
    pub comment: Option<Arc<str>>,
    /// From when on it no longer decides.
    pub expires_at: Option<Timestamp>,
}

/// A text that is no entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidEntry {
    /// The prefix.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
    /// The comment's length.
    #[error("the comment is {0} bytes long: use at most {MAX_COMMENT}")]
    CommentLength(usize),
    /// The end.
    #[error("'{0}' is not a time: write it as 2026-12-01T00:00Z")]
    End(String),
    /// The comment's characters.
    #[error("the comment has control characters: write it as one line of text")]
    CommentText,
}

/// Reads an entry as it is written: a prefix, address or range, `!` before an except.
///
/// # Errors
/// [`InvalidEntry`] with the prefix's error.
pub fn parse_keys(text: &str) -> Result<Vec<EntryKey>, InvalidEntry> {
    let mut keys = Vec::new();
    parse_each_key(text, |key| keys.push(key))?;
    Ok(keys)
}

/// The same with the keys handed on one by one, which for a list of a million lines is much quicker; none where the
/// text cannot be read.
pub(in crate::policy) fn parse_each_key(
    text: &str,
    mut each: impl FnMut(EntryKey),
) -> Result<(), InvalidEntry> {
    let (kind, prefix) = match text.strip_prefix('!') {
        Some(prefix) => (Kind::Except, prefix.trim_start()),
        None => (Kind::Allow, text),
    };
    Ok(Prefix::parse_each(prefix, |prefix| each(EntryKey::manual(prefix, kind)))?)
}

/// The end of an entry in whole seconds, as it is kept, rounded up: no entry ends before the time that was asked for.
#[must_use]
pub fn whole_seconds(end: Timestamp) -> Timestamp {
    let more = i64::from(end.subsec_nanosecond() > 0);
    Timestamp::from_second(end.as_second() + more).unwrap_or(Timestamp::MAX)
}

/// Reads an entry's end (RFC 3339, seconds may be left out), in whole seconds rounded up.
///
/// # Errors
/// [`InvalidEntry::End`].
pub fn parse_end(text: &str) -> Result<Timestamp, InvalidEntry> {
    let shown = || InvalidEntry::End(text.chars().take(40).collect());
    let end: Timestamp = text.trim().parse().map_err(|_| shown())?;
    Ok(whole_seconds(end))
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
