//! Entries of a request, read.

use jiff::Timestamp;

use crate::{
    api::{EntrySpec, ErrorCode, Problem},
    policy::{
        EntryKey,
        entry::{InvalidEntry, NewEntry, parse_comment, parse_keys, whole_seconds},
        lines,
    },
};

/// Reads entries to add or to put in place of others.
///
/// # Errors
/// [`ErrorCode::Invalid`] with everything that is wrong.
pub(super) fn new_entries(specs: &[EntrySpec]) -> Result<Vec<NewEntry>, Problem> {
    read_all(specs, |spec| {
        let comment = match &spec.comment {
            Some(comment) => Some(parse_comment(comment)?.unwrap_or_default()),
            None => None,
        };
        let keys = parse_keys(&spec.entry)?;
        let expires_at = spec.expires_at.map(whole_seconds);
        Ok(keys
            .into_iter()
            .map(|key| NewEntry { key, comment: comment.clone(), expires_at })
            .collect())
    })
}

/// Checks that entries to add do not end before they begin.
///
/// # Errors
/// [`ErrorCode::Invalid`].
pub(super) fn lasting(entries: Vec<NewEntry>) -> Result<Vec<NewEntry>, Problem> {
    let now = Timestamp::now();
    let ended = entries.iter().find_map(|new| new.expires_at.filter(|end| *end <= now));
    match ended {
        Some(end) => {
            Err(Problem::new(ErrorCode::Invalid, format!("the end {end} lies in the past")))
        }
        None => Ok(entries),
    }
}

/// Reads entries to remove.
///
/// # Errors
/// [`ErrorCode::Invalid`] with everything that is wrong.
pub(super) fn keys(specs: &[EntrySpec]) -> Result<Vec<EntryKey>, Problem> {
    read_all(specs, |spec| {
        // It means nothing here, and is to be one all the same.
        parse_comment(spec.comment.as_deref().unwrap_or_default())?;
        parse_keys(&spec.entry)
    })
}

fn read_all<T>(
    specs: &[EntrySpec],
    read: impl Fn(&EntrySpec) -> Result<Vec<T>, InvalidEntry>,
) -> Result<Vec<T>, Problem> {
    let mut entries = Vec::with_capacity(specs.len());
    let mut wrong = Vec::new();
    for spec in specs {
        match read(spec) {
            Ok(found) => entries.extend(found),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    match wrong.as_slice() {
        [] => Ok(entries),
        [one] => Err(Problem::new(ErrorCode::Invalid, one)),
        more => {
            let message = format!("{} entries cannot be read", more.len());
            Err(Problem { details: wrong, ..Problem::new(ErrorCode::Invalid, message) })
        }
    }
}

/// Reads a list as text.
///
/// # Errors
/// [`ErrorCode::InvalidLines`] with every line that is wrong.
pub(super) fn from_text(body: &[u8]) -> Result<Vec<NewEntry>, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let valid = body.get(..error.valid_up_to()).unwrap_or_default();
        let line = valid.split(|byte| *byte == b'\n').count();
        Problem::new(ErrorCode::InvalidLines, format!("line {line} is not UTF-8 text"))
    })?;
    lines::parse(text).map_err(|wrong| Problem {
        details: wrong.iter().map(ToString::to_string).collect(),
        ..Problem::new(
            ErrorCode::InvalidLines,
            match wrong.len() {
                1 => "1 line cannot be read, and nothing was changed".to_owned(),
                lines => format!("{lines} lines cannot be read, and nothing was changed"),
            },
        )
    })
}
