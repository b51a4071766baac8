//! The daemon at work for long: its memory, its maps and its descriptors stay what they are, and every packet is counted.
//!
//! `ALLOWLIST_SOAK_SECONDS` says for how long.

use std::{
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use xtask::lab::{Client, Wire, udp_frame, until};

use super::support::{ALLOWED, DENIED, PATIENCE, Server, Traffic, frames, lines};

/// What CI runs.
const SECONDS: u64 = 120;
const CABLES: [&str; 3] = ["cable0", "cable1", "cable2"];
const PORTS: [u16; 3] = [7000, 7001, 7002];
/// Of the service whose entries end.
const ENDING: u16 = 7100;
const FLOOD: Duration = Duration::from_millis(300);
/// How much more memory is taken for the same.
const ROOM: f64 = 1.01;
/// A daemon's memory creeps up to its final size first: it is there when it grew less than this over so many cycles, which it
/// has to before long.
const SETTLED: f64 = 1.003;
const SETTLING_CYCLES: usize = 12;
const SETTLES_WITHIN: Duration = Duration::from_mins(10);
/// Few revisions and rows, so that they are thrown away all the time, as in a daemon that has run for long.
const CONFIG: &str = "[store]\nkeep_revisions = { count = 5 }\nkeep_audit = { count = 100 }\n";

/// What a daemon costs.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// KiB of memory of its own.
    memory: u64,
    /// Bytes of the maps that it holds.
    maps: u64,
    descriptors: u64,
}

impl Cost {
    fn of(pid: u32) -> Result<Self> {
        let process = Path::new("/proc").join(pid.to_string());
        let status = fs::read_to_string(process.join("status"))?;
        let mut maps = 0;
        let mut descriptors = 0;
        for entry in fs::read_dir(process.join("fdinfo"))? {
            descriptors += 1;
            // One of a connection may be gone meanwhile.
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            if text.contains("map_type:") {
                maps += number(&text, "memlock:").context("a map without its size")?;
            }
        }
        let memory = number(&status, "RssAnon:").context("a process without its memory")?;
        Ok(Self { memory, maps, descriptors })
    }
}

