//! The metrics say what happened, to Prometheus' liking, and over TCP nothing else is to be had.

use std::{
    io::Write as _,
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use xtask::lab::{Host, INTERFACE, PacketSocket, until};

use super::support::{METRICS, PATIENCE, Scrape, Server, User, promtool, refuses, tcp};

/// The ports of a closed service, an open one, one in mode monitor, one that answers, and one of none.
const CLOSED: u16 = 7001;
const OPEN: u16 = 7002;
const MONITORED: u16 = 7003;
const ANSWERING: u16 = 7004;
const FREE: u16 = 7005;

/// Headers of Ethernet, IPv4 and UDP.
const HEADERS: usize = 14 + 20 + 8;

const SERVED: [&str; 4] = ["--interface", INTERFACE, "--metrics", METRICS];

/// Sends datagrams of so many bytes, each once.
fn send(from: &Host, to: &Host, port: u16, count: usize, length: usize) -> Result<()> {
    let socket = from.namespace.inside(|| UdpSocket::bind((from.ipv4, 0)))??;
    let to: SocketAddr = (to.ipv4, port).into();
    for _ in 0..count {
        socket.send_to(&vec![0; length], to)?;
    }
    Ok(())
}

/// An IPv4 packet of UDP that ends with its header.
fn unreadable(from: &Host, to: &Host) -> Vec<u8> {
    let mut header = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0].to_vec();
    header.extend([from.ipv4.octets(), to.ipv4.octets()].concat());
    let words = header.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let checksum = !((sum >> 16) + (sum & 0xffff));
    header[10..12].copy_from_slice(&checksum.to_be_bytes()[2..]);
    [&to.mac[..], &from.mac[..], &[8, 0], &header].concat()
}

fn settle(server: &Server) -> Result<[Scrape; 2]> {
    for (name, port) in [("closed", CLOSED), ("open", OPEN)] {
        server.make(
            &format!("PUT /v1/services/{name}"),
            &json!({"ports": [format!("udp/{port}")]}),
        )?;
    }
    let monitored = json!({"ports": [format!("udp/{MONITORED}")], "mode": "monitor"});
    server.make("PUT /v1/services/monitored", &monitored)?;
    let answering = json!({"ports": [format!("udp/{ANSWERING}")], "action": "reject"});
    server.make("PUT /v1/services/answering", &answering)?;
    server.make("PUT /v1/groups/office", &json!({}))?;
    let alice = json!({"entries": [{"entry": "10.77.0.2"}]});
    for list in ["closed", "monitored", "answering", "office"] {
        server.make(&format!("POST /v1/lists/{list}/add"), &alice)?;
    }
    Ok([server.metrics()?, server.scrape()?])
}

