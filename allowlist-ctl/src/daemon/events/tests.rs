use std::{future::poll_fn, pin::pin};

use serde_json::{Value, json};
use tokio::task::unconstrained;
use tokio_stream::StreamExt as _;

use super::*;
use crate::policy::Author;

fn change(revision: u64) -> ChangeEvent {
    ChangeEvent {
        revision,
        time: "2026-11-22T02:00:00Z".parse().unwrap(),
        author: Author { uid: 0, name: "root".into() },
        action: "add".into(),
        subjects: ["redis".to_owned()].into(),
        message: None,
        state: crate::api::ChangeState::Done,
    }
}

fn packet(length: u32) -> DroppedPacket {
    serde_json::from_value(json!({
        "time": "2026-11-22T02:00:00Z", "source": "203.0.113.7", "service": "redis",
        "port": "tcp/6379", "interface": "eth0", "length": length, "reason": "denied"
    }))
    .unwrap()
}

fn interface(name: &str, state: &str, put_back: u64) -> InterfaceStatus {
    serde_json::from_value(json!({ "name": name, "state": state, "put_back": put_back })).unwrap()
}

/// The next event that is there already: its name and what it tells; a comment has neither.
fn next(following: &mut Following) -> Option<(String, Value)> {
    let mut context = Context::from_waker(std::task::Waker::noop());
    // Tokio would have a task that reads so much at once make way for others.
    let event = unconstrained(poll_fn(|context| Pin::new(&mut *following).poll_next(context)));
    let Poll::Ready(Some(Ok(frame))) = pin!(event).poll(&mut context) else { return None };
    let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
    let text = text.strip_suffix("\n\n").unwrap();
    let Some((name, data)) = text.split_once('\n') else {
        assert!(text.starts_with(": "), "{text}");
        return Some((String::new(), Value::Null));
    };
    let name = name.strip_prefix("event: ").unwrap().to_owned();
    Some((name, serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()))
}

fn names(following: &mut Following) -> Vec<String> {
    std::iter::from_fn(|| next(following)).map(|(name, _)| name).collect()
}

#[tokio::test]
async fn a_reader_is_told_of_the_kinds_that_it_asks_for() {
    let broadcast = Broadcast::new();
    let table: [(&str, &[&str]); 4] = [
        ("drop", &["", "drop", "lost"]),
        ("change", &["", "change"]),
        ("interface", &["", "interface"]),
        ("drop,change,interface", &["", "interface", "change", "drop", "lost"]),
    ];
    let mut readers = table.map(|(only, _)| broadcast.follow(&only.parse().unwrap()));
    broadcast.dropped(&packet(60));
    broadcast.lost_drops(0);
    broadcast.lost_drops(7);
    broadcast.changed(&change(7));
    broadcast.interfaces(&[], &[interface("eth0", "attached", 0)]);
    for ((only, expected), reader) in table.iter().zip(&mut readers) {
        assert_eq!(names(reader), *expected, "{only}");
        assert_eq!(next(reader), None, "{only}");
    }
}

#[tokio::test]
async fn events_are_told_as_documents() {
    let broadcast = Broadcast::new();
    let mut reader = broadcast.follow(&EventKinds::default());
    next(&mut reader);
    broadcast.changed(&change(8));
    assert_eq!(next(&mut reader), Some(("change".into(), json!(change(8)))));
    broadcast.dropped(&packet(61));
    assert_eq!(next(&mut reader), Some(("drop".into(), json!(packet(61)))));
    broadcast.lost_drops(3);
    assert_eq!(next(&mut reader), Some(("lost".into(), json!({ "events": 3 }))));
}