fn number(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The medians of each figure.
fn medians(costs: &[Cost]) -> [u64; 3] {
    let median = |figure: fn(&Cost) -> u64| {
        let mut figures: Vec<u64> = costs.iter().map(figure).collect();
        figures.sort_unstable();
        figures[figures.len() / 2]
    };
    [median(|cost| cost.memory), median(|cost| cost.maps), median(|cost| cost.descriptors)]
}

/// Server, cables, and how many frames reached the filter.
struct Scene {
    server: Server,
    wires: Option<[Wire; 2]>,
    ending: Wire,
    /// Of the allowed source, of the denied one, and of the one whose entry ends.
    sent: [u64; 3],
    cycles: u32,
}

impl Scene {
    fn new() -> Result<Self> {
        let mut server = Server::prepare(&[])?;
        let config = server.write("allowlistd.toml", CONFIG)?;
        let mut options = vec!["--config", config.as_str()];
        options.extend_from_slice(CABLES.map(|cable| ["--interface", cable]).as_flattened());
        server.set_options(&options);
        let host = &server.network.server;
        let wires = [Wire::new(host, CABLES[0])?, Wire::new(host, CABLES[1])?];
        let ending = Wire::new(host, CABLES[2])?;
        server.start()?;
        let ports = PORTS.map(|port| format!("udp/{port}"));
        let mut client = Client::connect(&server.socket())?;
        client.json("PUT", "/v1/services/flooded", &json!({ "ports": ports }))?;
        let ports = [format!("udp/{ENDING}")];
        client.json(
            "PUT",
            "/v1/services/ending",
            &json!({ "ports": ports, "when_empty": "closed" }),
        )?;
        replace(&mut client, 0)?;
        Ok(Self { server, wires: Some(wires), ending, sent: [0; 3], cycles: 0 })
    }

    /// Some of everything; afterwards, all is as it was before but for entries that were replaced by as many others.
    fn cycle(&mut self) -> Result<()> {
        self.cycles += 1;
        let mut client = Client::connect(&self.server.socket())?;
        replace(&mut client, self.cycles)?;
        let few: Vec<_> = (0..200).map(|n| json!({ "entry": format!("192.0.2.{n}") })).collect();
        let few = json!({ "entries": few });
        client.json("POST", "/v1/lists/flooded/add", &few)?;
        client.json("POST", "/v1/lists/flooded/remove", &few)?;
        if self.cycles % 4 == 1 {
            self.end_one(&mut client)?;
        }
        self.flood()?;
        neighbours(&mut client)?;
        for path in ["status", "lists", "policy", "revisions", "audit", "drops", "openapi.json"] {
            client.get(&format!("/v1/{path}"))?;
        }
        // Refused, for several reasons.
        for (method, path) in
            [("POST", "lists/flooded/add"), ("DELETE", "groups/trusted"), ("PUT", "x")]
        {
            ensure!(client.json(method, &format!("/v1/{path}"), &json!({ "x": 1 })).is_err());
        }
        Ok(())
    }

    /// A source is admitted until its entry has ended.
    fn end_one(&mut self, client: &mut Client) -> Result<()> {
        let host = &self.server.network.server;
        let frame = udp_frame("10.9.0.4".parse()?, host.ipv4.into(), ENDING, 0);
        // A whole second, as ends are kept: the kernel takes less than one more.
        let end = Timestamp::from_second(Timestamp::now().as_second() + 4)?;
        let entry = json!({ "entries": [{ "entry": "10.9.0.4", "expires_at": end.to_string() }] });
        client.json("POST", "/v1/lists/ending/add", &entry)?;
        let judged = |server: &Server| -> Result<[u64; 2]> {
            Ok([server.packets("ending", "admitted")?, server.packets("ending", "denied")?])
        };
        let before = judged(&self.server)?;
        self.ending.send(&frame)?;
        self.sent[2] += 1;
        until("a packet before the end", PATIENCE, || {
            (judged(&self.server).ok()? == [before[0] + 1, before[1]]).then_some(())
        })?;
        until("the end of an entry", PATIENCE, || {
            (Timestamp::now() > end + SignedDuration::from_secs(1)).then_some(())
        })?;
        self.ending.send(&frame)?;
        self.sent[2] += 1;
        until("a packet after the end", PATIENCE, || {
            (judged(&self.server).ok()? == [before[0] + 1, before[1] + 1]).then_some(())
        })
        .with_context(|| format!("before {before:?}, then {:?}", judged(&self.server)))?;
        client.json("POST", "/v1/lists/ending/remove?yes=true", &entry_alone("10.9.0.4")).map(drop)
    }

    fn flood(&mut self) -> Result<()> {
        let wires = self.wires.take().context("no cables")?;
        let lost = |wires: &[Wire; 2]| -> Result<[u64; 2]> {
            Ok([wires[0].dropped()?, wires[1].dropped()?])
        };
        let before = lost(&wires)?;
        let host = &self.server.network.server;
        let traffic =
            Traffic::start(wires, [frames(host, ALLOWED, PORTS)?, frames(host, DENIED, PORTS)?]);
        thread::sleep(FLOOD);
        let (sent, wires) = traffic.stop()?;
        let lost = lost(&wires)?;
        for index in 0..2 {
            self.sent[index] += sent[index] - (lost[index] - before[index]);
        }
        self.wires = Some(wires);
        Ok(())
    }

    /// Works until the daemon's memory has its final size.
    fn settle(&mut self) -> Result<()> {
        let begin = Instant::now();
        let mut memory = Vec::new();
        loop {
            self.cycle()?;
            memory.push(self.cost()?.memory);
            let earlier = memory.len().checked_sub(SETTLING_CYCLES + 1).map(|at| memory[at]);
            #[expect(
                clippy::cast_precision_loss,
                reason = "far below the numbers that are inexact"
            )]
            let grew = |earlier: u64| memory[memory.len() - 1] as f64 / earlier as f64;
            if earlier.is_some_and(|earlier| grew(earlier) < SETTLED) {
                eprintln!("settled after {:?}", begin.elapsed());
                return Ok(());
            }
            ensure!(begin.elapsed() < SETTLES_WITHIN, "memory goes on growing, KiB: {memory:?}");
        }
    }

    /// What the daemon costs when it has cleared up.
    fn cost(&mut self) -> Result<Cost> {
        thread::sleep(Duration::from_millis(300));
        Cost::of(self.server.daemon()?.pid())
    }

    /// Every packet was judged as it should be, and counted once.
    fn account(&self) -> Result<()> {
        let counted = || -> Result<[u64; 3]> {
            let [admitted, denied] =
                ["admitted", "denied"].map(|judged| self.server.packets("flooded", judged));
            let ending = ["admitted", "denied"].map(|judged| self.server.packets("ending", judged));
            let [ending, ended] = ending;
            Ok([admitted?, denied?, ending? + ended?])
        };
        until("the last packets", PATIENCE, || {
            (counted().ok()?.iter().sum::<u64>() >= self.sent.iter().sum()).then_some(())
        })?;
        let counted = counted()?;
        ensure!(counted == self.sent, "counted {counted:?}, sent {:?}", self.sent);
        Ok(())
    }
}