#[test]
fn what_was_sent_is_what_the_metrics_say() -> Result<()> {
    let server = Server::with_options(&SERVED)?;
    let before = settle(&server)?;
    let to = &server.network.server;
    for client in [server.alice(), server.bob()] {
        // So that no datagram waits for an address.
        client.namespace.run("ping", &["-c1", "-W5", &to.ipv4.to_string()])?;
    }
    send(server.alice(), to, CLOSED, 30, 10)?;
    send(server.bob(), to, CLOSED, 20, 100)?;
    send(server.bob(), to, OPEN, 7, 50)?;
    send(server.alice(), to, MONITORED, 5, 1)?;
    send(server.bob(), to, MONITORED, 4, 2)?;
    send(server.bob(), to, ANSWERING, 3, 3)?;
    send(server.bob(), to, FREE, 6, 8)?;
    for _ in 0..2 {
        PacketSocket::open(&server.bob().namespace, INTERFACE)?
            .send(&unreadable(server.bob(), to))?;
    }

    let none = "reason=\"no_service\",verdict=\"passed\"";
    let table: [(&str, &str, usize, usize); 10] = [
        ("service", "service=\"closed\",verdict=\"admitted\"", 30, 30 * (HEADERS + 10)),
        ("service", "service=\"closed\",verdict=\"denied\"", 20, 20 * (HEADERS + 100)),
        ("service", "service=\"closed\",verdict=\"admitted_open\"", 0, 0),
        ("service", "service=\"open\",verdict=\"admitted_open\"", 7, 7 * (HEADERS + 50)),
        ("service", "service=\"monitored\",verdict=\"admitted\"", 5, 5 * (HEADERS + 1)),
        ("service", "service=\"monitored\",verdict=\"would_deny\"", 4, 4 * (HEADERS + 2)),
        ("service", "service=\"answering\",verdict=\"denied\"", 3, 3 * (HEADERS + 3)),
        ("unmatched", none, 6, 6 * (HEADERS + 8)),
        ("unmatched", "reason=\"ports_cut_off\",verdict=\"dropped\"", 2, 2 * 34),
        ("unmatched", "reason=\"ports_cut_off\",verdict=\"passed\"", 0, 0),
    ];
    let check = |before: &Scrape, after: &Scrape| -> Result<()> {
        for (what, labels, packets, bytes) in table {
            for (unit, sent) in [("packets", packets), ("bytes", bytes)] {
                let name = format!("allowlist_{what}_{unit}_total{{{labels}}}");
                let counted = after.get(&name)? - before.get(&name)?;
                let sent = f64::from(u32::try_from(sent)?);
                ensure!((counted - sent).abs() < 0.5, "{name}: {counted}, not {sent}");
            }
        }
        after.is("allowlist_service_rejects_total{service=\"answering\",answer=\"sent\"}", 3.0)
    };
    let mut last = None;
    let all = until("that all is counted", PATIENCE, || {
        let after = [server.metrics().ok()?, server.scrape().ok()?];
        let wrong =
            before.iter().zip(&after).find_map(|(before, after)| check(before, after).err());
        last = wrong;
        last.is_none().then_some(())
    });
    all.with_context(|| format!("{last:?}"))?;

    let [_, after] = &[server.metrics()?, server.scrape()?];
    promtool(&["check", "metrics"], &after.text)?;
    promtool(&["check", "metrics"], &server.metrics()?.text)?;
    for (name, expected) in [
        ("allowlist_service_open{service=\"open\"}", 1.0),
        ("allowlist_service_open{service=\"closed\"}", 0.0),
        ("allowlist_service_mode{service=\"monitored\",mode=\"monitor\"}", 1.0),
        ("allowlist_service_mode{service=\"monitored\",mode=\"enforce\"}", 0.0),
        ("allowlist_list_entries{list=\"office\",kind=\"group\"}", 1.0),
        ("allowlist_list_entries{list=\"open\",kind=\"service\"}", 0.0),
        ("allowlist_policy_revision", 9.0),
        ("allowlist_pending_change", 0.0),
        ("allowlist_degraded{part=\"store\"}", 0.0),
        ("allowlist_events_lost_total", 0.0),
        // Each of the nine changes, and no other one.
        ("allowlist_sync_duration_seconds_count", 9.0),
        ("allowlist_api_request_duration_seconds_count{operation=\"add\"}", 4.0),
        ("allowlist_api_request_duration_seconds_count{operation=\"protect\"}", 4.0),
    ] {
        after.is(name, expected)?;
    }
    let memory = after.get("process_resident_memory_bytes")?;
    ensure!(memory > 1e6, "{memory} bytes");
    let version = server.status()?["version"].as_str().context("no version")?.to_owned();
    ensure!(after.text.contains(&format!("allowlist_build_info{{version=\"{version}\",")));
    Ok(())
}

/// The time in seconds.
fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

