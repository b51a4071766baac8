//! Services that answer what they deny.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{Bpffs, Host, Process, Scratch};

use super::support::{ALLOWLISTD, REDIS, Server, served, shut_out};

/// A UDP port of the service at which nobody listens: only the filter can answer.
const DEAF: u16 = 5000;
const SECOND: Duration = Duration::from_secs(1);

fn rejecting(options: &[&str]) -> Result<Server> {
    let mut server = Server::with_options(&[&["--interface", "eth0"], options].concat())?;
    server.add_redis()?;
    let protect = ["protect", "redis", "tcp/6379", "udp/5000", "--action", "reject"];
    server.done(&protect)?;
    server.done(&["add", "redis", "10.77.0.2", "fd77::2"])?;
    Ok(server)
}

/// How a connection attempt ends, and how soon.
fn connect(client: &Host, to: SocketAddr) -> Result<(Option<ErrorKind>, Duration)> {
    let begin = Instant::now();
    let outcome = client.namespace.inside(|| TcpStream::connect_timeout(&to, SECOND))?;
    Ok((outcome.err().map(|error| error.kind()), begin.elapsed()))
}

/// What a client hears after sending a datagram.
fn ask(client: &Host, to: SocketAddr) -> Result<ErrorKind> {
    let error = client.namespace.inside(|| -> std::io::Result<ErrorKind> {
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.set_read_timeout(Some(SECOND))?;
        socket.connect(to)?;
        socket.send(b"hello")?;
        Ok(socket.recv(&mut [0; 16]).map_or_else(|error| error.kind(), |_| ErrorKind::Other))
    })?;
    error.context("a datagram could not be sent")
}

fn denied_clients_know_at_once(server: &Server) -> Result<()> {
    for address in server.network.server.port(REDIS) {
        served(server.alice(), address)?;
        let (refused, after) = connect(server.bob(), address)?;
        ensure!(refused == Some(ErrorKind::ConnectionRefused), "{address}: {refused:?}");
        ensure!(after < SECOND / 2, "{address}: refused after {after:?}");
    }
    // What Linux makes of "administratively prohibited": icmp(7), and icmpv6_err_convert in the kernel.
    let expected = [ErrorKind::HostUnreachable, ErrorKind::PermissionDenied];
    for (address, expected) in server.network.server.port(DEAF).into_iter().zip(expected) {
        let heard = ask(server.bob(), address)?;
        ensure!(heard == expected, "{address}: {heard:?}");
    }
    Ok(())
}

#[test]
fn a_rejecting_service_tells_denied_clients_at_once_in_generic_mode() -> Result<()> {
    let server = rejecting(&["--xdp-mode", "generic"])?;
    denied_clients_know_at_once(&server)?;
    let sent = server.packets("redis", "reject_sent")?;
    ensure!(sent >= 4, "{sent} rejects sent");
    ensure!(server.packets("redis", "denied")? >= sent, "rejects are denials too");
    let outcome = server.bob().namespace.run("curl", &["-sS", "-m3", "http://10.77.0.1:6379/"]);
    let said = outcome.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(said.contains("Couldn't connect to server"), "{said}");
    Ok(())
}

#[test]
fn a_rejecting_service_tells_denied_clients_at_once_in_native_mode() -> Result<()> {
    let server = rejecting(&["--xdp-mode", "native"])?;
    // A veth takes frames from XDP only while its other end has a program too: one that protects nothing.
    let (scratch, bpffs) = (Scratch::new()?, Scratch::new()?);
    let bpffs = Bpffs::mount(&bpffs.path().join("bpf"))?;
    let mut passing = server.network.switch.command(ALLOWLISTD);
    passing.args(Server::places(scratch.path(), bpffs.path()));
    passing.args(["--interface", "port1", "--xdp-mode", "native"]);
    let mut passing = Process::spawn("passing", &mut passing, scratch.path())?;
    passing.ready_at_socket(&scratch.path().join("socket"))?;
    denied_clients_know_at_once(&server)
}

#[test]
fn rejects_survive_the_daemon_and_a_take_over() -> Result<()> {
    let mut server = rejecting(&["--xdp-mode", "generic"])?;
    server.daemon()?.kill()?;
    denied_clients_know_at_once(&server)?;
    server.start()?;
    denied_clients_know_at_once(&server)
}

#[test]
fn beyond_the_limit_packets_are_dropped_silently() -> Result<()> {
    const PACKETS: u64 = 12_000;
    let server = rejecting(&["--xdp-mode", "generic"])?;
    let [to, _] = server.network.server.port(DEAF);
    server.bob().namespace.inside(|| -> std::io::Result<()> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        for _ in 0..PACKETS {
            // Not connected: errors that come back do not stop it.
            socket.send_to(b"hello", to)?;
        }
        Ok(())
    })??;
    let count = |judged| server.packets("redis", judged);
    let (sent, limited) = (count("reject_sent")?, count("reject_limited")?);
    ensure!(limited > 0, "{sent} sent, {limited} limited");
    ensure!(sent + limited == count("denied")?, "{sent} + {limited}");
    Ok(())
}

#[test]
fn the_action_can_be_changed_and_survives_a_restart() -> Result<()> {
    let mut server = rejecting(&["--xdp-mode", "generic"])?;
    let [to, _] = server.network.server.port(REDIS);
    server.restart()?;
    ensure!(connect(server.bob(), to)?.0 == Some(ErrorKind::ConnectionRefused), "after a restart");
    server.done(&["protect", "redis", "tcp/6379", "--action", "drop"])?;
    shut_out(server.bob(), to)
}
