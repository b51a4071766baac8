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
pub struct Client {
    stream: BufReader<UnixStream>,
}

/// What the daemon answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// From the first byte of the request to the last one of the answer.
    pub took: Duration,
    /// What was answered, JSON.
    pub body: Value,
}

impl Answer {
    /// Whether it is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Client {
    /// Connects to the daemon at a socket.
    ///
    /// # Errors
    ///
    /// It does not accept.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("the daemon does not answer")?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// One request without a body.
    ///
    /// # Errors
    ///
    /// As of [`Client::request`].
    pub fn get(&mut self, path: &str) -> Result<Value> {
        Ok(self.request("GET", path, "application/json", b"")?.body)
    }

    /// One request with a JSON body.
    ///
    /// # Errors
    ///
    /// As of [`Client::request`].
    pub fn json(&mut self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        self.request(method, path, "application/json", body.to_string().as_bytes())
    }

    /// One request.
    ///
    /// # Errors
    ///
    /// Anything but a success, with what was answered; or no answer.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let answer = self.ask(method, path, content_type, body)?;
        if !answer.is_success() {
            bail!("{method} {path}: {} {}", answer.status, answer.body);
        }
        Ok(answer)
    }

    /// One request, whatever is answered.
    ///
    /// # Errors
    ///
    /// There is no answer, or not all of it.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let begin = Instant::now();
        let (status, body) = self.ask_bytes(method, path, content_type, body)?;
        let took = begin.elapsed();
        Ok(Answer { status, took, body: serde_json::from_slice(&body)? })
    }

    /// The same, and the body as it came.
    ///
    /// # Errors
    ///
    /// As of [`Client::ask`].
    pub fn ask_bytes(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>)> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: allowlist\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        // One that has seen enough answers before it has read all.
        let written = self.stream.get_mut().write_all(&request);
        match (written, self.answer()) {
            (_, Ok(answer)) => Ok(answer),
            (Err(error), Err(_)) => Err(error).context("the daemon closed the connection"),
            (Ok(()), Err(error)) => Err(error),
        }
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.context("the daemon closed the connection")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        let mut body = Vec::new();
        if !chunked {
            self.read_into(&mut body, length)?;
            return Ok((status, body));
        }
        loop {
            let length = usize::from_str_radix(self.line()?.trim_end(), 16)?;
            self.read_into(&mut body, length)?;
            self.line()?;
            if length == 0 {
                return Ok((status, body));
            }
        }
    }

    fn read_into(&mut self, body: &mut Vec<u8>, length: usize) -> Result<()> {
        let before = body.len();
        body.resize(before + length, 0);
        self.stream.read_exact(&mut body[before..]).context("the answer broke off")
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line)
    }
}
