//! Whatever becomes of the daemon: the filter is never off, and never in the way of who is allowed.
//!
//! `ALLOWLIST_GAP_ROUNDS` says how many things happen to it, and `ALLOWLIST_GAP_ENTRIES` how long a list is that is
//! replaced.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use xtask::lab::{Client, Process, Tap, Wire, until};

use super::support::{
    ALLOWED, ALLOWLISTD, DENIED, PATIENCE, Server, Traffic, frames, lines, next_release,
};

/// What CI runs: each thing twice.
const ROUNDS: u32 = 16;
/// Entries of a list that is replaced.
const ENTRIES: u32 = 100_000;

const PORTS: [u16; 3] = [7000, 7001, 7002];
const CABLES: [&str; 2] = ["cable0", "cable1"];
/// One that is cut and laid anew.
const SPARE: &str = "cable2";
/// What sources are looked up by, one start after the other.
const ENGINES: [&str; 3] = ["flat", "lpm", "auto"];
const CONFIG: &str = "allowlistd.toml";
/// Frames over the spare cable from each source, once it is attached.
const BURST: usize = 500;

/// What happens to the daemon.
#[derive(Clone, Copy, Debug)]
enum Event {
    Kill,
    KillInTheMidstOfAStart,
    Restart,
    Stop,
    Upgrade,
    Recreate,
    Replace,
    Apply,
}

/// The first four are what a slow machine has time for.
const EVENTS: [Event; 8] = [
    Event::Kill,
    Event::Recreate,
    Event::Upgrade,
    Event::Replace,
    Event::KillInTheMidstOfAStart,
    Event::Restart,
    Event::Apply,
    Event::Stop,
];

/// Everything that happens, and to what.
struct Scene {
    server: Server,
    /// Of a list that is replaced.
    entries: u32,
    /// The daemon of this release and that of a later one, and which of them runs.
    releases: [String; 2],
    running: usize,
    starts: usize,
    /// Counts the frames of the spare cable.
    spare: Option<Wire>,
    over_spare: usize,
}

impl Scene {
    fn happen(&mut self, event: Event, round: u32) -> Result<()> {
        match event {
            Event::Kill => {
                self.server.daemon()?.kill()?;
                self.start()
            }
            Event::KillInTheMidstOfAStart => {
                self.server.daemon()?.kill()?;
                for _ in 0..3 {
                    // Anywhere between its first instruction and the answer at its socket, over the rounds.
                    let mut daemon = self.spawn()?;
                    thread::sleep(Duration::from_millis(17 * (u64::from(round % 13)) + 3));
                    daemon.kill()?;
                }
                self.start()
            }
            Event::Restart => {
                ensure!(self.server.daemon()?.terminate()?.success());
                self.start()
            }
            Event::Stop => {
                ensure!(self.server.daemon()?.terminate()?.success());
                thread::sleep(Duration::from_millis(300));
                self.start()
            }
            Event::Upgrade => {
                ensure!(self.server.daemon()?.terminate()?.success());
                self.running = 1 - self.running;
                self.start()
            }
            Event::Recreate => self.recreate(),
            Event::Replace => {
                let lines = lines(round, self.entries);
                let path = "/v1/lists/own?yes=true&force=true";
                let mut client = Client::connect(&self.server.socket())?;
                client.request("PUT", path, "text/plain", lines.as_bytes()).map(drop)
            }
            Event::Apply => {
                let mut client = Client::connect(&self.server.socket())?;
                client.json("PUT", "/v1/policy?yes=true&force=true", &document(round)).map(drop)
            }
        }
    }

    /// Starts the daemon with another engine than the last time.
    fn spawn(&mut self) -> Result<Process> {
        self.starts += 1;
        let engine = ENGINES[self.starts % ENGINES.len()];
        self.server.write(CONFIG, &format!("engine = \"{engine}\"\n"))?;
        self.server.spawn_of(&self.releases[self.running])
    }

    fn start(&mut self) -> Result<()> {
        let daemon = self.spawn()?;
        self.server.serve(daemon)
    }

    /// Lays the spare cable anew. What comes over it before the filter is on it is nobody's promise; from then on, all is
    /// judged.
    fn recreate(&mut self) -> Result<()> {
        let host = &self.server.network.server;
        if let Some(before) = self.spare.take() {
            // At once, and not when the kernel gets round to its namespace.
            host.namespace.run("ip", &["link", "delete", SPARE])?;
            drop(before);
        }
        let spare = Wire::new(host, SPARE)?;
        let links = host.namespace.run("ip", &["-json", "link", "show", SPARE])?;
        let link = &serde_json::from_str::<serde_json::Value>(&links)?[0]["ifindex"];
        until("the filter on the new interface", PATIENCE, || {
            let found = self.server.interface(SPARE).ok()?;
            (found["state"] == "attached" && &found["ifindex"] == link).then_some(())
        })?;
        let tap = Tap::new(&host.namespace, SPARE)?;
        let mut lost = 0;
        for (sources, is_allowed) in [(DENIED, false), (ALLOWED, true)] {
            let frames = frames(host, sources, PORTS)?;
            for frame in frames.iter().cycle().take(BURST) {
                spare.send(frame)?;
            }
            self.over_spare += BURST;
            let now_lost = spare.dropped()?;
            let reached = BURST as u64 - (now_lost - lost);
            lost = now_lost;
            let expected = if is_allowed { reached } else { 0 };
            let mut came = 0;
            until("the frames over the new interface", PATIENCE, || {
                came += tap.came_through().ok()?;
                (came >= expected).then_some(())
            })?;
            thread::sleep(Duration::from_millis(20));
            came += tap.came_through()?;
            ensure!(came == expected, "{came} frames of {sources:?} instead of {expected}");
        }
        self.spare = Some(spare);
        Ok(())
    }
}

