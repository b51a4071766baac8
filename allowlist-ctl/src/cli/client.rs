//! The daemon's other side: HTTP/1.1 over its Unix socket.

mod unheard;

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use nix::unistd::{Gid, Group, Uid, User};
use serde::de::DeserializeOwned;
use tokio::runtime::{self, Runtime};

use self::unheard::Unheard;
use super::{
    error::{Absence, Error},
    request::{Body, Request},
};
use crate::api::{DAEMON, Failure, Problem};

/// Speaks to the daemon at a socket, one request a connection.
pub(super) struct Client {
    socket: PathBuf,
    runtime: Runtime,
}

/// A reply whose body has yet to come.
pub(super) struct Reply<'a> {
    client: &'a Client,
    response: Response<Incoming>,
}

impl Client {
    /// A client of the daemon at this socket; connects with each request.
    ///
    /// # Errors
    /// [`Error::Start`]
    pub(super) fn new(socket: &Path) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { socket: socket.to_owned(), runtime: runtime.map_err(Error::Start)? })
    }

    /// Sends a request, and returns the reply where it is a success.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the daemon says, or why it says nothing.
    pub(super) fn send(&self, request: &Request) -> Result<Reply<'_>, Error> {
        // A blocking connect waits where the daemon's queue is full; one that does not would fail.
        let stream = UnixStream::connect(&self.socket)
            .and_then(|stream| stream.set_nonblocking(true).map(|()| stream))
            .map_err(|error| explain_connect(&self.socket, error))?;
        let response = self.runtime.block_on(exchange(stream, request));
        let response = response.map_err(|error| {
            // Some say something when somebody comes, and others do not know what they are asked.
            let is_http = error.downcast_ref::<hyper::Error>().is_none_or(|it| !it.is_parse());
            if is_http { self.broken(&*error) } else { self.stranger("it does not speak HTTP") }
        })?;
        let server = response.headers().get(header::SERVER);
        if server.is_none_or(|name| name != DAEMON) {
            return Err(self.stranger(&format!("it answers {}", response.status())));
        }
        let reply = Reply { client: self, response };
        if reply.response.status().is_success() { Ok(reply) } else { Err(reply.refusal()) }
    }

    fn stranger(&self, said: &str) -> Error {
        Error::Stranger { socket: self.socket.clone(), said: said.to_owned() }
    }

    /// Does something that needs the runtime.
    pub(super) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        work()
    }

    /// Waits for something.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn broken(&self, error: &dyn std::error::Error) -> Error {
        // The outer error of hyper is often just "connection error".
        let mut reason = error.to_string();
        if let Some(source) = error.source() {
            reason = format!("{reason} ({source})");
        }
        Error::Broken { socket: self.socket.clone(), reason }
    }
}

impl Reply<'_> {
    /// The next piece of the body, or `None` at its end.
    ///
    /// # Errors
    /// [`Error::Broken`]
    pub(super) fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.client.runtime.block_on(self.response.frame()) {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(self.client.broken(&error)),
            }
        }
    }

    /// The whole body as a document.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Unreadable`]
    pub(super) fn document<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        let body = self.body()?;
        serde_json::from_slice(&body).map_err(|error| Error::Unreadable(error.to_string()))
    }

    fn body(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk()? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn refusal(mut self) -> Error {
        let status = self.response.status();
        match self.body() {
            Ok(body) => read_refusal(status, &body).map_or_else(Error::Unreadable, Error::Refused),
            Err(error) => error,
        }
    }
}

fn read_refusal(status: StatusCode, body: &[u8]) -> Result<Problem, String> {
    let failure: Result<Failure, _> = serde_json::from_slice(body);
    failure.map(|failure| failure.error).map_err(|_| format!("it says {status}, and nothing more"))
}

async fn exchange(
    stream: UnixStream,
    request: &Request,
) -> Result<Response<Incoming>, Box<dyn std::error::Error>> {
    let stream = Unheard(tokio::net::UnixStream::from_std(stream)?);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with the connection is told to the sender and to the body, too.
    tokio::spawn(async { _ = connection.await });
    let (content_type, body) = match &request.body {
        Body::Empty => (None, Bytes::new()),
        Body::Json(body) => (Some("application/json"), body.clone()),
        Body::Text(body) => (Some("text/plain; charset=utf-8"), body.clone()),
    };
    let mut message = hyper::Request::builder()
        .method(&request.method)
        .uri(request.target())
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close");
    if let Some(content_type) = content_type {
        message = message.header(header::CONTENT_TYPE, content_type);
    }
    Ok(sender.send_request(message.body(Full::new(body))?).await?)
}

fn explain_connect(socket: &Path, source: io::Error) -> Error {
    let socket = socket.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::NoDaemon { socket, why: Absence::Missing }
        }
        // What is no socket refuses, too.
        io::ErrorKind::ConnectionRefused => {
            let why = if is_socket(&socket) { Absence::Deserted } else { Absence::NoSocket };
            Error::NoDaemon { socket, why }
        }
        _ if source.raw_os_error() == Some(libc::EPROTOTYPE) => {
            Error::NoDaemon { socket, why: Absence::OtherKind }
        }
        io::ErrorKind::PermissionDenied => {
            Error::MayNotOpen { user: caller(), group: group_of(&socket), socket }
        }
        _ => Error::Socket { socket, source },
    }
}

fn caller() -> String {
    let uid = Uid::effective();
    match User::from_uid(uid) {
        Ok(Some(user)) => format!("{} (uid {uid})", user.name),
        _ => format!("uid {uid}"),
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// The group whose members may open a socket, where that is one to be asked for.
fn group_of(socket: &Path) -> Option<String> {
    const GROUP_WRITES: u32 = 0o020;
    let metadata = fs::metadata(socket).ok()?;
    if metadata.gid() == 0 || metadata.mode() & GROUP_WRITES == 0 {
        return None;
    }
    let group = Group::from_gid(Gid::from_raw(metadata.gid())).ok()??;
    Some(group.name)
}

#[cfg(test)]
mod tests;
