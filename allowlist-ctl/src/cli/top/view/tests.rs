use ratatui::{Terminal, backend::TestBackend, buffer::Cell, crossterm::event::KeyCode};
use serde_json::json;

use super::*;
use crate::cli::top::testing::{drops, press, sample, service, state, time, type_in};

const PLAIN: Theme = Theme { colours: false };

/// What a screen of this size shows.
fn screen(state: &mut State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(state, PLAIN, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content().iter().map(Cell::symbol).collect();
    let lines =
        cells.chunks(usize::from(width).max(1)).map(|line| line.concat().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_is_on_a_screen_of_80_columns() {
    let mut state = state();
    state.news = Some("02:00:30Z root: add redis (revision 12)".into());
    let expected = "\
allowlist  02:01:00Z  revision 12  admitted 4.0/s  denied 20/s  by rate
SERVICE                  MODE    ADMITTED/s                DENIED/s
redis                    enforce        3.0            █         20            █
web                      OPEN           1.0            █          0
                                                                        1-3 of 3
  DENIED SOURCE                    SERVICE       PORT       COUNT   RATE/s  LAST
  203.0.113.7                      redis         tcp/6379       105     5.0   1s
  2001:db8::77                     redis         tcp/6379       901     1.0  30s
  198.51.100.20                    web           tcp/6379        20       0  50s













02:00:30Z root: add redis (revision 12)
q quit  s sort  p pause  / filter  n names  e explain  a add  ? help";
    assert_eq!(screen(&mut state, 80, 24), expected);
}

#[test]
fn what_must_not_be_missed_is_said() {
    let mut state = state();
    assert!(!screen(&mut state, 80, 24).contains("PAUSED"));
    type_in(&mut state, "p/red");
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("PAUSED  FILTER red"), "{shown}");
    assert!(shown.ends_with("filter: red   Enter keeps it, Esc shows all"), "{shown}");
    press(&mut state, &[KeyCode::Enter]);
    state.take(Err("no daemon answers at /run/a.sock".into()));
    let shown = screen(&mut state, 100, 24);
    assert!(
        shown.contains("no daemon answers at /run/a.sock; its last answer was 0 s ago"),
        "{shown}"
    );
    let mut failing = sample(state.moment, 5000, &[], &[], 0);
    failing.status.degraded = serde_json::from_value(
        json!([{ "what": "store", "message": "full", "since": "2026-11-22T02:00:00Z" }]),
    )
    .unwrap();
    type_in(&mut state, "p");
    state.take(Ok(failing));
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("DEGRADED"), "{shown}");
}

#[test]
fn what_was_not_reported_is_counted() {
    let mut state = state();
    let (at, rows) = (state.moment, [drops("192.0.2.1", "web", 1, 0)]);
    state.take(Ok(sample(at, 1000, &[], &rows, 5000)));
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("and 5000 packets/s more, not reported; 1-1 of 1"), "{shown}");
    state.take(Ok(sample(at, 2000, &[], &rows, 5000)));
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("and 5000 packets more, not reported; 1-1 of 1"), "{shown}");
}

#[test]
fn where_there_is_nothing_it_says_so() {
    let mut state = State::new(time(), std::time::Instant::now());
    assert!(screen(&mut state, 80, 24).contains("no figures yet"));
    state.take(Ok(sample(state.moment, 0, &[], &[], 0)));
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("allowlist-ctl protect redis tcp/6379"), "{shown}");
    assert!(shown.contains("no packet was dropped since the daemon started"), "{shown}");
    type_in(&mut state, "/x");
    assert!(screen(&mut state, 80, 24).contains("no source has the filter's text"));
}

#[test]
fn names_and_reasons_stand_with_their_source() {
    let mut state = state();
    let mut passed = drops("192.0.2.1", "web", 1, 0);
    passed["reason"] = "would_deny".into();
    let unreadable = json!({
        "count": 3, "first": "2026-11-22T02:00:00Z", "time": "2026-11-22T02:00:01Z",
        "source": null, "service": null, "port": null, "interface": "eth0", "length": 20,
        "reason": "ports_cut_off"
    });
    let rows = [passed, unreadable, drops("192.0.2.9", "redis", 1, 0)];
    state.take(Ok(sample(state.moment, 1000, &[], &rows, 0)));
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("~ 192.0.2.1 "), "{shown}");
    assert!(shown.contains("unknown") && shown.contains("ports cut off"), "{shown}");
    type_in(&mut state, "n");
    screen(&mut state, 80, 24);
    let [waiting, named] = ["192.0.2.1", "192.0.2.9"].map(|address| address.parse().unwrap());
    assert_eq!(state.nameless(), [waiting, named]);
    state.names.asked(waiting, state.moment);
    state.names.asked(named, state.moment);
    state.names.found(named, Some("a-very-long-name-of-a-host.example".into()));
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("192.0.2.1 ..."), "{shown}");
    assert!(shown.contains("192.0.2.9 a-very-long-"), "{shown}");
    assert!(shown.contains('\u{2026}'), "{shown}");
}

