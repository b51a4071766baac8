//! The whole policy as TOML: what `export` prints and `apply` takes.

mod parse;
mod print;

use std::{io::BufRead, path::Path};

use self::parse::parse;
pub(super) use self::print::print;
use super::{error::Error, file};
use crate::api::PolicyDocument;

/// A text that is no policy.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidPolicy {
    /// It is not TOML, or says something that a policy does not have.
    #[error("line {line}, column {column} of {name} cannot be read: {reason}; nothing was changed")]
    Unreadable {
        /// The file's name.
        name: String,
        /// The line's number, from 1.
        line: usize,
        /// The column's number, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// Entries that are none: at least one.
    #[error("{} of {name} cannot be read; nothing was changed", count(wrong.len()))]
    Entries {
        /// The file's name.
        name: String,
        /// Each with its line.
        wrong: Vec<String>,
    },
}

fn count(entries: usize) -> String {
    if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") }
}

/// Reads a policy from a file; `-` is standard input.
///
/// # Errors
/// [`Error::File`], [`Error::Policy`]
pub(super) fn read(path: &Path, stdin: &mut dyn BufRead) -> Result<PolicyDocument, Error> {
    let name = if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let bytes = file::read(path, stdin)?;
    // The file was found to be text.
    let text = String::from_utf8_lossy(&bytes);
    Ok(parse(&text, &name)?)
}

#[cfg(test)]
mod tests;
