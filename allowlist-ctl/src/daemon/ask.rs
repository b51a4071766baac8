//! The one request that the daemon's own binary makes: asking a daemon that runs to take the filter off.

use std::{io, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{sleep, timeout},
};

use super::owner::STOPPING;
use crate::api::{Failure, Problem};

/// Whether it answers at all: what is asked of a daemon that hangs it would do when nobody expects it any more.
const PROBE: &[u8] = b"GET /v1/status HTTP/1.1\r\nhost: allowlistd\r\nconnection: close\r\n\r\n";
const REQUEST: &[u8] = b"POST /v1/shutdown HTTP/1.1\r\nhost: allowlistd\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 15\r\n\r\n{\"detach\":true}";

/// The daemon answers within this time.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks the daemon at a socket to take the filter off and stop; `false` where there is none, or it ends before it answers.
///
/// # Errors
/// A sentence: the socket may not be opened, or the daemon refuses or does not answer.
pub(super) async fn to_detach(socket: &Path) -> anyhow::Result<bool> {
    let Some(stream) = connect(socket).await? else { return Ok(false) };
    // Known while somebody listens, who need not answer.
    let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let end = process.map_or("kill -9 PID".to_owned(), |process| format!("kill -9 {process}"));
    match exchange(stream, PROBE).await {
        Exchange::Answer(_) => {}
        Exchange::Ended => return Ok(false),
        Exchange::Nothing => bail!(
            "the daemon at {} does not answer, and nothing was asked of it: end it with `{end}`, which leaves the filter in force, and type `allowlistd --detach` again",
            socket.display()
        ),
    }
    let Some(stream) = connect(socket).await? else { return Ok(false) };
    let answer = match exchange(stream, REQUEST).await {
        Exchange::Answer(answer) => answer,
        Exchange::Ended => return Ok(false),
        Exchange::Nothing => bail!(
            "the daemon at {} has not taken the filter off within {} seconds and may do so yet: where it does not, end it with `{end}`, which leaves the filter in force, and type `allowlistd --detach` again",
            socket.display(),
            ANSWER.as_secs()
        ),
    };
    if !answer.starts_with("HTTP/1.1 200 ") {
        let reason = reason(&answer);
        if reason == STOPPING {
            return Ok(false);
        }
        bail!("the daemon did not take the filter off: {reason}");
    }
    until_gone(socket).await;
    Ok(true)
}

/// A connection to the daemon; `None` where there is none.
async fn connect(socket: &Path) -> anyhow::Result<Option<UnixStream>> {
    match UnixStream::connect(socket).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => bail!(
            "the daemon at {} takes no connections: end it with `kill -9`, which leaves the filter in force, and type `allowlistd --detach` again",
            socket.display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot open {}", socket.display())),
    }
}

/// What comes of a request.
enum Exchange {
    /// This answer.
    Answer(String),
    /// The daemon ended before it answered.
    Ended,
    /// No answer in time.
    Nothing,
}

async fn exchange(mut stream: UnixStream, request: &[u8]) -> Exchange {
    let mut answer = String::new();
    let answered = async {
        stream.write_all(request).await?;
        stream.read_to_string(&mut answer).await
    };
    match timeout(ANSWER, answered).await {
        Ok(Ok(1..)) => Exchange::Answer(answer),
        Ok(_) => Exchange::Ended,
        Err(_) => Exchange::Nothing,
    }
}

/// Why the daemon refuses, and what it says to do.
fn reason(answer: &str) -> String {
    let body = answer.split_once("\r\n\r\n").map_or(answer, |(_, body)| body).trim();
    match serde_json::from_str(body) {
        Ok(Failure { error: Problem { message, hint: Some(hint), .. } }) => {
            format!("{message}; {hint}")
        }
        Ok(Failure { error }) => error.message,
        Err(_) => body.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_as_a_sentence() {
        let table = [
            (
                r#"{"error":{"code":"failed","message":"it failed","hint":"try it"}}"#,
                "it failed; try it",
            ),
            (r#"{"error":{"code":"failed","message":"it failed"}}"#, "it failed"),
            ("gone away\n", "gone away"),
        ];
        for (body, expected) in table {
            let answer = format!("HTTP/1.1 500 Internal Server Error\r\na: b\r\n\r\n{body}");
            assert_eq!(reason(&answer), expected);
        }
    }
}
