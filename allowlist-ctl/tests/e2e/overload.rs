//! More connections at once than are served.

use std::{
    fs,
    io::Read as _,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::until;

use super::support::{Answer, PATIENCE, Server, as_nobody, readable_by_all};

/// Connections of anybody that are served at once, and how many more of admins.
const PLACES: usize = 64;
const ADMIN_PLACES: usize = 16;
const MANY: usize = 100;

fn connect_all(server: &Server) -> Result<Vec<UnixStream>> {
    let streams: Result<Vec<_>, _> =
        (0..MANY).map(|_| UnixStream::connect(server.socket())).collect();
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
    let mut streams = connect_all(&server)?;
    turned_away(&mut streams, MANY - PLACES - ADMIN_PLACES)?;
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
    let mut streams = as_nobody(|| connect_all(&server))??;
    turned_away(&mut streams, MANY - PLACES)?;
    for _ in 0..ADMIN_PLACES * 2 {
        server.status()?;
    }
    server.done(&["protect", "redis", "tcp/6379"])?;
    drop(streams);
    serves_again(&server)
}
