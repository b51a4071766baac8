//! Whatever changes: not one packet of an allowed source is dropped meanwhile, not one of another admitted.
//!
//! Each frame is accounted for: it was lost by its cable, which counts those, or it was judged, which the program counts.
//!
//! `ALLOWLIST_ATOMIC_SECONDS` says how long at least.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use xtask::lab::{Client, Tap, Wire, until};

use super::support::{ALLOWED, DENIED, PATIENCE, Server, Traffic, frames, lines};

/// What CI runs; a round that was begun is ended.
const SECONDS: u64 = 12;
/// Entries of a list that is replaced.
const ENTRIES: u32 = 100_000;
/// Entries of a change that is still made in place.
const BETWEEN: u32 = 500;
/// Services `s0` to `s9` at the ports from 7000 on: five have entries of their own, the others those of groups.
const SERVICES: u16 = 10;
const FIRST_PORT: u16 = 7000;

const CABLES: [&str; 2] = ["cable0", "cable1"];

/// Makes changes, and counts them.
struct Changes {
    client: Client,
    made: u32,
}

impl Changes {
    fn new(socket: &Path) -> Result<Self> {
        Ok(Self { client: Client::connect(socket)?, made: 0 })
    }

    /// A change, which has to be one.
    fn make(&mut self, method: &str, path: &str, body: &Value) -> Result<u64> {
        let answer = self.client.json(method, &format!("{path}?yes=true&force=true"), body)?;
        ensure!(answer.body["changed"] == true, "{method} {path} {body} changed nothing");
        self.made += 1;
        answer.body["revision"].as_u64().context("no revision")
    }

    fn replace(&mut self, list: &str, lines: &str) -> Result<u64> {
        let path = format!("/v1/lists/{list}?yes=true&force=true");
        let answer = self.client.request("PUT", &path, "text/plain", lines.as_bytes())?;
        ensure!(answer.body["changed"] == true, "replacing {list} changed nothing");
        self.made += 1;
        answer.body["revision"].as_u64().context("no revision")
    }

    fn edit(&mut self, what: &str, list: &str, entries: &[&str]) -> Result<u64> {
        let entries: Vec<_> = entries.iter().map(|entry| json!({ "entry": entry })).collect();
        self.make("POST", &format!("/v1/lists/{list}/{what}"), &json!({ "entries": entries }))
    }
}

/// All ten services with other entries in each variant, limited to other addresses in some.
fn document(variant: u32) -> Value {
    let entries =
        |others| -> Vec<String> { lines(variant, others).lines().map(Into::into).collect() };
    let services: Map<String, Value> = (0..SERVICES)
        .map(|number| {
            let ports = [format!("udp/{}", FIRST_PORT + number)];
            let service = match number {
                0..5 => json!({ "ports": ports, "entries": entries(u32::from(number) * 500) }),
                5..8 => json!({ "ports": ports, "include": ["office"] }),
                _ => json!({ "ports": ports, "include": ["office", "monitoring"],
                             "entries": [format!("192.0.2.{number}")] }),
            };
            (format!("s{number}"), service)
        })
        .collect();
    let mut office = entries(300);
    if variant == 1 {
        // The except of `monitoring` is as close as the range.
        office.push("10.9.0.2".to_owned());
    }
    json!({ "service": services, "group": {
        "office": { "entries": office },
        "monitoring": { "entries": [format!("10.9.{}.0/24", 1 + variant), "10.9.0.0/16", "!10.9.0.0/24",
                                    "!fd09::3"] },
    } })
}

/// One change after another, each of them harmless to both sources.
fn round(changes: &mut Changes) -> Result<()> {
    // Whole lists, by a swap.
    changes.replace("s0", &lines(0, ENTRIES))?;
    changes.replace("s0", &lines(1, ENTRIES))?;
    // The trusted one, which every service has.
    changes.edit("add", "trusted", &["10.9.0.2/31", "!10.9.0.3", "fd09::2/127", "!fd09::3"])?;
    changes.edit("remove", "trusted", &["10.9.0.2/31", "!10.9.0.3", "fd09::2/127", "!fd09::3"])?;
    neighbours(changes)?;
    // The whole policy, and back.
    let mut revisions = Vec::new();
    for variant in [0, 1, 0] {
        revisions.push(changes.make("PUT", "/v1/policy", &document(variant))?);
        nest(changes, variant, "s1")?;
        if variant == 0 {
            nest(changes, variant, "office")?;
        }
    }
    changes.make("POST", "/v1/rollback", &json!({}))?;
    changes.make("POST", "/v1/rollback", &json!({ "to": revisions[1] }))?;
    Ok(())
}

/// A few entries, in place, many enough that a packet could come in between: ranges and excepts nested around the
/// sources, which judge them otherwise where they are set or taken in another order.
fn nest(changes: &mut Changes, variant: u32, list: &str) -> Result<()> {
    // Between those that matter by their lengths.
    let between = |family: usize, number: u32| match (variant, family) {
        (0, 0) => format!("10.{}.{}.0/20", 64 + (number >> 4), (number & 15) << 4),
        (0, _) => format!("fd0a:0:0:{:x}::/60", number << 4),
        (_, 0) => format!("10.64.{}.{}", number >> 8, number & 255),
        (_, _) => format!("fd0a::{number:x}"),
    };
    let around = match variant {
        0 => [["10.9.0.0/16", "!10.9.0.0/24"], ["fd09::/48", "!fd09::/64"]],
        _ => [["!10.9.0.2/31", "10.9.0.2"], ["!fd09::2/127", "fd09::2"]],
    };
    for (family, around) in around.into_iter().enumerate() {
        let mut entries: Vec<String> = (0..BETWEEN).map(|number| between(family, number)).collect();
        entries.extend(around.map(Into::into));
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        changes.edit("add", list, &entries)?;
        changes.edit("remove", list, &entries)?;
    }
    Ok(())
}

