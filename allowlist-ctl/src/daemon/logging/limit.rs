//! Warnings that come again and again: each place in the code that warns has some a minute, and the rest are counted.
//!
//! What warns need not think of how often it does, and whoever makes it happen cannot fill the log. Lines of changes
//! are no warnings, and all told.

use std::{
    collections::HashMap,
    fmt,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
    warn,
};
use tracing_subscriber::{Layer, layer::Context};

const WINDOW: Duration = Duration::from_mins(1);
/// So many warnings of a place are told in a minute.
const WARNINGS: u32 = 10;
/// What says how many more there were is not counted itself.
const MORE: &str = "allowlist::more";

/// The places that the log is kept from being filled by.
pub(super) static PLACES: LazyLock<Limit> = LazyLock::new(Limit::default);

/// What every place has warned of in its last minute.
#[derive(Default)]
pub(super) struct Limit(Mutex<HashMap<Identifier, Window>>);

struct Window {
    since: Instant,
    told: u32,
    /// Not told in this minute, and in those before that nobody has summed up.
    more: u64,
    before: u64,
    /// The last one that was told.
    message: String,
}

/// Warnings that were not told.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct More {
    /// How many.
    pub(super) count: u64,
    /// The last one before them.
    pub(super) message: String,
}

impl Limit {
    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a warning of a place is told now; else it is counted.
    fn takes(&self, place: Identifier, message: impl FnOnce() -> String, now: Instant) -> bool {
        let mut places = self.places();
        let new = || Window { since: now, told: 0, more: 0, before: 0, message: String::new() };
        let window = places.entry(place).or_insert_with(new);
        if now.duration_since(window.since) >= WINDOW {
            window.before += window.more;
            (window.since, window.told, window.more) = (now, 0, 0);
        }
        if window.told < WARNINGS {
            window.told += 1;
            if window.told == WARNINGS {
                window.message = message();
            }
            return true;
        }
        window.more += 1;
        false
    }

    /// What was not told in the minutes that are over, each told once.
    pub(super) fn over(&self, now: Instant) -> Vec<More> {
        let mut places = self.places();
        let is_over = |window: &Window| now.duration_since(window.since) >= WINDOW;
        let mut more: Vec<More> = places
            .values_mut()
            .filter_map(|window| {
                let count = std::mem::take(&mut window.before);
                let count =
                    if is_over(window) { count + std::mem::take(&mut window.more) } else { count };
                (count > 0).then(|| More { count, message: window.message.clone() })
            })
            .collect();
        places.retain(|_, window| !is_over(window));
        more.sort_by(|one, other| one.message.cmp(&other.message));
        more
    }

    /// What was not told, though the minutes are not over.
    pub(super) fn all(&self) -> Vec<More> {
        self.over(Instant::now() + WINDOW)
    }
}

/// Says how many more there were.
pub(super) fn tell(all: Vec<More>) {
    for More { count, message } in all {
        warn!(target: MORE, more = count, "{count} more within a minute like this one: {message}");
    }
}

/// Lets through what is told.
pub(super) struct Limited<'a>(pub(super) &'a Limit);

impl<S: Subscriber> Layer<S> for Limited<'static> {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        !is_counted(event.metadata())
            || self.0.takes(event.metadata().callsite(), || message(event), Instant::now())
    }
}

fn is_counted(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN && metadata.target() != MORE
}

/// What an event says.
fn message(event: &Event<'_>) -> String {
    struct Message(String);

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }

    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use tracing::{error, info, subscriber::with_default};
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// How many lines say this.
    fn count(lines: &Lines, said: &str) -> usize {
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(said)).count()
    }

    #[test]
    fn each_place_has_ten_warnings_a_minute_and_the_rest_are_summed_up() {
        static LIMIT: LazyLock<Limit> = LazyLock::new(Limit::default);
        let lines = Lines::default();
        let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone());
        with_default(registry().with(Limited(&LIMIT)).with(log), || {
            for n in 1..=25 {
                warn!(n, "one: {n}");
                error!("two");
                info!("three");
                if n <= 10 {
                    warn!("four");
                }
            }
            for (said, expected) in [("one", 10), ("two", 10), ("three", 25), ("four", 10)] {
                assert_eq!(count(&lines, said), expected, "{said}");
            }
            assert_eq!(LIMIT.over(Instant::now()), []);
            let begin = Instant::now();
            tell(LIMIT.all());
            tell(LIMIT.all());
            for said in [
                "15 more within a minute like this one: one: 10",
                "15 more within a minute like this one: two",
            ] {
                assert_eq!(count(&lines, said), 1, "{said}");
            }
            assert_eq!(count(&lines, "like this one"), 2);
            assert!(begin.elapsed() < WINDOW, "the machine slept");
            // A new minute.
            for _ in 0..12 {
                warn!("five");
            }
            assert_eq!(count(&lines, "five"), 10);
        });
    }

    #[test]
    fn what_is_not_summed_up_in_time_is_not_lost() {
        let limit = Limit::default();
        let place = tracing::callsite::Identifier(&PLACE);
        let start = Instant::now();
        let warnings = |count: usize, after: u64| {
            let now = start + Duration::from_secs(after);
            let takes = |_: &usize| limit.takes(place.clone(), || format!("at {after}"), now);
            (0..count).filter(takes).count()
        };
        let over = |after| limit.over(start + Duration::from_secs(after));
        let more = |count, message: &str| vec![More { count, message: message.into() }];
        assert_eq!(warnings(13, 0), 10);
        assert_eq!(warnings(4, 59), 0);
        assert_eq!(over(59), []);
        // The next minute begins before anybody has asked for the first one.
        assert_eq!(warnings(11, 60), 10);
        assert_eq!(over(61), more(7, "at 60"));
        assert_eq!(over(62), []);
        assert_eq!(over(120), more(1, "at 60"));
        assert_eq!(over(180), []);
        assert_eq!(warnings(11, 200), 10);
    }

    struct Place;

    static PLACE: Place = Place;

    impl tracing::Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("nobody asks")
        }
    }
}
