//! Spans of time and moments as they are typed.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil::DateTime};

use crate::policy::entry::whole_seconds;

/// An entry may end so many days from now at most: about a hundred years.
const LONGEST_END: i64 = 36_525;
/// A change may wait so many days to be confirmed at most.
const LONGEST_CONFIRM: i64 = 7;
/// Packets may be watched for so many days at most.
const LONGEST_WATCH: i64 = 7;

/// A text that is no span of time, or no moment, of those that are wanted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum InvalidTime {
    /// Not a span of time.
    #[error("'{0}' is not a span of time: write it like 90s, 2h30m, 7d or 4w")]
    Span(String),
    /// Months and years.
    #[error("'{0}' has months or years, which differ in length: write days, such as 30d")]
    Calendar(String),
    /// Nothing, or less.
    #[error("'{0}' is no time at all: write a span that lasts, such as 2h30m")]
    Nothing(String),
    /// An end that is too far away.
    #[error("'{0}' is more than 100 years away: an entry without an end is there for good")]
    TooFar(String),
    /// A moment that has been.
    #[error("'{text}' lies in the past: write a time to come, such as {example}")]
    Past {
        /// What was written.
        text: String,
        /// What would be right.
        example: Timestamp,
    },
    /// A time without an offset.
    #[error(
        "'{text}' does not say of which time zone it is: write {local}Z for UTC, or its offset as in {local}+01:00"
    )]
    Local {
        /// What was written.
        text: String,
        /// The same in full.
        local: DateTime,
    },
    /// Not a moment.
    #[error("'{0}' is not a time: write it as 2026-12-01T00:00Z")]
    Moment(String),
    /// A time to confirm a change in that is too short or too long.
    #[error("'{0}' is no time to confirm in: write 1s to {LONGEST_CONFIRM}d, such as 60s or 5m")]
    Confirm(String),
    /// A time to watch for that is too short or too long.
    #[error("'{0}' is no time to watch for: write 1s to {LONGEST_WATCH}d, such as 60s or 10m")]
    Watch(String),
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Reads a span of time longer than none, in days of 24 hours.
fn span(text: &str) -> Result<SignedDuration, InvalidTime> {
    let span: Span = text.trim().parse().map_err(|_| InvalidTime::Span(shown(text)))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(InvalidTime::Calendar(shown(text)));
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let duration = duration.map_err(|_| InvalidTime::Span(shown(text)))?;
    if duration > SignedDuration::ZERO {
        Ok(duration)
    } else {
        Err(InvalidTime::Nothing(shown(text)))
    }
}

/// When an entry ends that is to last for a span of time, whole seconds rounded up.
///
/// # Errors
/// [`InvalidTime`]
pub(super) fn end_after(text: &str, now: Timestamp) -> Result<Timestamp, InvalidTime> {
    let span = span(text)?;
    let too_far = || InvalidTime::TooFar(shown(text));
    if span > days(LONGEST_END) {
        return Err(too_far());
    }
    now.checked_add(span).ok().map(whole_seconds).ok_or_else(too_far)
}

/// When an entry ends that is to last until a moment (RFC 3339, seconds may be left out), whole seconds rounded up.
///
/// # Errors
/// [`InvalidTime`]
pub(super) fn end_at(text: &str, now: Timestamp) -> Result<Timestamp, InvalidTime> {
    let written = text.trim();
    let Ok(end) = written.parse::<Timestamp>() else {
        return Err(match written.parse::<DateTime>() {
            Ok(local) => InvalidTime::Local { text: shown(text), local },
            Err(_) => InvalidTime::Moment(shown(text)),
        });
    };
    if end <= now {
        let tomorrow = now.checked_add(days(1)).unwrap_or(Timestamp::MAX);
        let example = Timestamp::from_second(tomorrow.as_second()).unwrap_or(tomorrow);
        return Err(InvalidTime::Past { text: shown(text), example });
    }
    let latest = now.checked_add(days(LONGEST_END)).unwrap_or(Timestamp::MAX);
    let end = Some(end).filter(|end| *end <= latest).map(whole_seconds);
    end.ok_or_else(|| InvalidTime::TooFar(shown(text)))
}

/// The moment that lies a span of time before now.
///
/// # Errors
/// [`InvalidTime`]
pub(super) fn before(text: &str, now: Timestamp) -> Result<Timestamp, InvalidTime> {
    let span = span(text)?;
    // What lies before all time has everything behind it.
    Ok(now.checked_sub(span).unwrap_or(Timestamp::MIN))
}

/// Reads in how many seconds a change is to be confirmed.
///
/// # Errors
/// [`InvalidTime`]
pub(super) fn confirm(text: &str) -> Result<u64, InvalidTime> {
    seconds(text, LONGEST_CONFIRM, InvalidTime::Confirm)
}

/// Reads for how many seconds packets are to be watched.
///
/// # Errors
/// [`InvalidTime`]
pub(super) fn watching(text: &str) -> Result<u64, InvalidTime> {
    seconds(text, LONGEST_WATCH, InvalidTime::Watch)
}

