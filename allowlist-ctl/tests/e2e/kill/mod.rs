//! `kill -9` at random instants, while several clients make changes.
//!
//! After each start: every acknowledged change is there; of those that were not acknowledged each is there as a whole
//! or not at all; the revisions have no hole, the audit trail has each of them and is whole, and the kernel judges by
//! what the store says. Who is forbidden stays so in each moment, whether or not a daemon runs.
//!
//! `ALLOWLIST_KILL_ROUNDS` says how often, `ALLOWLIST_KILL_SEED` where the random numbers start.

mod clients;
mod history;
mod model;
mod witness;

use std::{
    env,
    path::PathBuf,
    str::FromStr,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use xtask::{
    lab::{Client, Tap, Wire, udp_frame},
    random::Random,
};

use self::{
    clients::{CLIENTS, POOL, Story, work},
    history::History,
    model::Model,
    witness::Witness,
};
use super::support::Server;

/// What CI runs.
const ROUNDS: usize = 15;
/// At most so long the clients work before the daemon is killed.
const LONGEST: usize = 400;
const CABLES: [&str; 2] = ["cable0", "cable1"];
/// A port of no service.
const NOBODYS: u16 = 9;
/// The last frame of those that are compared.
const LAST: u64 = u64::MAX;

fn setting<T: FromStr>(name: &str) -> Result<Option<T>> {
    let read =
        |text: String| text.parse().ok().with_context(|| format!("{name}={text} is no number"));
    env::var(name).ok().map(read).transpose()
}

#[test]
fn over_kills_at_random_instants_nothing_acknowledged_is_lost_and_nothing_is_half_there()
-> Result<()> {
    let rounds = setting("ALLOWLIST_KILL_ROUNDS")?.unwrap_or(ROUNDS);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_nanos();
    let seed = setting("ALLOWLIST_KILL_SEED")?.unwrap_or_else(|| u64::from(now));
    eprintln!("{rounds} rounds, ALLOWLIST_KILL_SEED={seed}");
    let mut random = Random::from(seed);
    let mut server = Server::prepare(&["--interface", CABLES[0], "--interface", CABLES[1]])?;
    let host = &server.network.server;
    let (probe, cable) = (Wire::new(host, CABLES[0])?, Wire::new(host, CABLES[1])?);
    server.start()?;
    let tap = Tap::new(&server.network.server.namespace, CABLES[0])?;
    let mut history = History::begin(&server.socket())?;
    let witness = Witness::start(&server, cable, CABLES[1])?;
    let (mut done, mut whole, mut refused) = (0, 0, 0);
    for round in 0..rounds {
        let stories = killed(&mut server, &mut random)?;
        if let Err(error) = witness.more() {
            return Err(witness.end().err().unwrap_or(error));
        }
        while random.once_in(4) {
            // It dies again before it has come to anything.
            let mut daemon = server.spawn()?;
            thread::sleep(Duration::from_millis(u64::try_from(random.below(LONGEST))?));
            daemon.kill()?;
        }
        server.start()?;
        done += stories.iter().map(|story| story.done.len()).sum::<usize>();
        refused += stories.iter().map(|story| story.refused).sum::<u32>();
        let compared = history
            .follow(&server.socket(), stories)
            .and_then(|found| {
                whole += found;
                agree(&server, &probe, &tap, history.policy())
            })
            .with_context(|| format!("round {round}, seed {seed}"));
        compared?;
    }
    let (admitted, forbidden) = witness.end()?;
    eprintln!(
        "{rounds} kills under {CLIENTS} clients: {done} changes acknowledged, {whole} more were on disk, {refused} \
         refused; {admitted} packets of who is admitted all the time, {forbidden} of who is not"
    );
    anyhow::ensure!(done > rounds, "{done} changes in {rounds} rounds");
    Ok(())
}

/// Lets the clients work, and kills the daemon meanwhile.
fn killed(server: &mut Server, random: &mut Random) -> Result<Vec<Story>> {
    let socket: PathBuf = server.socket();
    let patience = Duration::from_millis(u64::try_from(random.below(LONGEST))?);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (socket, mut random) = (socket.clone(), random.fork());
                scope.spawn(move || work(&socket, number, &mut random))
            })
            .collect();
        thread::sleep(patience);
        server.daemon()?.kill()?;
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Sends a packet of each address that entries are about to each service, and compares what comes through.
fn agree(server: &Server, probe: &Wire, tap: &Tap, policy: &Model) -> Result<()> {
    let host = &server.network.server;
    let (mut number, mut expected, mut sources) = (0, Vec::new(), Vec::new());
    for client in 0..CLIENTS {
        for low in 0..POOL {
            sources.push(format!("10.40.{client}.{low}").parse()?);
            sources.push(format!("fd40:{:x}::{low:x}", client + 1).parse()?);
        }
    }
    for (name, service) in &policy.services {
        for source in &sources {
            let to =
                if std::net::IpAddr::is_ipv4(source) { host.ipv4.into() } else { host.ipv6.into() };
            probe.send(&udp_frame(*source, to, service.port, number))?;
            expected.push((name, *source, policy.admits(service, *source)?));
            number += 1;
        }
    }
    probe.send(&udp_frame(sources[0], host.ipv4.into(), NOBODYS, LAST))?;
    let came: std::collections::BTreeSet<u64> = tap
        .until(&LAST.to_be_bytes())?
        .iter()
        .filter_map(|frame| frame.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)))
        .collect();
    anyhow::ensure!(probe.dropped()? == 0, "the cable lost packets");
    for (number, (service, source, admitted)) in (0..).zip(expected) {
        let word = if admitted { "admit" } else { "drop" };
        anyhow::ensure!(
            came.contains(&number) == admitted,
            "{service} should {word} {source}, and does not"
        );
    }
    Ok(())
}

/// What the daemon at a socket says.
fn get(socket: &std::path::Path, path: &str) -> Result<serde_json::Value> {
    Client::connect(socket)?.get(path)
}
