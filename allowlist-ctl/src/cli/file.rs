//! A file whose text is sent to the daemon: a list, a policy, assertions.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use hyper::body::Bytes;

use crate::api::MAX_LIST_BODY;

/// A file that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It cannot be read.
    #[error("cannot read {name}: {source}")]
    Read {
        /// Its name.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not text.
    #[error("line {line} of {name} is not UTF-8 text; nothing was sent")]
    Encoding {
        /// Its name.
        name: String,
        /// The line's number, from 1.
        line: usize,
    },
    /// It is larger than the daemon takes.
    #[error("{name} is larger than {} MiB, the most that is taken", MAX_LIST_BODY >> 20)]
    TooLarge {
        /// Its name.
        name: String,
    },
}

/// Reads it; `-` is standard input.
///
/// # Errors
/// [`FileError`]
pub(super) fn read(path: &Path, stdin: &mut dyn io::BufRead) -> Result<Bytes, FileError> {
    if path == Path::new("-") {
        return read_from(stdin, "standard input");
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read_from(file, &name),
        Err(source) => Err(FileError::Read { name, source }),
    }
}

fn read_from(input: impl Read, name: &str) -> Result<Bytes, FileError> {
    let name = || name.to_owned();
    let mut bytes = Vec::new();
    // One byte more than may be, to tell a file that is too large from one that just fits.
    let limit = u64::try_from(MAX_LIST_BODY).unwrap_or(u64::MAX).saturating_add(1);
    let read = input.take(limit).read_to_end(&mut bytes);
    read.map_err(|source| FileError::Read { name: name(), source })?;
    if bytes.len() > MAX_LIST_BODY {
        return Err(FileError::TooLarge { name: name() });
    }
    if let Err(error) = std::str::from_utf8(&bytes) {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        return Err(FileError::Encoding { name: name(), line });
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_from_a_file_or_from_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("office.txt");
        std::fs::write(&path, "10.0.0.1 # Büro\n").unwrap();
        let mut stdin: &[u8] = b"::1\n";
        assert_eq!(read(&path, &mut stdin).unwrap(), "10.0.0.1 # Büro\n");
        assert_eq!(read(Path::new("-"), &mut stdin).unwrap(), "::1\n");
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let mut stdin: &[u8] = b"10.0.0.1\n\n10.0.0.2 # \xff\n";
        let error = read(Path::new("-"), &mut stdin).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3 of standard input is not UTF-8 text; nothing was sent"
        );
        let error = read(Path::new("/nowhere/list"), &mut stdin).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read /nowhere/list: No such file or directory (os error 2)"
        );
        let endless = read_from(io::repeat(b'\n'), "zeros").unwrap_err();
        assert_eq!(endless.to_string(), "zeros is larger than 256 MiB, the most that is taken");
    }
}
