//! Whether a client is served.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use xtask::lab::{Connection, Host, Namespace};

use super::PATIENCE;

/// A connection that is let in is there within a tenth of this.
const SILENCE: Duration = Duration::from_millis(150);

/// The client gets an answer of redis over a connection of its own.
pub(crate) fn served(client: &Host, to: SocketAddr) -> Result<()> {
    Connection::open(client, to, PATIENCE)?.ping(PATIENCE)
}

/// The client's packets vanish: neither connected nor refused.
pub(crate) fn shut_out(client: &Host, to: SocketAddr) -> Result<()> {
    let name = client.namespace.name();
    let outcome = client.namespace.inside(|| TcpStream::connect_timeout(&to, SILENCE))?;
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{name} to {to}, not just silence")),
        Ok(_) => bail!("{name} should be shut out, and is connected to {to}"),
    }
}

/// Listens on a TCP port in a namespace, over both families; connections wait in its queue.
pub(crate) fn listen(namespace: &Namespace, port: u16) -> Result<TcpListener> {
    let listener = namespace.inside(|| TcpListener::bind(("::", port)))?;
    listener.with_context(|| format!("no listener at port {port}"))
}
