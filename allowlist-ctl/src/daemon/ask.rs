//! The one request that the daemon's own binary makes: asking a daemon that runs to take the filter off.

use std::{io, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{sleep, timeout},
};

const REQUEST: &[u8] = b"POST /v1/shutdown HTTP/1.1\r\nhost: allowlistd\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 15\r\n\r\n{\"detach\":true}";

/// Asks the daemon at a socket to take the filter off and stop; `false` where there is none.
///
/// # Errors
/// A sentence: the socket may not be opened, or the daemon refuses.
pub(super) async fn to_detach(socket: &Path) -> anyhow::Result<bool> {
    let mut stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(false);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot open {}", socket.display()));
        }
    };
    stream.write_all(REQUEST).await.context("cannot ask the daemon")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.context("cannot read the daemon's answer")?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        let reason = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body);
        bail!("the daemon did not take the filter off: {}", reason.trim());
    }
    until_gone(socket).await;
    Ok(true)
}

/// Waits until the daemon no longer serves the socket, so that another one can be started at once.
async fn until_gone(socket: &Path) {
    const LONGEST: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(20);
    let gone = async {
        while UnixStream::connect(socket).await.is_ok() {
            sleep(PAUSE).await;
        }
    };
    // It has taken the filter off, which is what was asked for, however long it takes to end.
    let _ = timeout(LONGEST, gone).await;
}