fn entry_alone(entry: &str) -> Value {
    json!({ "entries": [{ "entry": entry }] })
}

fn replace(client: &mut Client, variant: u32) -> Result<()> {
    let list = lines(variant, 20_000);
    client
        .request("PUT", "/v1/lists/flooded?yes=true&force=true", "text/plain", list.as_bytes())
        .map(drop)
}

/// A service and a group that come and go.
fn neighbours(client: &mut Client) -> Result<()> {
    client.json("PUT", "/v1/groups/beside-group", &json!({}))?;
    client.json("POST", "/v1/lists/beside-group/add", &entry_alone("2001:db8::/32"))?;
    let service = json!({ "ports": ["tcp/1-1000"], "include": ["beside-group"] });
    client.json("PUT", "/v1/services/beside", &service)?;
    client.json("PUT", "/v1/services/beside/mode", &json!({ "mode": "monitor" }))?;
    client.json("POST", "/v1/rollback", &json!({}))?;
    client.json("DELETE", "/v1/services/beside?yes=true", &Value::Null)?;
    client.json("DELETE", "/v1/groups/beside-group?yes=true", &Value::Null).map(drop)
}

#[test]
fn what_it_costs_stays_the_same_and_each_packet_is_counted() -> Result<()> {
    let seconds = env::var("ALLOWLIST_SOAK_SECONDS").map_or(Ok(SECONDS), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    let mut scene = Scene::new()?;
    scene.settle()?;
    let begin = Instant::now();
    // One daemon for three quarters of the time.
    let mut costs = Vec::new();
    while begin.elapsed() < time * 3 / 4 {
        scene.cycle()?;
        costs.push(scene.cost()?);
    }
    scene.account()?;
    let third = costs.len() / 3;
    ensure!(third > 2, "{} cycles are too few", scene.cycles);
    let [early, late] = [medians(&costs[..third]), medians(&costs[costs.len() - third..])];
    eprintln!("KiB of memory, bytes of maps, descriptors: {early:?} early, {late:?} late");
    // Then one after another.
    let mut successors = Vec::new();
    while begin.elapsed() < time || successors.len() < 6 {
        if successors.len() % 2 == 0 {
            scene.server.daemon()?.kill()?;
            scene.server.start()?;
        } else {
            scene.server.restart()?;
        }
        scene.cycle()?;
        successors.push(scene.cost()?);
    }
    scene.account()?;
    let half = successors.len() / 2;
    let [first, last] = [medians(&successors[..half]), medians(&successors[half..])];
    eprintln!(
        "the same of {} successors: {first:?}, then {last:?}; {} cycles, {:?} packets",
        successors.len(),
        scene.cycles,
        scene.sent
    );
    for (what, [before, after], figures) in [
        ("one daemon", [early, late], 0..3),
        // How much memory a process has just after its start differs by more than that.
        ("its successors", [first, last], 1..3),
    ] {
        for figure in figures {
            let (before, after) = (before[figure], after[figure]);
            let figure = ["memory", "maps", "descriptors"][figure];
            #[expect(
                clippy::cast_precision_loss,
                reason = "far below the numbers that are inexact"
            )]
            let grown = after as f64 > before as f64 * ROOM;
            ensure!(!grown, "the {figure} of {what} grew from {before} to {after}");
        }
    }
    Ok(())
}
