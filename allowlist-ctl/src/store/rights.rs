//! Why the store may not be written: whose its directory and files are, and with which modes.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::Uid;
use rusqlite::ErrorCode;

use super::{FILE, found::beside};

/// What is to be put right about a state directory, said behind an error; nothing where that is about something else.
pub(super) struct Rights<'a> {
    directory: &'a Path,
    is_denied: bool,
}

impl<'a> Rights<'a> {
    /// Behind what the file system answered.
    pub(super) fn of_directory(directory: &'a Path, error: &io::Error) -> Self {
        Self { directory, is_denied: error.kind() == io::ErrorKind::PermissionDenied }
    }

    /// Behind what SQLite said of a database.
    pub(super) fn of_database(database: &'a Path, error: &rusqlite::Error) -> Self {
        let is_denied = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
        );
        Self { directory: database.parent().unwrap_or(database), is_denied }
    }
}

impl fmt::Display for Rights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_denied {
            return Ok(());
        }
        let user = Uid::effective().as_raw();
        let Some((path, owner, mode)) = in_the_way(self.directory, user) else { return Ok(()) };
        let name = if user == 0 { "root".to_owned() } else { user.to_string() };
        let directory = quoted(&self.directory.to_string_lossy());
        write!(
            f,
            "; {} is of user {owner} with mode {mode:03o}, and allowlistd, of user {user}, goes by owner and mode as others do: `chown -R {name}: {directory} && chmod -R u=rwX,go= {directory}`",
            path.display()
        )
    }
}

/// A word as a shell takes it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The first of a store's files that is another user's, or not to be written by its owner; its owner and mode.
fn in_the_way(directory: &Path, user: u32) -> Option<(PathBuf, u32, u32)> {
    let database = directory.join(FILE);
    let files = ["", "-wal", "-journal"].map(|ending| (beside(&database, ending), 0o600));
    [(directory.to_owned(), 0o700)].into_iter().chain(files).find_map(|(path, needed)| {
        let about = fs::metadata(&path).ok()?;
        let (owner, mode) = (about.uid(), about.mode() & 0o7777);
        (owner != user || mode & needed != needed).then_some((path, owner, mode))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn what_is_in_the_way_of_writing_is_named_with_its_owner_and_mode() {
        let user = Uid::effective().as_raw();
        for (description, name, mode, expected) in [
            ("all is right", "", 0o700, None),
            ("a directory that cannot be written", "", 0o555, Some(0o555)),
            ("a directory that cannot be read", "", 0o300, Some(0o300)),
            ("a database that cannot be written", FILE, 0o444, Some(0o444)),
            ("what is beside it", "allowlist.db-wal", 0o000, Some(0)),
            ("a file of somebody else's", "notes", 0o000, None),
        ] {
            let scratch = tempfile::tempdir().unwrap();
            let directory = scratch.path().join("state");
            fs::create_dir(&directory).unwrap();
            fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
            let path = if name.is_empty() { directory.clone() } else { directory.join(name) };
            if !name.is_empty() {
                fs::write(&path, "").unwrap();
            }
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let found = in_the_way(&directory, user);
            assert_eq!(found, expected.map(|mode| (path.clone(), user, mode)), "{description}");
            let denied = io::Error::from(io::ErrorKind::PermissionDenied);
            let told = Rights::of_directory(&directory, &denied).to_string();
            assert_eq!(told.contains("`chown -R "), expected.is_some(), "{description}: {told}");
            let full = io::Error::from(io::ErrorKind::StorageFull);
            assert_eq!(Rights::of_directory(&directory, &full).to_string(), "", "{description}");
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            assert_eq!(in_the_way(&directory, user + 1), Some((directory, user, 0o700)));
        }
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        for (word, expected) in [
            ("/var/lib/allowlist/allowlist.db", "/var/lib/allowlist/allowlist.db"),
            ("/a b/c", "'/a b/c'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
