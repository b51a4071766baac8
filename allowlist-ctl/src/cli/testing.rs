//! A console in memory, and a daemon that answers what a test wants.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    thread::{self, JoinHandle},
};

use clap::Parser as _;
use tempfile::TempDir;

use super::{
    args::Args,
    console::{Console, Paint},
    run::run,
};

/// What was written to a console.
#[derive(Default)]
pub(super) struct Screen {
    stdin: std::io::Cursor<Vec<u8>>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    is_asked: bool,
    editor: Option<String>,
}

impl Screen {
    /// The same with an editor.
    pub(super) fn editing_with(self, editor: impl Into<String>) -> Self {
        Self { editor: Some(editor.into()), ..self }
    }

    /// A terminal on which somebody types this.
    pub(super) fn answering(answer: &str) -> Self {
        Self { stdin: std::io::Cursor::new(answer.into()), is_asked: true, ..Self::default() }
    }

    pub(super) fn console(&mut self) -> Console<'_> {
        Console {
            stdin: &mut self.stdin,
            stdout: &mut self.stdout,
            stderr: &mut self.stderr,
            editor: self.editor.clone(),
            session: || None,
            is_asked: self.is_asked,
            has_screen: false,
            is_terminal: false,
            paint: Paint::OFF,
            stderr_paint: Paint::OFF,
        }
    }

    pub(super) fn stdout(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub(super) fn stderr(&self) -> String {
        String::from_utf8(self.stderr.clone()).unwrap()
    }
}

/// How a command ends whose requests are answered so, what it wrote, and what was asked.
pub(super) fn typed(line: &str, answers: &[String]) -> (u8, String, String, Vec<String>) {
    typed_at(line, Screen::default(), answers)
}

/// The same at a screen.
pub(super) fn typed_at(
    line: &str,
    mut screen: Screen,
    answers: &[String],
) -> (u8, String, String, Vec<String>) {
    let daemon = FakeDaemon::answering(answers.iter().map(String::as_str));
    let line = format!("allowlist-ctl --socket {} {line}", daemon.socket().display());
    let args = Args::try_parse_from(line.split_whitespace()).unwrap();
    let exit = run(&args, &mut screen.console());
    (exit as u8, screen.stdout(), screen.stderr(), daemon.requests())
}

/// A daemon that gives each connection one of these answers, whatever it is asked.
pub(super) struct FakeDaemon {
    directory: TempDir,
    thread: JoinHandle<Vec<String>>,
}

impl FakeDaemon {
    pub(super) fn answering(answers: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s.sock")).unwrap();
        let answers: Vec<Vec<u8>> = answers.into_iter().map(Into::into).collect();
        let thread = thread::spawn(move || {
            let answer = |answer: Vec<u8>| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read_request(&mut stream);
                stream.write_all(&answer).unwrap();
                request
            };
            answers.into_iter().map(answer).collect()
        });
        Self { directory, thread }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("s.sock")
    }

    /// The requests that came.
    pub(super) fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn read_request(stream: &mut UnixStream) -> String {
    let mut request = String::new();
    let mut buffer = [0; 1 << 12];
    loop {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((&request, ""));
        let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if head.len() < request.len() && body.len() >= length {
            return request;
        }
        let count = stream.read(&mut buffer).unwrap();
        request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
}

/// An answer of the daemon.
pub(super) fn http(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nserver: allowlistd\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