#[test]
fn the_page_with_the_selection_is_shown() {
    let mut state = state();
    let row = |number: u64| drops(&format!("192.0.2.{number}"), "web", 200 - number, 0);
    let rows: Vec<_> = (0..100).map(row).collect();
    let services: Vec<_> =
        (0..50).map(|number| service(&format!("s{number:02}"), "closed", 0, 0)).collect();
    state.take(Ok(sample(state.moment, 1000, &services, &rows, 0)));
    type_in(&mut state, "s");
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("s00") && shown.contains("s08") && !shown.contains("s09"), "{shown}");
    assert!(shown.contains("1-9 of 100") && shown.contains("192.0.2.8 "), "{shown}");
    press(&mut state, &[KeyCode::PageDown, KeyCode::Char(']'), KeyCode::Char(']')]);
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("10-18 of 100") && shown.contains("192.0.2.9 "), "{shown}");
    assert!(shown.contains("s02") && !shown.contains("s01"), "{shown}");
    press(&mut state, &[KeyCode::End]);
    assert!(screen(&mut state, 80, 24).contains("192.0.2.99 "));
}

#[test]
fn the_dialog_shows_exactly_what_is_done() {
    let mut state = state();
    type_in(&mut state, "a");
    type_in(&mut state, "it's bob");
    let shown = screen(&mut state, 80, 24);
    for text in
        ["Entry             203.0.113.7", "Service or group  redis", "Comment           it's bob"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains("allowlist-ctl add"), "{shown}");
    press(&mut state, &[KeyCode::Enter]);
    state.tried(1, Ok((vec!["Would change: redis: 1 added".into()], Some(12))));
    let shown = screen(&mut state, 80, 24);
    assert!(
        shown.contains(r"allowlist-ctl add redis 203.0.113.7 --comment 'it'\''s bob'"),
        "{shown}"
    );
    assert!(shown.contains("Would change: redis: 1 added"), "{shown}");
    assert!(shown.contains("Do it? y does it"), "{shown}");
    let refusal = "this needs the role admin, and you are a viewer";
    state.tried(1, Err(vec![refusal.into(), "hint: try it with sudo".into()]));
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains(refusal) && shown.contains("hint: try it with sudo"), "{shown}");
}

#[test]
fn help_and_explanations_lie_over_the_figures() {
    let mut state = state();
    type_in(&mut state, "?");
    let shown = screen(&mut state, 80, 24);
    for key in ["sort by", "pause", "filter", "names", "explain", "add the selected", "quit"] {
        assert!(shown.contains(key), "{key}: {shown}");
    }
    type_in(&mut state, "x");
    let Some(super::super::state::Action::Explain(number, ..)) = type_in(&mut state, "e") else {
        panic!()
    };
    assert!(screen(&mut state, 80, 24).contains("asking the daemon"));
    let lines = (0..60).map(|line| format!("line {line} \u{1b}[2J"));
    state.explained(number, lines.collect());
    let shown = screen(&mut state, 80, 24);
    assert!(shown.contains("203.0.113.7 to tcp/6379"), "{shown}");
    assert!(shown.contains("line 0 \\u{1b}[2J") && !shown.contains("line 30"), "{shown}");
    press(&mut state, &[KeyCode::Down; 30]);
    assert!(screen(&mut state, 80, 24).contains("line 30"));
}

#[test]
fn a_screen_of_any_size_is_drawn() {
    for (width, height) in
        [(40, 10), (20, 5), (10, 3), (2, 2), (1, 1), (0, 0), (66, 24), (300, 100)]
    {
        for keys in ["", "?", "/", "e", "a", "p", "n"] {
            let mut state = state();
            type_in(&mut state, keys);
            let shown = screen(&mut state, width, height);
            if (width, height) == (40, 10) && keys.is_empty() {
                assert!(shown.contains("redis") && shown.contains("203.0.113.7"), "{shown}");
            }
            for answer in [Err(vec!["no ".repeat(500)]), Ok((vec!["yes".into(); 50], Some(1)))] {
                press(&mut state, &[KeyCode::Enter]);
                state.tried(1, answer);
                screen(&mut state, width, height);
            }
        }
    }
}

#[test]
fn nothing_that_steers_a_terminal_is_drawn() {
    const STEERING: &str = "x\u{1b}]0;title\u{7}\u{9b}2J\u{202e}";
    let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    let mut state = state();
    state.news = Some(STEERING.into());
    state.trouble = Some(STEERING.into());
    for keys in ["", "/"] {
        type_in(&mut state, keys);
        state.filter.0 = STEERING.into();
        let shown = screen(&mut state, 200, 24);
        assert!(!shown.contains(steers), "{keys}: {shown:?}");
        // Escaped, and not just left out: what looks the same is not.
        let times = shown.matches("x\\u{1b}]0;title\\u{7}\\u{9b}2J\\u{202e}").count();
        assert_eq!(times, if keys.is_empty() { 3 } else { 4 }, "{keys}: {shown}");
    }
}

#[test]
fn there_are_colours_only_where_they_are_wanted() {
    for colours in [false, true] {
        let mut state = state();
        state.take(Err("gone".into()));
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(&mut state, Theme { colours }, frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        assert!(cells.iter().any(|cell| cell.modifier.contains(Modifier::BOLD)));
        let coloured = |cell: &Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
        assert_eq!(cells.iter().any(coloured), colours);
    }
}

#[test]
fn a_text_is_cut_where_it_does_not_fit_and_says_so() {
    let table = [
        ("redis", 5, "redis"),
        ("redis", 4, "red\u{2026}"),
        ("redis", 1, "\u{2026}"),
        ("B\u{fc}ro", 4, "B\u{fc}ro"),
        ("a\u{202e}b", 20, "a\\u{202e}b"),
    ];
    for (text, width, expected) in table {
        assert_eq!(fit(text, width), expected, "{text:?} {width}");
    }
    let table = [(-5, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (172_800, "2d")];
    for (seconds, expected) in table {
        assert_eq!(age(seconds), expected);
    }
}
