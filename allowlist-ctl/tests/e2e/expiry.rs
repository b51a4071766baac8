//! Entries with an end: the kernel keeps it, and an end never opens anything.

use std::{net::TcpListener, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::support::{PATIENCE, Server, listen, shut_out};

/// A service, its own entries and those of its group, and whether bob comes in before an end and after it. `SOON` is
/// that end, `LATER` a later one.
struct Case {
    name: &'static str,
    own: &'static [&'static str],
    group: &'static [&'static str],
    bob: [bool; 2],
    /// Number of entries, and how many of them have ended afterwards.
    counts: [u64; 2],
}

const CASES: [Case; 9] = [
    Case {
        name: "allow",
        own: &["10.77.0.2", "10.77.0.3 SOON"],
        group: &[],
        bob: [true, false],
        counts: [2, 1],
    },
    Case { name: "last", own: &["10.77.0.3 SOON"], group: &[], bob: [true, false], counts: [1, 1] },
    Case {
        name: "last-of-group",
        own: &[],
        group: &["10.77.0.3 SOON"],
        bob: [true, false],
        counts: [1, 1],
    },
    Case {
        name: "less-specific",
        own: &["10.77.0.0/24", "10.77.0.3 SOON"],
        group: &[],
        bob: [true, true],
        counts: [2, 1],
    },
    Case {
        name: "except",
        own: &["10.77.0.0/24", "!10.77.0.3 SOON"],
        group: &[],
        bob: [false, true],
        counts: [2, 1],
    },
    Case {
        name: "except-on-a-tie",
        own: &["10.77.0.3"],
        group: &["!10.77.0.3 SOON"],
        bob: [false, true],
        counts: [2, 1],
    },
    Case {
        name: "allow-in-an-except",
        own: &["10.77.0.0/24", "!10.77.0.0/28", "10.77.0.3 SOON"],
        group: &[],
        bob: [true, false],
        counts: [3, 1],
    },
    Case {
        name: "twice",
        own: &["10.77.0.3 SOON"],
        group: &["10.77.0.3 LATER"],
        bob: [true, true],
        counts: [2, 1],
    },
    Case {
        name: "twice-the-other-way",
        own: &["10.77.0.3 LATER"],
        group: &["10.77.0.3 SOON"],
        bob: [true, true],
        counts: [2, 1],
    },
];

const FIRST_PORT: u16 = 7001;

fn port(index: usize) -> Result<u16> {
    Ok(FIRST_PORT + u16::try_from(index)?)
}

/// The moment in so many seconds, on a full one.
fn moment(seconds: i64) -> Result<Timestamp> {
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    Ok(now.checked_add(seconds.seconds())?)
}

fn wait_until(moment: Timestamp) {
    let left = Duration::try_from(moment.duration_since(Timestamp::now()));
    thread::sleep(left.unwrap_or_default());
}

/// Makes all services, in one change, whose ends are then; and something that listens to each.
fn set_up(server: &Server, soon: Timestamp) -> Result<Vec<TcpListener>> {
    let later = soon.checked_add(1.hour())?;
    let entry = |text: &&str| match text.split_once(' ') {
        Some((entry, end)) => {
            let end = if end == "SOON" { soon } else { later };
            json!({"entry": entry, "expires_at": end})
        }
        None => json!({ "entry": text }),
    };
    let entries = |texts: &[&str]| -> Vec<Value> { texts.iter().map(entry).collect() };
    let (mut services, mut groups) = (serde_json::Map::new(), serde_json::Map::new());
    let mut listeners = Vec::new();
    for (index, Case { name, own, group, .. }) in CASES.iter().enumerate() {
        let (port, of_group) = (port(index)?, format!("g-{name}"));
        listeners.push(listen(&server.network.server.namespace, port)?);
        let ports = json!([format!("tcp/{port}")]);
        let service = json!({"ports": ports, "include": [of_group], "entries": entries(own)});
        services.insert((*name).to_owned(), service);
        groups.insert(of_group, json!({"entries": entries(group)}));
    }
    server.make("PUT /v1/policy", &json!({"service": services, "group": groups}))?;
    Ok(listeners)
}

/// Checks that bob comes in where he is to, before (0) or after (1) the end.
fn check(server: &Server, when: usize) -> Result<()> {
    let mut wrong = Vec::new();
    for (index, Case { name, bob, .. }) in CASES.iter().enumerate() {
        let [to, _] = server.network.server.port(port(index)?);
        let come = if bob[when] {
            server.bob().namespace.connect(to, PATIENCE).map(drop)
        } else {
            shut_out(server.bob(), to)
        };
        wrong.extend(come.err().map(|error| format!("{name}: {error:#}")));
    }
    ensure!(wrong.is_empty(), "{} the end: {wrong:#?}", ["before", "after"][when]);
    Ok(())
}