/// Services beside, that come, close, move, open and go.
fn neighbours(changes: &mut Changes) -> Result<()> {
    let settings =
        |ports: &[&str], addresses: &[&str]| json!({ "ports": ports, "addresses": addresses });
    changes.make("PUT", "/v1/services/beside", &settings(&["tcp/1-1000"], &[]))?;
    changes.edit("add", "beside", &["192.0.2.1"])?;
    changes.edit("add", "beside", &["2001:db8::1"])?;
    changes.make("PUT", "/v1/services/beside", &settings(&["udp/6999", "udp/7010"], &[]))?;
    changes.make("PUT", "/v1/services/beside", &settings(&["udp/6999"], &["192.0.2.0/24"]))?;
    changes
        .make("PUT", "/v1/services/beside", &settings(&["udp/7000"], &["10.77.0.9", "fd77::9"]))
        .map(drop)
        .or_else(|error| {
            // Where a service has the port everywhere, nobody else may have it somewhere.
            ensure!(format!("{error:#}").contains("409"), "{error:#}");
            Ok(())
        })?;
    changes.make("PUT", "/v1/services/beside", &settings(&["udp/6999"], &[]))?;
    changes.make("PUT", "/v1/services/beside/mode", &json!({ "mode": "monitor" }))?;
    changes.edit("remove", "beside", &["192.0.2.1"])?;
    changes.edit("remove", "beside", &["2001:db8::1"])?;
    changes.make("DELETE", "/v1/services/beside", &Value::Null).map(drop)
}

#[test]
fn not_a_packet_is_judged_otherwise_while_everything_around_it_changes() -> Result<()> {
    let seconds = env::var("ALLOWLIST_ATOMIC_SECONDS").map_or(Ok(SECONDS), |text| text.parse())?;
    let mut server = Server::prepare(&["--interface", CABLES[0], "--interface", CABLES[1]])?;
    let host = &server.network.server;
    let wires = [Wire::new(host, CABLES[0])?, Wire::new(host, CABLES[1])?];
    server.start()?;
    let tap = Tap::new(&server.network.server.namespace, CABLES[1])?;
    let mut changes = Changes::new(&server.socket())?;
    changes.make("PUT", "/v1/policy", &document(1))?;
    let begin = Instant::now();
    let ports = FIRST_PORT..FIRST_PORT + SERVICES;
    let host = &server.network.server;
    let frames = [frames(host, ALLOWED, ports.clone())?, frames(host, DENIED, ports)?];
    let traffic = Traffic::start(wires, frames);
    let mut done = Ok(());
    let before = changes.made;
    while done.is_ok() && begin.elapsed() < Duration::from_secs(seconds) {
        done = round(&mut changes);
    }
    let (sent, wires) = traffic.stop()?;
    let took = begin.elapsed();
    done?;
    let made = changes.made - before;
    account(&server, sent, &wires)?;
    // Of the second cable, nothing has come through.
    ensure!(tap.next()?.is_none(), "a packet of {DENIED:?} came through");
    eprintln!(
        "{} and {} packets in {:.1} s, during {made} changes",
        sent[0],
        sent[1],
        took.as_secs_f64()
    );
    ensure!(made >= 30 && sent[0] > 1000, "{made} changes, {sent:?} packets");
    Ok(())
}

/// Every frame was lost by its cable, or judged as it should be.
fn account(server: &Server, sent: [u64; 2], wires: &[Wire; 2]) -> Result<()> {
    let judged = || -> Result<[u64; 4]> {
        let status = server.status()?;
        let services = status["services"].as_array().context("no services")?;
        Ok(["admitted", "denied", "admitted_open", "would_deny"].map(|kind| {
            services.iter().filter_map(|service| service[kind]["packets"].as_u64()).sum()
        }))
    };
    let lost = [wires[0].dropped()?, wires[1].dropped()?];
    eprintln!("the cables lost {lost:?}");
    let expected = [sent[0] - lost[0], sent[1] - lost[1], 0, 0];
    // The last ones may still be under way.
    until("the judgement of all packets", PATIENCE, || {
        let judged = judged().ok()?;
        (judged.iter().sum::<u64>() >= expected.iter().sum()).then_some(())
    })?;
    let judged = judged()?;
    ensure!(
        judged == expected,
        "admitted, denied, admitted while open, would be denied: {judged:?} instead of {expected:?}; {:?}",
        dropped_sources(&server.socket())
    );
    Ok(())
}

/// Which of the allowed addresses are among the drops, for whoever looks for the mistake.
fn dropped_sources(socket: &Path) -> Result<Vec<String>> {
    let drops = Client::connect(&PathBuf::from(socket))?.get("/v1/drops")?.to_string();
    Ok(ALLOWED
        .iter()
        .filter(|one| drops.contains(&format!("\"{one}\"")))
        .map(ToString::to_string)
        .collect())
}
