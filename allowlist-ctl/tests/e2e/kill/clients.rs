//! Clients that make one change after another until nobody answers.

use std::{collections::BTreeSet, path::Path, thread, time::Duration};

use anyhow::{Result, ensure};
use xtask::{lab::Client, random::Random};

use super::model::{Change, List, Model, Service};

/// How many at once.
pub(super) const CLIENTS: usize = 5;
/// The service that nobody changes, its port, who is in it, and who is not.
pub(super) const FIXED: (&str, u16) = ("fixed", 6999);
pub(super) const ADMITTED: [&str; 2] = ["10.41.0.1", "fd41::1"];
pub(super) const FORBIDDEN: [&str; 2] = ["10.41.0.2", "fd41::2"];
/// Addresses around which the entries of a list lie.
pub(super) const POOL: u8 = 16;
/// Other entries of a list that is replaced.
const FILLERS: usize = 2000;

/// A change that was answered: it made a revision.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) change: Change,
    pub(super) revision: u64,
}

/// What a client has done until nobody answered any more.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) done: Vec<Done>,
    /// What was asked last, and not answered.
    pub(super) open: Option<Change>,
    pub(super) refused: u32,
}

/// The policy that the test begins with.
pub(super) fn beginning() -> Model {
    let mut model = Model::default();
    let entries = ADMITTED.iter().map(|address| (host(address), None)).collect();
    let fixed = Service { port: FIXED.1, include: BTreeSet::new(), entries };
    model.services.insert(FIXED.0.into(), fixed);
    model
}

fn host(address: &str) -> String {
    let bits = if address.contains(':') { 128 } else { 32 };
    format!("{address}/{bits}")
}

/// Makes changes to a service and a group of its own until the daemon is gone, and undoes and confirms whatever waits.
pub(super) fn work(socket: &Path, number: usize, random: &mut Random) -> Result<Story> {
    let mut story = Story::default();
    let Ok(mut client) = Client::connect(socket) else { return Ok(story) };
    loop {
        let change = draw(number, random);
        let confirm = random.once_in(12);
        let (method, path, content_type, body) = change.request();
        let confirm_query = if confirm { "&confirm=1" } else { "" };
        let path = format!("{path}?yes=true&force=true{confirm_query}");
        story.open = Some(change.clone());
        let Ok(answer) = client.ask(method, &path, content_type, body.as_bytes()) else {
            return Ok(story);
        };
        story.open = None;
        // What is not there cannot be changed, and while a change waits to be confirmed no other one is made.
        ensure!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.body);
        if !answer.is_success() {
            story.refused += 1;
            if answer.body["error"]["code"] == "pending" {
                thread::sleep(Duration::from_millis(5));
            }
            continue;
        }
        if answer.body["changed"] == true {
            let revision = answer.body["revision"].as_u64().unwrap_or_default();
            story.done.push(Done { change, revision });
            if confirm && random.once_in(2) {
                // It makes no revision, so that it matters to nobody whether it was heard.
                let asked = client.ask("POST", "/v1/confirm", "application/json", b"{}");
                if asked.is_err() {
                    return Ok(story);
                }
            }
        }
    }
}

fn draw(number: usize, random: &mut Random) -> Change {
    let (service, group) = (format!("service{number}"), format!("group{number}"));
    let list = if random.once_in(3) { group.clone() } else { service.clone() };
    match random.below(32) {
        0..12 => {
            let count = 1 + random.below(4);
            Change::Add(list, (0..count).map(|_| entry(number, random)).collect())
        }
        12..18 => Change::Remove(list, vec![entry(number, random).0]),
        18..21 => Change::Replace(list, lines(number, random)),
        21..25 => {
            let groups = [(number, random.once_in(2)), ((number + 1) % CLIENTS, random.once_in(3))];
            let groups = groups.into_iter().filter(|(_, is_in)| *is_in);
            let include = groups.map(|(number, _)| format!("group{number}")).collect();
            Change::Protect(service, port(number, random), include)
        }
        25 => Change::Unprotect(service),
        26..28 => Change::Group(group),
        28 => Change::Ungroup(group),
        // One client alone: of two that nobody was told of, the audit trail would not say which is whose.
        29 if number == 0 => Change::Apply(whole(number, random)),
        _ => Change::Rollback,
    }
}

/// Everybody's ports are their own.
fn port(number: usize, random: &mut Random) -> u16 {
    u16::try_from(7000 + 10 * number + random.below(3)).unwrap_or_default()
}

/// An entry around the addresses of a client's pool.
fn entry(number: usize, random: &mut Random) -> (String, Option<String>) {
    let low = random.below(POOL.into());
    let host_bits = random.below(5);
    let low = low >> host_bits << host_bits;
    let mark = if random.once_in(3) { "!" } else { "" };
    let prefix = if random.once_in(3) {
        let low = if low == 0 { String::new() } else { format!("{low:x}") };
        format!("{mark}fd40:{}::{low}/{}", number + 1, 128 - host_bits)
    } else {
        format!("{mark}10.40.{number}.{low}/{}", 32 - host_bits)
    };
    let comment = random.once_in(4).then(|| format!("note {}", random.below(100)));
    (prefix, comment)
}

fn lines(number: usize, random: &mut Random) -> List {
    let count = random.below(8);
    let mut lines: List = (0..count).map(|_| entry(number, random)).collect();
    let begin = random.below(1000);
    for filler in begin..begin + FILLERS + random.below(FILLERS) {
        lines.insert(format!("172.{}.{}.{}/32", 16 + number, filler >> 8, filler & 255), None);
    }
    lines
}

/// Another policy altogether, but for the service that nobody changes.
fn whole(number: usize, random: &mut Random) -> Model {
    let mut model = beginning();
    for number in [number, (number + 2) % CLIENTS] {
        let include = BTreeSet::from([format!("group{number}")]);
        let (port, entries) = (port(number, random), lines(number, random));
        model.services.insert(format!("service{number}"), Service { port, include, entries });
        let group = (0..3).map(|_| entry(number, random)).collect();
        model.groups.insert(format!("group{number}"), group);
    }
    model
}