/// Checks that every entry is there, and told as ended where it is.
fn check_told(server: &Server, has_ended: bool) -> Result<()> {
    let warnings = server.status()?["warnings"].to_string();
    for Case { name, counts: [entries, ended], .. } in &CASES {
        let service = server.service(name)?;
        ensure!(service["state"] == "closed" && service["entries"] == *entries, "{service}");
        let ended = if has_ended { *ended } else { 0 };
        ensure!(service["expired"] == ended, "{service}");
        let mut told = 0;
        for list in [(*name).to_owned(), format!("g-{name}")] {
            let listing = server.get(&format!("/v1/lists/{list}"))?;
            let entries = listing["lists"][0]["entries"].as_array().context("no entries")?;
            told += entries.iter().filter(|entry| entry["expired"] == true).count();
        }
        ensure!(u64::try_from(told)? == ended, "{name}: {told} entries are told as ended");
        let said = warnings.contains(&format!("all entries of {name} have expired"));
        ensure!(said == (ended == *entries), "{name}: {warnings}");
    }
    Ok(())
}

#[test]
fn an_end_comes_within_a_second_and_opens_nothing_with_the_daemon_dead_too() -> Result<()> {
    let (server, mut dead) = (Server::new()?, Server::new()?);
    let soon = moment(7)?;
    let _listeners = [set_up(&server, soon)?, set_up(&dead, soon)?];
    dead.daemon()?.kill()?;
    for server in [&server, &dead] {
        check(server, 0)?;
    }
    check_told(&server, false)?;
    ensure!(Timestamp::now() < soon, "the machine is too slow for this test");
    wait_until(soon.checked_add(1.second())?);
    for server in [&server, &dead] {
        check(server, 1)?;
    }
    check_told(&server, true)?;
    dead.start()?;
    check(&dead, 1)?;
    check_told(&dead, true)?;

    // Trusted may still come; to remove what ended last is what opens.
    let line = "POST /v1/lists/trusted/add";
    server.make(line, &json!({"entries": [{"entry": "10.77.0.2"}]}))?;
    let [last, _] = server.network.server.port(port(1)?);
    server.alice().namespace.connect(last, PATIENCE)?;
    shut_out(server.bob(), last)?;
    let (line, entry) =
        ("POST /v1/lists/last/remove", json!({"entries": [{"entry": "10.77.0.3"}]}));
    server.ask(line, &entry)?.refused(409, "unconfirmed")?;
    server.make("POST /v1/lists/last/remove?yes=true", &entry)?;
    server.bob().namespace.connect(last, PATIENCE)?;
    Ok(())
}

#[test]
fn an_end_is_moved_by_adding_the_entry_again() -> Result<()> {
    let server = Server::new()?;
    let _listener = listen(&server.network.server.namespace, 7001)?;
    let [to, _] = server.network.server.port(7001);
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/7001"]}))?;
    let add = |end: Option<Timestamp>| {
        let entry = json!({"entry": "10.77.0.3", "expires_at": end});
        server.ask("POST /v1/lists/web/add", &json!({"entries": [entry]}))
    };
    let past = add(Some(moment(-1)?))?.refused(400, "invalid")?;
    ensure!(past["message"].to_string().contains("lies in the past"), "{past}");
    ensure!(server.revision()? == 1);

    let soon = moment(3)?;
    add(Some(soon))?.done()?;
    let told = add(Some(soon))?.done()?;
    ensure!(told["changed"] == false && told["unchanged"] == 1, "{told}");
    let later = moment(3600)?;
    let told = add(Some(later))?.done()?;
    ensure!(told["messages"][0] == format!("10.77.0.3/32 was there already: it ends at {later}"));
    wait_until(soon.checked_add(1.second())?);
    server.bob().namespace.connect(to, PATIENCE)?;
    let soon = moment(2)?;
    add(Some(soon))?.done()?;
    wait_until(soon.checked_add(1.second())?);
    shut_out(server.bob(), to)?;
    // One that has ended begins anew.
    let told = add(None)?.done()?;
    ensure!(told["messages"][0] == "10.77.0.3/32 was there already: it no longer ends", "{told}");
    server.bob().namespace.connect(to, PATIENCE)?;
    Ok(())
}
