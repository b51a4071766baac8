//! The daemon's HTTP interface over one kept-alive connection, without the command line.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A connection to the daemon.
#[derive(Debug)]
pub(super) struct Client {
    stream: BufReader<UnixStream>,
}

/// An answer that was a success.
#[derive(Debug)]
pub(super) struct Answer {
    /// From the first byte of the request to the last one of the answer.
    pub(super) took: Duration,
    /// What was answered.
    pub(super) body: Value,
}

impl Client {
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("the daemon does not answer")?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// One request with a JSON body.
    pub(super) fn json(&mut self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        self.request(method, path, "application/json", body.to_string().as_bytes())
    }

    /// One request; anything but a success is an error with what was answered.
    pub(super) fn request(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: allowlist\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);

        let begin = Instant::now();
        self.stream.get_mut().write_all(&request)?;
        let (status, body) = self.answer()?;
        let took = begin.elapsed();
        if !(200..300).contains(&status) {
            bail!("{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        }
        Ok(Answer { took, body: serde_json::from_slice(&body)? })
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.context("the daemon closed the connection")?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}
