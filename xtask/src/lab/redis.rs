//! A real redis, and clients that speak its protocol over sockets of a namespace.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{network::Host, process::Process, wait::pace};

/// Starts Debian's redis on all addresses of a host, and waits until it answers.
///
/// # Errors
///
/// It does not start; the error has its log.
pub fn redis_server(host: &Host, port: u16, directory: &Path) -> Result<Process> {
    let label = format!("redis-{port}");
    let mut command = host.namespace.command("redis-server");
    command.args(["--port", &port.to_string()]);
    command.args(["--bind", "0.0.0.0", "::", "--protected-mode", "no", "--save", ""]);
    command.arg("--dir").arg(directory);
    let mut redis = Process::spawn(&label, &mut command, directory)?;
    for address in host.port(port) {
        redis.ready_at(&host.namespace, address)?;
    }
    Ok(redis)
}

/// A connection to a redis.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects from a host.
    ///
    /// # Errors
    ///
    /// Nobody answers in time.
    pub fn open(from: &Host, to: SocketAddr, within: Duration) -> Result<Self> {
        let stream = from
            .namespace
            .connect(to, within)
            .with_context(|| format!("no connection from {} to {to}", from.namespace.name()))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// One PING.
    ///
    /// # Errors
    ///
    /// No PONG in time.
    pub fn ping(&mut self, within: Duration) -> Result<()> {
        const PONG: &[u8] = b"+PONG\r\n";
        self.stream.set_read_timeout(Some(within))?;
        self.stream.write_all(b"PING\r\n").context("PING can't be sent")?;
        let mut answer = [0; PONG.len()];
        self.stream.read_exact(&mut answer).context("no answer to PING")?;
        if answer != PONG {
            bail!("not PONG but {:?}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}

/// A client that keeps its connection and PINGs all the time, on a thread of its own. It waits for
/// each answer as long as it takes.
#[derive(Debug)]
pub struct PingLoop {
    answers: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PingLoop {
    /// Starts on this connection, with a pause after each answer.
    #[must_use]
    pub fn start(mut connection: Connection, pause: Duration) -> Self {
        let answers = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, end) = (Arc::clone(&answers), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            // A connection that is cut stays without a word: look around now and then.
            drop(connection.stream.set_read_timeout(Some(Duration::from_millis(20))));
            let mut answer = [0; 64];
            let mut asked = false;
            while !end.load(Ordering::Relaxed) {
                if !asked && connection.stream.write_all(b"PING\r\n").is_err() {
                    return;
                }
                asked = true;
                match connection.stream.read(&mut answer) {
                    Ok(0) => return,
                    Ok(_) => {
                        asked = false;
                        count.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(pause.max(pace()));
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        });
        Self { answers, stop, thread: Some(thread) }
    }

    /// How many answers came so far.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// How many answers come in this time.
    #[must_use]
    pub fn answers_during(&self, time: Duration) -> u64 {
        let before = self.answers();
        thread::sleep(time);
        self.answers() - before
    }
}

impl Drop for PingLoop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
