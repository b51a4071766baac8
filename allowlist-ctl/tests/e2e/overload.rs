//! More connections at once than are served.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{Client, until};

use super::support::{Answer, CTL, Outcome, PATIENCE, Server, as_nobody, readable_by_all};

/// Connections of anybody that are served at once, and how many more of admins.
const PLACES: usize = 64;
const ADMIN_PLACES: usize = 16;
/// As many of anybody's and of admins' wait for one.
const WAITING: usize = 256;
/// More than there is room for.
const SURPLUS: usize = 20;
/// Clients that make a change at once.
const CLIENTS: usize = 200;

fn connect(server: &Server, count: usize) -> Result<Vec<UnixStream>> {
    let streams: Result<Vec<_>, _> =
        (0..count).map(|_| UnixStream::connect(server.socket())).collect();
    streams.context("a connection was not even taken")
}

/// At least so many are turned away, and told so at once.
fn turned_away(streams: &mut [UnixStream], expected: usize) -> Result<()> {
    let mut answers = vec![Vec::new(); streams.len()];
    until("all refusals", PATIENCE, || {
        for (stream, answer) in streams.iter_mut().zip(&mut answers) {
            stream.set_nonblocking(true).ok()?;
            // Ends with what there is so far.
            drop(stream.read_to_end(answer));
        }
        let answered = answers.iter().filter(|answer| !answer.is_empty()).count();
        (answered >= expected).then_some(())
    })?;
    for answer in answers.into_iter().filter(|answer| !answer.is_empty()) {
        let answer = Answer(String::from_utf8(answer)?);
        ensure!(answer.status() == Some(503), "{answer:?}");
        let message = answer.json().context("no JSON")?["error"]["message"].to_string();
        ensure!(message.contains("too many connections"), "{message}");
    }
    Ok(())
}

fn serves_again(server: &Server) -> Result<()> {
    let answers = || (server.ctl(&["status"]).ok()?.code == Some(0)).then_some(());
    until("an answer after the flood", PATIENCE, answers)
}

#[test]
fn roots_surplus_connections_are_refused_and_the_daemon_goes_on() -> Result<()> {
    let server = Server::with_options(&[])?;
    let mut streams = connect(&server, PLACES + ADMIN_PLACES + WAITING + SURPLUS)?;
    turned_away(&mut streams, SURPLUS)?;
    // A place that somebody gave back meanwhile is taken, too.
    until("the last place to be taken", PATIENCE, || {
        streams.push(UnixStream::connect(server.socket()).ok()?);
        server.fails(&["status"], 1, "too many connections are open at once").ok()
    })?;
    drop(streams);
    serves_again(&server)
}

#[test]
fn nobody_can_keep_root_out() -> Result<()> {
    let server = Server::with_options(&[])?;
    fs::set_permissions(server.socket(), fs::Permissions::from_mode(0o666))?;
    readable_by_all(server.directory(), "/bin/true")?;
    let mut streams = as_nobody(|| connect(&server, PLACES + WAITING + SURPLUS))??;
    turned_away(&mut streams, SURPLUS)?;
    for _ in 0..ADMIN_PLACES * 2 {
        server.status()?;
    }
    // All of root's clients go through the few places that are left to admins.
    clients_at_once(&server)?;
    drop(streams);
    serves_again(&server)
}

#[test]
fn a_long_list_that_an_editor_does_not_end_sending_keeps_no_admin_waiting() -> Result<()> {
    let access = "[[access.editor]]\nname = \"redis\"\nwho = [\"65534\"]\n";
    let server = Server::for_users(&format!("[access]\n{access}"))?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let mut slow = as_nobody(|| UnixStream::connect(server.socket()))??;
    slow.write_all(
        b"PUT /v1/lists/redis HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n",
    )?;
    // It is being read.
    let mut told = [0; 12];
    slow.read_exact(&mut told)?;
    ensure!(told == *b"HTTP/1.1 100", "{told:?}");
    let list = server.write("redis.txt", "10.77.0.2\n")?;
    let mut replace = server.network.server.namespace.command("timeout");
    replace.args(["10", CTL, "replace", "redis", "-f", &list]);
    let outcome: Outcome = replace.env("ALLOWLIST_SOCKET", server.socket()).output()?.into();
    ensure!(outcome.code == Some(0), "{outcome:?}");
    Ok(())
}

/// Many commands at once: all of them are done, one after another.
fn clients_at_once(server: &Server) -> Result<()> {
    server.done(&["protect", "redis", "tcp/6379"])?;
    let before = server.revision()?;
    let clients: Result<Vec<Child>, _> = (0..CLIENTS)
        .map(|client| {
            Command::new(CTL)
                .args(["add", "redis", &format!("10.90.0.{client}")])
                .env("ALLOWLIST_SOCKET", server.socket())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
        })
        .collect();
    for client in clients? {
        let outcome: Outcome = client.wait_with_output()?.into();
        ensure!(outcome.code == Some(0), "{outcome:?}");
    }
    ensure!(server.revision()? == before + CLIENTS as u64);
    ensure!(server.service("redis")?["entries"] == CLIENTS);
    let mut revisions: Vec<u64> =
        Client::connect(&server.socket())?.get("/v1/revisions")?["revisions"]
            .as_array()
            .context("no revisions")?
            .iter()
            .filter_map(|revision| revision["revision"].as_u64())
            .collect();
    revisions.reverse();
    ensure!(revisions.is_sorted_by(|one, next| one + 1 == *next), "{revisions:?}");
    ensure!(revisions.len() >= CLIENTS && revisions.last() == Some(&(before + CLIENTS as u64)));
    Ok(())
}

#[test]
fn two_hundred_clients_at_once_are_served_one_after_another() -> Result<()> {
    clients_at_once(&Server::with_options(&[])?)
}
