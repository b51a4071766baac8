//! Bytes to the daemon's socket, and what comes back.

use std::{
    io::{Read, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Longer than the daemon waits for the head of a request.
const LONGEST: Duration = Duration::from_secs(20);

/// What came back before the daemon closed the connection.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) String);

impl Answer {
    /// Reads until the daemon closes the connection.
    pub(crate) fn read(stream: &mut UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(LONGEST))?;
        Self::read_from(stream)
    }

    /// The same from any stream, with its own patience.
    pub(crate) fn read_from(stream: &mut impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes)
            && error.kind() != std::io::ErrorKind::ConnectionReset
        {
            return Err(error).context("the daemon neither answered in full nor closed");
        }
        Ok(Self(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The HTTP status; none where the connection was just closed.
    pub(crate) fn status(&self) -> Option<u16> {
        self.0.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }

    /// The body, where it is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_str(self.0.split_once("\r\n\r\n")?.1).ok()
    }
}

/// Sends bytes, however many of them the daemon takes, and reads the answer.
pub(crate) fn exchange(socket: &Path, bytes: &[u8]) -> Result<Answer> {
    let mut stream = UnixStream::connect(socket).context("no daemon")?;
    stream.set_write_timeout(Some(LONGEST))?;
    // One that has seen enough closes before it has read all.
    drop(stream.write_all(bytes));
    Answer::read(&mut stream)
}