/// The services of [`PORTS`]: one has entries of its own, one those of a group, one both.
fn document(round: u32) -> serde_json::Value {
    let entries =
        |round, others| -> Vec<String> { lines(round, others).lines().map(Into::into).collect() };
    let port = |index: usize| [format!("udp/{}", PORTS[index])];
    json!({
        "service": {
            "own": { "ports": port(0), "entries": entries(round, 500) },
            "groups": { "ports": port(1), "include": ["office"] },
            "both": { "ports": port(2), "include": ["office"], "entries": ["192.0.2.1"] },
        },
        "group": { "office": { "entries": entries(round + 1, 2000) } },
    })
}

#[test]
fn not_a_packet_slips_through_or_is_lost_whatever_becomes_of_the_daemon() -> Result<()> {
    let [rounds, entries] = [("ALLOWLIST_GAP_ROUNDS", ROUNDS), ("ALLOWLIST_GAP_ENTRIES", ENTRIES)]
        .map(|(name, usual)| env::var(name).map_or(Ok(usual), |text| text.parse()));
    let (rounds, entries) = (rounds?, entries?);
    let releases = [ALLOWLISTD.to_owned(), next_release()?];
    let options = [CABLES[0], CABLES[1], SPARE].map(|cable| ["--interface", cable]);
    let mut server = Server::prepare(&[])?;
    let config = server.write(CONFIG, &format!("engine = \"{}\"\n", ENGINES[0]))?;
    let options = [options.as_flattened(), &["--config", &config]].concat();
    server.set_options(&options);
    let host = &server.network.server;
    let wires = [Wire::new(host, CABLES[0])?, Wire::new(host, CABLES[1])?];
    server.start()?;
    let host = &server.network.server;
    let taps = [Tap::new(&host.namespace, CABLES[0])?, Tap::new(&host.namespace, CABLES[1])?];
    let frames = [frames(host, ALLOWED, PORTS)?, frames(host, DENIED, PORTS)?];
    let mut client = Client::connect(&server.socket())?;
    client.json("PUT", "/v1/policy?yes=true&force=true", &document(0))?;
    let mut scene =
        Scene { server, entries, releases, running: 0, starts: 0, spare: None, over_spare: 0 };

    let begin = Instant::now();
    let traffic = Traffic::start(wires, frames);
    let mut came = [0; 2];
    let mut done = Ok(());
    for (round, event) in (0..rounds).zip(EVENTS.into_iter().cycle()) {
        done = scene.happen(event, round).with_context(|| format!("{event:?}, round {round}"));
        for (came, tap) in came.iter_mut().zip(&taps) {
            *came += tap.came_through()?;
        }
        if came[1] > 0 {
            done = done.and(Err(anyhow::anyhow!("{} forbidden frames by {event:?}", came[1])));
        }
        if done.is_err() {
            break;
        }
    }
    let (sent, wires) = traffic.stop()?;
    done?;
    let lost = [wires[0].dropped()?, wires[1].dropped()?];
    let expected = sent[0] - lost[0];
    until("the last frames", PATIENCE, || {
        came[0] += taps[0].came_through().ok()?;
        (came[0] >= expected).then_some(())
    })
    .with_context(|| format!("{} of {expected} allowed frames came through", came[0]))?;
    thread::sleep(Duration::from_millis(50));
    for (came, tap) in came.iter_mut().zip(&taps) {
        *came += tap.came_through()?;
    }
    eprintln!(
        "{rounds} rounds in {:.1} s: {} frames of the allowed source and {} of the other reached the filter ({lost:?} \
         more were lost by the cables), and {} over new interfaces",
        begin.elapsed().as_secs_f64(),
        expected,
        sent[1] - lost[1],
        scene.over_spare,
    );
    eprintln!(
        "{} allowed frames lost, {} forbidden frames in",
        expected - came[0].min(expected),
        came[1]
    );
    ensure!(came == [expected, 0], "came through: {came:?} instead of {:?}", [expected, 0]);
    ensure!(sent[0] > 1000 && sent[1] > 1000, "{sent:?}");
    Ok(())
}
