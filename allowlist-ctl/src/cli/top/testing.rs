//! Samples of a daemon that is not there.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::{
    figures::Sample,
    state::{Action, State},
};

/// A service as `status` tells it.
pub(super) fn service(name: &str, state: &str, admitted: u64, denied: u64) -> Value {
    let none = json!({ "packets": 0, "bytes": 0 });
    let traffic = |packets: u64| json!({ "packets": packets, "bytes": packets * 60 });
    json!({
        "name": name, "ports": ["tcp/6379"], "interfaces": [], "mode": "enforce",
        "action": "drop", "addresses": [], "when_empty": "open", "state": state, "include": [],
        "entries": 1, "expired": 0, "admitted": traffic(admitted), "admitted_open": none,
        "denied": traffic(denied), "would_deny": none, "reject_sent": none, "reject_limited": none
    })
}

/// Dropped packets as `drops` tells them.
pub(super) fn drops(source: &str, service: &str, count: u64, second: u32) -> Value {
    json!({
        "count": count, "first": "2026-11-22T02:00:00Z",
        "time": format!("2026-11-22T02:00:{second:02}Z"), "source": source, "service": service,
        "port": "tcp/6379", "interface": "eth0", "length": 74, "reason": "denied"
    })
}

/// A sample, so many milliseconds after a moment.
pub(super) fn sample(
    begin: Instant,
    milliseconds: u64,
    services: &[Value],
    drops: &[Value],
    lost: u64,
) -> Sample {
    let status = json!({
        "revision": 12, "version": "0.1.0", "started_at": "2026-11-22T01:00:00Z",
        "counting_since": "2026-11-22T01:00:00Z", "store": "/s",
        "interfaces": [], "services": services, "groups": [], "unmatched": {}, "warnings": []
    });
    Sample {
        at: begin + Duration::from_millis(milliseconds),
        status: serde_json::from_value(status).unwrap(),
        drops: serde_json::from_value(json!({ "lost": lost, "drops": drops })).unwrap(),
    }
}

/// When samples begin.
pub(super) fn time() -> Timestamp {
    "2026-11-22T02:01:00Z".parse().unwrap()
}

/// Two services and three sources, after two samples.
pub(super) fn state() -> State {
    let begin = Instant::now();
    let mut state = State::new(time(), begin + Duration::from_secs(1));
    let sources = |more: u64| {
        [
            drops("203.0.113.7", "redis", 100 + 5 * more, 59),
            drops("2001:db8::77", "redis", 900 + more, 30),
            drops("198.51.100.20", "web", 20, 10),
        ]
    };
    let services = |more: u64| {
        [
            service("redis", "closed", 10 + 3 * more, 1000 + 20 * more),
            service("web", "open", more, 0),
        ]
    };
    state.take(Ok(sample(begin, 0, &services(0), &sources(0), 0)));
    state.take(Ok(sample(begin, 1000, &services(1), &sources(1), 0)));
    state
}

/// Presses keys, and returns what the last one asks for.
pub(super) fn press(state: &mut State, codes: &[KeyCode]) -> Option<Action> {
    let press = |code: &KeyCode| state.key(KeyEvent::new(*code, KeyModifiers::NONE));
    codes.iter().map(press).last().flatten()
}

/// Types a text.
pub(super) fn type_in(state: &mut State, text: &str) -> Option<Action> {
    press(state, &text.chars().map(KeyCode::Char).collect::<Vec<_>>())
}
