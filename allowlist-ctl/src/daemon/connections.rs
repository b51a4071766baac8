//! Connections to the socket, and how many at once.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header::SERVER},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::{access::Access, caller::Caller};
use crate::api::DAEMON;

/// Connections served at once.
const CONNECTIONS: usize = 64;
/// Connections that admins have beyond those, so that nobody can keep them out.
const ADMIN_CONNECTIONS: usize = 16;
/// Connections that wait for a place; as many more of admins. With those served they are few enough for the file
/// descriptors that a process has by default.
const WAITING: usize = 256;
/// A connection waits so long for a place at most.
const WAIT: Duration = Duration::from_secs(30);
/// A request's head must be there within this time; so must the next one on a connection that is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 32 << 10;
/// Requests under way at the end have this long.
const DRAIN: Duration = Duration::from_secs(2);
/// After a failure to accept (too many open files, say) the next attempt waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 107\r\nconnection: close\r\nserver: allowlistd\r\n\r\n\
    {\"error\":{\"code\":\"failed\",\"message\":\"too many connections are open at once\",\"hint\":\"try again in a while\"}}";

/// Serves until `end`, then lets what is under way finish; returns how it ended.
pub(super) async fn serve<T>(
    listener: UnixListener,
    router: Router,
    access: Arc<Access>,
    end: impl Future<Output = T>,
) -> T {
    let everybody = Places::new(CONNECTIONS);
    let admins = Places::new(ADMIN_CONNECTIONS);
    let graceful = GracefulShutdown::new();
    tokio::pin!(end);
    let ended = loop {
        let stream = tokio::select! {
            ended = &mut end => break ended,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    not_accepted(&error).await;
                    continue;
                }
            },
        };
        let Ok(caller) = Caller::of(&stream) else { continue };
        let places = if access.is_admin(&caller) { [&everybody, &admins] } else { [&everybody; 2] };
        if let Some(place) = places.iter().find_map(|places| places.free()) {
            tokio::spawn(connection(stream, caller, place, router.clone(), graceful.watcher()));
            continue;
        }
        // Those of admins wait among themselves, or others could fill the queue before them.
        if let Some(turn) = places[1].queue() {
            let (router, watcher) = (router.clone(), graceful.watcher());
            tokio::spawn(async move {
                match turn.place().await {
                    Some(place) => connection(stream, caller, place, router, watcher).await,
                    None => refuse(stream).await,
                }
            });
            continue;
        }
        warn!("a connection is refused: too many are open at once");
        tokio::spawn(refuse(stream));
    };
    // Whoever comes now is told at once that nobody serves here.
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        debug!("connections were still open at the end");
    }
    ended
}

/// Places for connections, and a queue before them.
struct Places {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A place in the queue.
struct Turn {
    places: Arc<Semaphore>,
    _waiting: OwnedSemaphorePermit,
}

impl Places {
    fn new(count: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(count)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }

    /// A place, if one is free and nobody waits for it.
    fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place in the queue, if there is one.
    fn queue(&self) -> Option<Turn> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().ok()?;
        Some(Turn { places: Arc::clone(&self.places), _waiting: waiting })
    }
}

impl Turn {
    /// The place, when it is there; `None` where that takes too long.
    async fn place(self) -> Option<OwnedSemaphorePermit> {
        timeout(WAIT, self.places.acquire_owned()).await.ok()?.ok()
    }
}

async fn connection(
    stream: UnixStream,
    caller: Caller,
    place: OwnedSemaphorePermit,
    router: Router,
    watcher: Watcher,
) {
    let caller = caller.named().await;
    let service = hyper::service::service_fn(move |request: Request<_>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(caller.clone());
        let answer = router.clone().oneshot(request);
        async {
            let mut answer = answer.await?;
            answer.headers_mut().insert(SERVER, HeaderValue::from_static(DAEMON));
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http(MAX_HEAD).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!("a connection ended: {error}");
    }
    drop(place);
}

/// HTTP/1 whose heads are small and come in time.
pub(super) fn http(max_head: usize) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(max_head);
    http
}

/// Says that a connection could not be accepted, and waits a moment.
pub(super) async fn not_accepted(error: &io::Error) {
    warn!("cannot accept a connection: {error}");
    sleep(ACCEPT_PAUSE).await;
}

async fn refuse(mut stream: UnixStream) {
    // Whoever does not read it has it closed anyway.
    let _ = timeout(HEAD_TIMEOUT, stream.write_all(BUSY)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busy_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(BUSY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        assert!(head.contains(&format!("\r\nserver: {DAEMON}")), "{head}");
        assert!(serde_json::from_str::<crate::api::Failure>(body).is_ok(), "{body}");
    }
}
