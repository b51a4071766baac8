use std::time::Duration;

use super::*;
use crate::cli::top::{
    dialog::Step,
    testing::{drops, press, sample, service, state, time, type_in},
};

fn shown(state: &State) -> (Vec<String>, Vec<String>) {
    let services = state.services().iter().map(|service| service.name.to_string()).collect();
    let address = |source: &&Source| source.key.source.unwrap().to_string();
    (services, state.sources().iter().map(address).collect())
}

fn selected(state: &State) -> String {
    state.sources()[state.position(&state.sources())].key.source.unwrap().to_string()
}

#[test]
fn keys_that_end_end() {
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    for key in [plain(KeyCode::Char('q')), plain(KeyCode::Esc), control('c')] {
        assert_eq!(state().key(key), Some(Action::Quit), "{key:?}");
    }
    // Over whatever lies on the screen, Ctrl-C does; the others go back.
    for over in ["?", "/", "e", "a"] {
        let mut state = state();
        type_in(&mut state, over);
        assert!(state.overlay.is_some(), "{over}");
        assert_eq!(state.key(control('c')), Some(Action::Quit), "{over}");
        assert_eq!(press(&mut state, &[KeyCode::Esc]), None, "{over}");
        assert_eq!(state.overlay, None, "{over}");
    }
    let released =
        KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release);
    assert_eq!(state().key(released), None);
}

#[test]
fn a_filter_applies_to_services_and_sources() {
    let table: [(&str, &[&str], &[&str]); 5] = [
        ("", &["redis", "web"], &["203.0.113.7", "2001:db8::77", "198.51.100.20"]),
        ("REDIS", &["redis"], &["203.0.113.7", "2001:db8::77"]),
        ("web", &["web"], &["198.51.100.20"]),
        ("db8", &[], &["2001:db8::77"]),
        ("tcp/6379", &[], &["203.0.113.7", "2001:db8::77", "198.51.100.20"]),
    ];
    for (filter, services, sources) in table {
        let mut state = state();
        type_in(&mut state, "/");
        type_in(&mut state, filter);
        press(&mut state, &[KeyCode::Enter]);
        let (found_services, found_sources) = shown(&state);
        assert_eq!(found_services, services, "{filter}");
        assert_eq!(found_sources, sources, "{filter}");
        assert_eq!(press(&mut state, &[KeyCode::Esc]).is_some(), filter.is_empty(), "{filter}");
        assert_eq!(shown(&state).1.len(), 3, "{filter}: Esc shows all");
    }
    let mut state = state();
    type_in(&mut state, "/web");
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!(shown(&state).0, ["redis", "web"]);
}

#[test]
fn figures_stay_while_it_is_paused() {
    let mut state = state();
    let later = state.moment + Duration::from_secs(1);
    let next = |at: Instant| sample(at, 0, &[service("redis", "closed", 0, 5000)], &[], 0);
    type_in(&mut state, "p");
    state.take(Ok(next(later)));
    assert_eq!(shown(&state).0, ["redis", "web"]);
    type_in(&mut state, "p");
    state.take(Ok(next(later + Duration::from_secs(1))));
    assert_eq!(shown(&state).0, ["redis"]);
    // Over the time that it was paused.
    assert_eq!(state.figures.services[0].denied.rate, Some((5000.0 - 1020.0) / 2.0));
}

#[test]
fn the_selection_stays_with_its_source() {
    let mut state = state();
    state.page = 2;
    assert_eq!(selected(&state), "203.0.113.7");
    let table = [
        (KeyCode::Up, "203.0.113.7"),
        (KeyCode::Down, "2001:db8::77"),
        (KeyCode::Char('s'), "2001:db8::77"),
        (KeyCode::End, "198.51.100.20"),
        (KeyCode::Down, "198.51.100.20"),
        (KeyCode::Home, "2001:db8::77"),
        (KeyCode::PageDown, "198.51.100.20"),
        (KeyCode::PageUp, "2001:db8::77"),
    ];
    for (key, expected) in table {
        press(&mut state, &[key]);
        assert_eq!(selected(&state), expected, "{key:?}");
    }
    let other = [drops("192.0.2.1", "web", 1, 0)];
    state.take(Ok(sample(state.moment, 2000, &[], &other, 0)));
    assert_eq!(selected(&state), "192.0.2.1", "the first one where it is gone");
    state.take(Ok(sample(state.moment, 3000, &[], &[], 0)));
    for key in ["e", "a"] {
        assert_eq!(type_in(&mut state, key), None, "there is nothing to {key}");
        assert_eq!(state.overlay, None);
    }
    press(&mut state, &[KeyCode::Down, KeyCode::End, KeyCode::PageUp]);
}

