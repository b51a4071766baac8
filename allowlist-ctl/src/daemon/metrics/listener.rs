//! Metrics over TCP, for a scraper on another host: one page, and nothing that changes anything.
//!
//! Whoever reaches the port may read it, so it is narrow: few connections, one request each, a small head, and a
//! deadline for all of it. Who comes while all places are taken waits in the kernel's queue.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::timeout,
};
use tracing::debug;

use super::{TEXT_FORMAT, text};
use crate::{
    daemon::{connections, shared::Shared},
    patience::patiently,
};

/// Connections served at once.
const CONNECTIONS: usize = 8;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;
/// A connection is over within this time, however slowly its other end writes or reads.
const DEADLINE: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes: the least that hyper takes.
const MAX_HEAD: usize = 8 << 10;
const PATH: &str = "/metrics";

/// A port that nobody can connect to yet.
pub(in crate::daemon) struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Bound {
    /// Lets scrapers connect.
    ///
    /// # Errors
    /// A sentence.
    pub(in crate::daemon) fn open(self) -> anyhow::Result<TcpListener> {
        self.socket.listen(BACKLOG).with_context(|| in_the_way(self.address))
    }
}

/// Takes the port's place; a daemon that is ending is waited for.
///
/// # Errors
/// A sentence: somebody listens there, or the address or the port is not to be had.
pub(in crate::daemon) fn bind(address: SocketAddr) -> anyhow::Result<Bound> {
    let socket = patiently(|| match try_to_bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        bound => bound.map(Some),
    });
    let socket = socket.with_context(|| match address.port() {
        ..1024 => format!(
            "cannot listen at {address} for the metrics: where the address is this host's, choose a port of 1024 or above, which takes no capability"
        ),
        _ => format!(
            "cannot listen at {address} for the metrics: choose an address that this host has now, such as 127.0.0.1"
        ),
    })?;
    let socket = socket.with_context(|| in_the_way(address))?;
    Ok(Bound { socket, address })
}

fn in_the_way(address: SocketAddr) -> String {
    format!(
        "cannot listen at {address} for the metrics: something else does; stop it, or choose another --metrics"
    )
}

fn try_to_bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // What a daemon that has ended leaves behind in the kernel is nobody's.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What is served, one page at a time: whoever asks for many at once keeps one CPU busy and no more.
struct Pages {
    shared: Arc<Shared>,
    turn: Semaphore,
}

/// Serves until it is dropped.
pub(in crate::daemon) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let pages = Arc::new(Pages { shared, turn: Semaphore::new(1) });
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = Arc::clone(&pages);
                tokio::spawn(async move {
                    if timeout(DEADLINE, connection(stream, pages)).await.is_err() {
                        debug!("a connection for metrics took too long");
                    }
                    drop(place);
                });
            }
            Err(error) => connections::not_accepted(&error).await,
        }
    }
}

async fn connection(stream: TcpStream, pages: Arc<Pages>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer(&request, &pages).await) }
    });
    let served = connections::http(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!("a connection for metrics ended: {error}");
    }
}

async fn answer(request: &Request<Incoming>, pages: &Pages) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, format!("there is only {PATH}\n"));
    }
    if request.method() != Method::GET {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "there is only GET\n".into());
        answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
        return answer;
    }
    let _turn = pages.turn.acquire().await;
    let shared = Arc::clone(&pages.shared);
    match spawn_blocking(move || text(&shared)).await {
        Ok(Ok(text)) => {
            let mut answer = plain(StatusCode::OK, text);
            let text_format = header::HeaderValue::from_static(TEXT_FORMAT);
            answer.headers_mut().insert(header::CONTENT_TYPE, text_format);
            answer
        }
        Ok(Err(problem)) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", problem.message))
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_is_in_the_way_of_the_port_is_said() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap();
        let table = [
            (taken, "something else does; stop it, or choose another --metrics"),
            ("192.0.2.1:9777".parse().unwrap(), "choose an address that this host has now"),
            ("192.0.2.1:77".parse().unwrap(), "choose a port of 1024 or above"),
        ];
        for (address, expected) in table {
            let error = bind(address).err().unwrap().to_string();
            assert!(error.starts_with(&format!("cannot listen at {address}")), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
