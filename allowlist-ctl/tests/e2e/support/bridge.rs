//! From TCP to the daemon's socket, for clients that know no Unix sockets.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    thread,
};

use anyhow::Result;
use xtask::lab::Namespace;

/// Serves on the loopback of a namespace until the test's process ends, and returns where.
pub(crate) fn bridge(namespace: &Namespace, socket: PathBuf) -> Result<SocketAddr> {
    let listener = namespace.inside(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))??;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming() {
            // A client that cannot be served sees its connection closed.
            drop(client.and_then(|client| join(client, UnixStream::connect(&socket)?)));
        }
    });
    Ok(address)
}

/// Joins two connections until both are closed.
fn join(client: TcpStream, daemon: UnixStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut from_client, mut to_daemon) = (client.try_clone()?, daemon.try_clone()?);
    thread::spawn(move || {
        drop(io::copy(&mut from_client, &mut to_daemon));
        drop(to_daemon.shutdown(Shutdown::Write));
    });
    let (mut from_daemon, mut to_client) = (daemon, client);
    thread::spawn(move || {
        drop(io::copy(&mut from_daemon, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    Ok(())
}