/// Reads a span of a second to so many days, in whole seconds rounded up.
fn seconds(text: &str, longest: i64, wrong: fn(String) -> InvalidTime) -> Result<u64, InvalidTime> {
    let span = span(text)?;
    if span < SignedDuration::from_secs(1) || span > days(longest) {
        return Err(wrong(shown(text)));
    }
    let whole = span.as_secs() + i64::from(span.subsec_nanos() > 0);
    u64::try_from(whole).map_err(|_| wrong(shown(text)))
}

const fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T02:00:00.25Z";

    fn told(end: Result<Timestamp, InvalidTime>) -> String {
        end.map_or_else(|error| error.to_string(), |end| end.to_string())
    }

    #[test]
    fn an_entry_lasts_for_a_span_or_until_a_moment() {
        let now = NOW.parse().unwrap();
        let table = [
            ("2h30m", "2026-11-22T04:30:01Z"),
            ("90s", "2026-11-22T02:01:31Z"),
            ("750ms", "2026-11-22T02:00:01Z"),
            ("1 day 2 hours", "2026-11-23T04:00:01Z"),
            ("2w", "2026-12-06T02:00:01Z"),
            ("36525d", "2126-11-23T02:00:01Z"),
        ];
        for (text, expected) in table {
            assert_eq!(told(end_after(text, now)), expected, "{text}");
        }
        let table = [
            ("2026-12-01T00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-01T00:00:30Z", "2026-12-01T00:00:30Z"),
            ("2026-12-01T00:00:30.5Z", "2026-12-01T00:00:31Z"),
            ("2026-12-01T00:00+01:00", "2026-11-30T23:00:00Z"),
            ("2026-12-01 00:00-08:00", "2026-12-01T08:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(told(end_at(text, now)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_end_is_said_with_what_would_be_right() {
        let now = NOW.parse().unwrap();
        let is_past = |text| matches!(end_at(text, now), Err(InvalidTime::Past { .. }));
        assert!(is_past(NOW) && !is_past("2026-11-22T02:00:00.250000001Z"));
        for text in ["", "60", "soon", "2x", "1h 1d"] {
            let error = end_after(text, now).unwrap_err();
            assert_eq!(error, InvalidTime::Span(text.to_owned()), "{text}");
        }
        let table = [
            ("1mo", "'1mo' has months or years, which differ in length: write days, such as 30d"),
            ("2y", "'2y' has months or years, which differ in length: write days, such as 30d"),
            ("0s", "'0s' is no time at all: write a span that lasts, such as 2h30m"),
            ("-1h", "'-1h' is no time at all: write a span that lasts, such as 2h30m"),
            ("1h ago", "'1h ago' is no time at all: write a span that lasts, such as 2h30m"),
            (
                "36526d",
                "'36526d' is more than 100 years away: an entry without an end is there for good",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(told(end_after(text, now)), expected, "{text}");
        }
        let table = [
            (
                "2026-12-01T00:00",
                "'2026-12-01T00:00' does not say of which time zone it is: write \
                 2026-12-01T00:00:00Z for UTC, or its offset as in 2026-12-01T00:00:00+01:00",
            ),
            (
                "2026-12-01",
                "'2026-12-01' does not say of which time zone it is: write \
                 2026-12-01T00:00:00Z for UTC, or its offset as in 2026-12-01T00:00:00+01:00",
            ),
            ("tomorrow", "'tomorrow' is not a time: write it as 2026-12-01T00:00Z"),
            (
                "2026-13-01T00:00Z",
                "'2026-13-01T00:00Z' is not a time: write it as 2026-12-01T00:00Z",
            ),
            (
                "2026-11-22T02:00Z",
                "'2026-11-22T02:00Z' lies in the past: write a time to come, such as 2026-11-23T02:00:00Z",
            ),
            (
                "2127-01-01T00:00Z",
                "'2127-01-01T00:00Z' is more than 100 years away: an entry without an end is there for good",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(told(end_at(text, now)), expected, "{text}");
        }
    }

    #[test]
    fn a_change_is_confirmed_within_a_second_to_a_week() {
        for (text, seconds) in [("1s", 1), ("60s", 60), ("5m", 300), ("1500ms", 2), ("7d", 604_800)]
        {
            assert_eq!(confirm(text), Ok(seconds), "{text}");
        }
        for text in ["999ms", "7d 1s", "2w"] {
            assert_eq!(confirm(text), Err(InvalidTime::Confirm(text.to_owned())), "{text}");
        }
        for text in ["59s 999ms", "7d"] {
            assert_eq!(watching(text), confirm(text), "{text}");
        }
        assert_eq!(watching("8d"), Err(InvalidTime::Watch("8d".to_owned())));
        for text in ["60", "0s", "1mo", "-5m"] {
            assert!(confirm(text).is_err(), "{text}");
        }
    }
}
