//! Changes and attach state, a line each.

use jiff::Timestamp;

use crate::{
    api::{ChangeEvent, ChangeState, InterfaceState, InterfaceStatus, LostEvents},
    cli::{console::clean, error::Error, events::Event},
};

/// What an event says, in a line; none where this version does not know it.
///
/// # Errors
/// [`Error::Unreadable`]
pub(super) fn news(event: &Event, now: Timestamp) -> Result<Option<String>, Error> {
    let line = match event.name.as_str() {
        "change" => changed(&event.document()?),
        "interface" => interface(&event.document()?, now),
        "lost" => {
            let LostEvents { events } = event.document()?;
            format!("{} {events} events came too fast to be told", time(now))
        }
        _ => return Ok(None),
    };
    Ok(Some(clean(&line).into_owned()))
}

fn changed(change: &ChangeEvent) -> String {
    let ChangeEvent { revision, author, action, subjects, message, state, .. } = change;
    let what = message.clone().unwrap_or_else(|| {
        subjects.iter().fold(action.clone(), |what, subject| what + " " + subject)
    });
    let state = match state {
        ChangeState::Done => "",
        ChangeState::Pending => ", to be confirmed",
        ChangeState::Confirmed => ", kept",
        ChangeState::Reverted => ", taken back",
    };
    format!("{} {}: {what} (revision {revision}{state})", time(change.time), author.name)
}

fn interface(status: &InterfaceStatus, now: Timestamp) -> String {
    let state = match (status.state, &status.mode) {
        (InterfaceState::Attached, Some(mode)) => format!("attached, {mode}"),
        (InterfaceState::Attached, None) => "attached".to_owned(),
        (InterfaceState::Missing, _) => "NOT THERE".to_owned(),
        (InterfaceState::Failed, _) => "NOT ATTACHED".to_owned(),
        (InterfaceState::Detached, _) => "DETACHED".to_owned(),
    };
    let why = status.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {} {state}{why}", time(now), status.name)
}

fn time(moment: Timestamp) -> impl std::fmt::Display {
    moment.strftime("%H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let change = |fields: &str| {
            format!(
                r#"{{"revision":7,"time":"2026-11-22T02:00:00Z","author":{{"uid":0,"name":"root"}},"action":"add","subjects":["redis"],{fields}}}"#
            )
        };
        let interface = |fields: &str| format!(r#"{{"name":"eth0",{fields}}}"#);
        let table = [
            ("change", change(r#""state":"done""#), "02:00:00Z root: add redis (revision 7)"),
            (
                "change",
                change(r#""state":"pending","message":"mode redis monitor""#),
                "02:00:00Z root: mode redis monitor (revision 7, to be confirmed)",
            ),
            (
                "change",
                change(r#""state":"reverted","message":"\u001b[2J""#),
                "02:00:00Z root: \\u{1b}[2J (revision 7, taken back)",
            ),
            (
                "interface",
                interface(r#""state":"attached","mode":"native""#),
                "03:00:00Z eth0 attached, native",
            ),
            (
                "interface",
                interface(r#""state":"failed","reason":"it is busy""#),
                "03:00:00Z eth0 NOT ATTACHED: it is busy",
            ),
            ("lost", r#"{"events":12}"#.into(), "03:00:00Z 12 events came too fast to be told"),
            ("later", "?".into(), ""),
        ];
        let now = "2026-11-22T03:00:00Z".parse().unwrap();
        for (name, data, expected) in table {
            let event = Event { name: name.into(), data };
            assert_eq!(news(&event, now).unwrap().unwrap_or_default(), expected, "{event:?}");
        }
        let unreadable = Event { name: "change".into(), data: "{}".into() };
        assert!(matches!(news(&unreadable, now), Err(Error::Unreadable(_))));
    }
}
