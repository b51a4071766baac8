//! The file that an editor opens.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use crate::{
    api::{List, ListKind},
    cli::{error::Error, file},
    policy::{EntryKey, Name, lines},
};

/// A private file with the entries of a list; removed with this value unless it is kept.
pub(super) struct Buffer {
    list: Name,
    path: TempPath,
    original: String,
}

impl Buffer {
    /// Writes the entries of a list that somebody added by command to a new file.
    ///
    /// # Errors
    /// [`Error::Buffer`]
    pub(super) fn create(list: &List, revision: u64) -> Result<Self, Error> {
        let original = text(list, revision);
        let prefix = format!("{}-", list.name);
        // Nobody else may read it, or put another one in its place.
        let file = tempfile::Builder::new().prefix(&prefix).suffix(".allowlist.txt").tempfile();
        let path = file.and_then(|mut file| {
            file.write_all(original.as_bytes())?;
            Ok(file.into_temp_path())
        });
        Ok(Self { list: list.name.clone(), path: path.map_err(Error::Buffer)?, original })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in the file now, or `None` where that is what was.
    ///
    /// # Errors
    /// [`Error::File`]
    pub(super) fn changed_text(&self) -> Result<Option<Vec<u8>>, Error> {
        let text = file::read(&self.path, &mut io::empty())?;
        Ok((text != self.original).then(|| text.into()))
    }

    /// Keeps the file, and says where it is.
    ///
    /// # Errors
    /// [`Error::Buffer`]
    pub(super) fn keep(self) -> Result<PathBuf, Error> {
        self.path.keep().map_err(|error| Error::Buffer(error.error))
    }

    /// The error, with the file that is kept on account of it; the file goes where nobody has changed it.
    pub(super) fn kept(self, error: Error) -> Error {
        if fs::read(&self.path).is_ok_and(|text| text == self.original.as_bytes()) {
            return error;
        }
        let list = self.list.clone();
        match self.keep() {
            Ok(file) => Error::Kept { error: Box::new(error), list, file },
            Err(_) => error,
        }
    }
}

/// The entries that somebody added by command, a line each, under a heading.
pub(super) fn text(list: &List, revision: u64) -> String {
    let List { name, kind, follow, entries, .. } = list;
    let kind = if *kind == ListKind::Group { "group" } else { "service" };
    let mut text = format!(
        "\
# Entries of the {kind} {name} at revision {revision}; they become what is saved here.
# Each on a line: an address, a prefix, or a range as in 10.0.0.1-10.0.0.9. Like so:
#   10.0.0.0/8 # a comment that is kept
#   !10.6.6.0/24 # denied, inside a range that is allowed
#   10.7.0.0/16 until=2026-12-01T00:00Z # no longer counts from then on
"
    );
    if let Some(path) = follow {
        let path = path.display().to_string();
        // Writing to a string does not fail.
        let _: std::fmt::Result = writeln!(
            text,
            "# The entries of {} are not here: the group follows that file.",
            crate::cli::console::clean(&path)
        );
    }
    text.push('\n');
    for entry in entries.iter().filter(|entry| entry.origin == "manual") {
        let key = EntryKey::manual(entry.prefix, entry.kind);
        text.push_str(&lines::line(&key, entry.expires_at, entry.comment.as_deref()));
        text.push('\n');
    }
    text
}