#[test]
fn an_explanation_is_asked_for_and_a_late_answer_to_another_question_is_dropped() {
    let mut state = state();
    let asked = type_in(&mut state, "e");
    let Some(Action::Explain(number, source, port)) = asked else { panic!("{asked:?}") };
    assert_eq!(
        (source.to_string(), port.unwrap().to_string()),
        ("203.0.113.7".into(), "tcp/6379".into())
    );
    press(&mut state, &[KeyCode::Esc, KeyCode::Down]);
    let Some(Action::Explain(again, ..)) = press(&mut state, &[KeyCode::Enter]) else { panic!() };
    state.explained(number, vec!["too late".into()]);
    assert!(matches!(&state.overlay, Some(Overlay::Explanation { lines: None, .. })));
    state.explained(again, vec!["a".into(), "b".into()]);
    for (key, from) in [(KeyCode::Up, 0), (KeyCode::Down, 1), (KeyCode::Down, 1)] {
        press(&mut state, &[key]);
        let Some(Overlay::Explanation { lines: Some(_), from: found, .. }) = &state.overlay else {
            panic!("{:?}", state.overlay)
        };
        assert_eq!(*found, from, "{key:?}");
    }
}

#[test]
fn an_addition_is_tried_shown_and_done() {
    let mut state = state();
    type_in(&mut state, "a");
    type_in(&mut state, "office q");
    let tried = press(&mut state, &[KeyCode::Enter]);
    let Some(Action::Try(number, addition)) = tried else { panic!("{tried:?}") };
    let command = "allowlist-ctl add redis 203.0.113.7 --comment 'office q'";
    assert_eq!(addition.command(), command);
    state.tried(number - 1, Err(vec!["of another one".into()]));
    assert_eq!(type_in(&mut state, "y"), None, "there is no answer yet");
    state.tried(number, Ok((vec!["Would change".into()], Some(12))));
    let done = type_in(&mut state, "y");
    let Some(Action::Do(number, added, 12)) = done else { panic!("{done:?}") };
    assert_eq!(added, addition);
    state.done(number, Err(vec!["refused".into()]));
    let Some(Overlay::Add(dialog)) = &state.overlay else { panic!() };
    assert_eq!(dialog.step, Step::Refused(vec!["refused".into()]));
}

#[test]
fn names_are_asked_for_only_where_they_are_wanted_and_on_the_screen() {
    let mut state = state();
    let address: IpAddr = "203.0.113.7".parse().unwrap();
    state.visible = [address].into();
    assert!(state.nameless().is_empty());
    type_in(&mut state, "n");
    assert_eq!(state.nameless(), [address]);
    state.names.asked(address, state.moment);
    assert!(state.nameless().is_empty());
    state.names.found(address, Some("Client.example".into()));
    type_in(&mut state, "/client");
    assert_eq!(shown(&state).1, ["203.0.113.7"]);
}

#[test]
fn a_daemon_that_is_gone_or_silent_is_complained_of_until_it_is_back() {
    let mut state = state();
    assert_eq!(state.complaint(), None);
    state.moment += Duration::from_secs(SILENCE - 1);
    assert_eq!(state.complaint(), None);
    state.moment += Duration::from_secs(1);
    assert_eq!(state.complaint().unwrap(), "no answer from the daemon for 3 s");
    state.take(Err("no daemon answers at /s".into()));
    assert_eq!(state.complaint().unwrap(), "no daemon answers at /s; its last answer was 3 s ago");
    // Also while it is paused.
    type_in(&mut state, "p");
    state.take(Ok(sample(state.moment, 0, &[], &[], 0)));
    assert_eq!(state.complaint(), None);
    assert_eq!(State::new(time(), Instant::now()).complaint(), None);
}