#[test]
fn ends_changes_and_what_waits_are_in_the_metrics() -> Result<()> {
    let server = Server::with_options(&SERVED)?;
    let begin = seconds(Timestamp::now());
    server.make("PUT /v1/services/web", &json!({"ports": ["tcp/80"]}))?;
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let [soon, later] = [now.checked_add(2.seconds())?, now.checked_add(1.hour())?];
    let entries = json!({"entries": [
        {"entry": "10.1.0.0/16"},
        {"entry": "10.2.0.0/16", "expires_at": later},
        {"entry": "10.3.0.0/16", "expires_at": soon},
    ]});
    server.make("POST /v1/lists/web/add", &entries)?;
    let of_web = "{list=\"web\",kind=\"service\"}";
    let [expired, next_end] = ["expired_entries", "next_end_timestamp_seconds"]
        .map(|name| format!("allowlist_list_{name}{of_web}"));
    let scrape = server.scrape()?;
    if Timestamp::now() < soon {
        scrape.is(&expired, 0.0)?;
        scrape.is(&next_end, seconds(soon))?;
    }
    until("the end of an entry", PATIENCE, || server.scrape().ok()?.is(&expired, 1.0).ok())?;
    let scrape = server.scrape()?;
    scrape.is(&next_end, seconds(later))?;
    scrape.is(&format!("allowlist_list_entries{of_web}"), 3.0)?;
    ensure!(
        scrape
            .find("allowlist_list_next_end_timestamp_seconds{list=\"trusted\",kind=\"group\"}")
            .is_none()
    );
    let changed = scrape.get("allowlist_policy_last_change_timestamp_seconds")?;
    ensure!((begin - 1.0..=seconds(Timestamp::now())).contains(&changed), "{changed}, not {begin}");

    let deadline = "allowlist_pending_change_deadline_timestamp_seconds";
    ensure!(scrape.find(deadline).is_none());
    server.make("PUT /v1/services/web/mode?confirm=600", &json!({"mode": "off"}))?;
    let scrape = server.scrape()?;
    scrape.is("allowlist_pending_change", 1.0)?;
    let left = scrape.get(deadline)? - seconds(Timestamp::now());
    ensure!((590.0..=602.0).contains(&left), "{left} seconds");
    scrape.is("allowlist_service_mode{service=\"web\",mode=\"off\"}", 1.0)
}

fn is_attached(server: &Server, is_so: bool) -> Result<()> {
    let (scrape, interface) = (server.scrape()?, server.interface("eth0")?);
    let state =
        |state| format!("allowlist_interface_state{{interface=\"eth0\",state=\"{state}\"}}");
    scrape.is(&state("attached"), f64::from(u8::from(is_so)))?;
    scrape.is(&state("detached"), f64::from(u8::from(!is_so)))?;
    for mode in ["native", "generic"] {
        let name = format!("allowlist_interface_xdp_mode{{interface=\"eth0\",mode=\"{mode}\"}}");
        scrape.is(&name, f64::from(u8::from(interface["mode"] == mode)))?;
    }
    Ok(())
}

#[test]
fn attaching_and_restarting_are_in_the_metrics_and_counters_begin_anew_with_the_pins() -> Result<()>
{
    let mut server = Server::with_options(&SERVED)?;
    is_attached(&server, true)?;
    server.make("DELETE /v1/interfaces/eth0?yes=true", &json!(null))?;
    is_attached(&server, false)?;
    server.make("PUT /v1/interfaces/eth0", &json!({}))?;
    is_attached(&server, true)?;

    server.make("PUT /v1/services/open", &json!({"ports": [format!("udp/{OPEN}")]}))?;
    send(server.bob(), &server.network.server, OPEN, 9, 1)?;
    let name = "allowlist_service_packets_total{service=\"open\",verdict=\"admitted_open\"}";
    until("that all is counted", PATIENCE, || server.scrape().ok()?.is(name, 9.0).ok())?;
    let changed = "allowlist_policy_last_change_timestamp_seconds";
    let change = server.scrape()?.get(changed)?;
    server.restart()?;
    let scrape = server.scrape()?;
    scrape.is(name, 9.0)?;
    scrape.is(changed, change)?;

    let detached = server.allowlistd(&["--detach"]).status()?;
    ensure!(detached.success(), "{detached}");
    server.start()?;
    server.scrape()?.is(name, 0.0)
}