#[tokio::test]
async fn a_slow_reader_is_told_how_many_it_missed_and_others_miss_none() {
    const MORE: u32 = 100;
    let broadcast = Broadcast::new();
    let [mut slow, mut quick] = [(); 2].map(|()| broadcast.follow(&EventKinds::default()));
    let (_, _) = (next(&mut slow), next(&mut quick));
    let kept = u32::try_from(BEHIND).unwrap();
    // Changes are kept however many drops there are.
    broadcast.changed(&change(1));
    for length in 0..kept + MORE {
        broadcast.dropped(&packet(length));
        let told = std::iter::from_fn(|| next(&mut quick)).last().unwrap();
        assert_eq!(told, ("drop".into(), json!(packet(length))));
    }
    assert_eq!(next(&mut slow).unwrap().0, "change");
    assert_eq!(next(&mut slow), Some(("lost".into(), json!({ "events": MORE }))));
    assert_eq!(next(&mut slow), Some(("drop".into(), json!(packet(MORE)))));
    assert_eq!(names(&mut slow).len(), BEHIND - 1);
}

#[tokio::test]
async fn an_event_is_written_once_and_only_where_somebody_follows() {
    /// Counts how often it is written.
    struct Counted(std::cell::Cell<usize>);
    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            serializer.serialize_unit()
        }
    }
    let (broadcast, counted) = (Broadcast::new(), Counted(0.into()));
    let tell = || broadcast.tell(EventKind::Drop, "drop", &counted);
    tell();
    let other = broadcast.follow(&"change".parse().unwrap());
    tell();
    assert_eq!(counted.0.get(), 0, "nobody follows drops");
    let mut readers = [(); 3].map(|()| broadcast.follow(&"drop".parse().unwrap()));
    tell();
    assert_eq!(counted.0.get(), 1, "three follow drops");
    for reader in &mut readers {
        assert_eq!(names(reader), ["", "drop"]);
    }
    drop((readers, other));
    tell();
    assert_eq!(counted.0.get(), 1, "they are gone");
}

#[tokio::test]
async fn streams_end_with_the_daemon_and_what_was_told_before_arrives() {
    let broadcast = Broadcast::new();
    let mut reader = broadcast.follow(&EventKinds::default());
    broadcast.changed(&change(1));
    broadcast.end();
    broadcast.changed(&change(2));
    let told: Vec<_> = (&mut reader).collect().await;
    assert_eq!(told.len(), 2, "a comment and the first change: {told:?}");
    assert_eq!(broadcast.follow(&EventKinds::default()).collect::<Vec<_>>().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_is_told_carries_comments() {
    let broadcast = Broadcast::new();
    let mut reader = broadcast.follow(&EventKinds::default());
    assert_eq!(names(&mut reader), [""]);
    tokio::time::advance(BEAT.saturating_sub(Duration::from_millis(1))).await;
    assert_eq!(next(&mut reader), None, "not yet");
    tokio::time::advance(Duration::from_millis(2)).await;
    assert_eq!(next(&mut reader), Some((String::new(), Value::Null)));
    assert_eq!(next(&mut reader), None);
    broadcast.changed(&change(1));
    assert_eq!(names(&mut reader), ["change"]);
    tokio::time::advance(BEAT).await;
    assert_eq!(next(&mut reader), None, "it was told something since the last beat");
    tokio::time::advance(BEAT).await;
    assert_eq!(names(&mut reader), [""]);
}

#[test]
fn interfaces_that_fare_otherwise_are_told_of() {
    let attached = interface("eth0", "attached", 0);
    let gone = InterfaceStatus {
        reason: Some("nothing names it any more".into()),
        ..interface("eth0", "detached", 0)
    };
    let table = [
        ("nothing new", vec![attached.clone()], vec![attached.clone()], vec![]),
        ("a new one", vec![], vec![attached.clone()], vec![attached.clone()]),
        (
            "put back",
            vec![attached.clone()],
            vec![interface("eth0", "attached", 1)],
            vec![interface("eth0", "attached", 1)],
        ),
        (
            "missing",
            vec![attached.clone()],
            vec![interface("eth0", "missing", 0)],
            vec![interface("eth0", "missing", 0)],
        ),
        ("named no more", vec![attached], vec![], vec![gone]),
    ];
    for (description, before, now, expected) in table {
        assert_eq!(differing(&before, &now), expected, "{description}");
    }
}
