//! The daemon's metrics, as a scraper reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{Answer, PATIENCE, Server, exchange};

/// Where tests have metrics served, in the server's namespace.
pub(crate) const METRICS: &str = "127.0.0.1:9777";

/// Longer than the daemon lets a connection last.
const LONGEST: Duration = Duration::from_secs(20);

/// All values, by name and labels as they are written.
#[derive(Debug)]
pub(crate) struct Scrape {
    values: BTreeMap<String, f64>,
    pub(crate) text: String,
}

impl Scrape {
    fn read(answer: &Answer) -> Result<Self> {
        ensure!(answer.status() == Some(200), "{answer:?}");
        let (head, text) = answer.0.split_once("\r\n\r\n").context("no body")?;
        ensure!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            Ok((name.to_owned(), value.parse().with_context(|| line.to_owned())?))
        };
        Ok(Self { values: lines.map(value).collect::<Result<_>>()?, text: text.to_owned() })
    }

    /// A value, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// A value, which has to be there.
    pub(crate) fn get(&self, name: &str) -> Result<f64> {
        self.find(name).with_context(|| format!("no {name} in {}", self.text))
    }

    /// The names of all metrics.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.values.keys().map(|name| name.split('{').next().unwrap_or(name)).collect()
    }

    /// Checks a value.
    pub(crate) fn is(&self, name: &str, expected: f64) -> Result<()> {
        let found = self.get(name)?;
        ensure!((found - expected).abs() < 1e-6, "{name} should be {expected}, and is {found}");
        Ok(())
    }
}

/// Sends bytes to a port of the server's namespace, and reads the answer.
pub(crate) fn tcp(server: &Server, to: &str, bytes: &[u8]) -> Result<Answer> {
    let to: SocketAddr = to.parse()?;
    let mut stream: TcpStream = server.network.server.namespace.connect(to, PATIENCE)?;
    stream.set_write_timeout(Some(LONGEST))?;
    stream.set_read_timeout(Some(LONGEST))?;
    drop(stream.write_all(bytes));
    Answer::read_from(&mut stream)
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into_bytes()
}

impl Server {
    /// What is to be had at the socket.
    pub(crate) fn metrics(&self) -> Result<Scrape> {
        Scrape::read(&exchange(&self.socket(), &request("/v1/metrics"))?)
    }

    /// The same over TCP.
    pub(crate) fn scrape(&self) -> Result<Scrape> {
        Scrape::read(&tcp(self, METRICS, &request("/metrics"))?)
    }
}