#[test]
fn over_tcp_there_are_metrics_and_nothing_else() -> Result<()> {
    let server = Server::with_options(&SERVED)?;
    let long = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let table = [
        ("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", 200),
        ("GET /metrics?a=b HTTP/1.1\r\nhost: x\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        ("GET /metrics/ HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        ("GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        ("GET /v1/metrics HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        ("POST /v1/shutdown HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 404),
        ("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 405),
        ("DELETE /metrics HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
        (&long, 431),
    ];
    for (request, status) in table {
        let answer = tcp(&server, METRICS, request.as_bytes())?;
        let line = request.lines().next();
        ensure!(answer.status() == Some(status), "{line:?}: {answer:?}");
        ensure!((status == 405) == answer.0.contains("allow: GET\r\n"), "{line:?}: {answer:?}");
    }
    ensure!(server.revision()? == 0);

    // Without end, one would wait for a place forever.
    let namespace = &server.network.server.namespace;
    let stuck = |_| namespace.connect(METRICS.parse()?, PATIENCE);
    let mut stuck = (0..12).map(stuck).collect::<Result<Vec<_>>>()?;
    for stream in &mut stuck {
        stream.write_all(b"GET /metr")?;
    }
    thread::sleep(Duration::from_millis(200));
    // The socket is apart from them.
    server.metrics()?;
    until("a place", 3 * PATIENCE, || server.scrape().ok().map(drop))?;
    drop(stuck);
    Ok(())
}

#[test]
fn metrics_are_off_unless_asked_for_and_say_what_is_in_their_way() -> Result<()> {
    let mut server = Server::with_options(&[])?;
    let namespace = &server.network.server.namespace;
    ensure!(namespace.connect(METRICS.parse()?, Duration::from_millis(300)).is_err());
    server.metrics()?;

    let listener = namespace.inside(|| std::net::TcpListener::bind(METRICS))??;
    server.daemon()?.kill()?;
    let mut again = server.allowlistd(&["--metrics", METRICS]);
    refuses(&mut again, "cannot listen at 127.0.0.1:9777 for the metrics: something else does")?;
    drop(listener);

    let file = server.write("allowlistd.toml", &format!("[metrics]\nlisten = \"{METRICS}\"\n"))?;
    server.set_options(&["--config", &file]);
    server.start()?;
    server.scrape().map(drop)
}

#[test]
fn the_socket_has_metrics_for_viewers() -> Result<()> {
    let server = Server::for_users("[access]\nviewers = [\"4001\"]")?;
    User::new(4002).ask(&server, "GET /v1/metrics", &json!(null))?.refused(403, "forbidden")?;
    let seen = User::new(4001).ask(&server, "GET /v1/metrics", &json!(null));
    // What is answered is text.
    ensure!(format!("{seen:?}").contains("allowlist_policy_revision 0"), "{seen:?}");
    Ok(())
}

#[test]
fn what_was_dropped_and_not_reported_is_in_the_metrics() -> Result<()> {
    let server = Server::new()?;
    let service = json!({"ports": [format!("udp/{CLOSED}")], "when_empty": "closed"});
    server.make("PUT /v1/services/closed", &service)?;
    until("more than can be reported", PATIENCE, || {
        send(server.bob(), &server.network.server, CLOSED, 5000, 1).ok()?;
        let lost = server.metrics().ok()?.get("allowlist_events_lost_total").ok()?;
        (lost > 0.0).then_some(())
    })?;
    until("that all agree", PATIENCE, || {
        let lost = server.get("/v1/drops").ok()?["lost"].as_f64()?;
        server.metrics().ok()?.is("allowlist_events_lost_total", lost).ok()
    })
}

#[test]
fn what_strangers_ask_for_makes_no_metric_of_its_own() -> Result<()> {
    let server = Server::with_options(&[])?;
    for path in ["/v1/one", "/two?three=four", "/v1/lists/five", "/v1/status"] {
        server.ask(&format!("GET {path}"), &json!(null))?;
    }
    // Nothing is to be had by this method.
    server.ask("POST /v1/status", &json!(null))?;
    let scrape = server.metrics()?;
    let count =
        |name| format!("allowlist_api_request_duration_seconds_count{{operation=\"{name}\"}}");
    for (operation, expected) in [("other", 3.0), ("list", 1.0), ("status", 1.0)] {
        scrape.is(&count(operation), expected)?;
    }
    for word in ["one", "two", "three", "four", "five"] {
        ensure!(!scrape.text.contains(&format!("\"{word}\"")), "{}", scrape.text);
    }
    Ok(())
}
