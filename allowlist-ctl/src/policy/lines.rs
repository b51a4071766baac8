//! Lists as text: an entry a line, behind it perhaps its end and a comment: `10.0.0.0/8 until=2026-12-01T00:00Z # VPN`.

use std::{num::NonZeroUsize, thread};

use jiff::Timestamp;

use super::{
    EntryKey,
    entry::{InvalidEntry, NewEntry, parse_comment, parse_each_key, parse_end},
};

/// From so many bytes on a list is read by several threads.
const LONG: usize = 1 << 20;

/// Stands between an entry and its end.
const UNTIL: &str = " until=";

/// A line that could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {number}: {error}")]
pub struct InvalidLine {
    /// The line's number, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub error: InvalidEntry,
}

/// Reads a list: empty lines and lines that are all comment say nothing.
///
/// # Errors
/// Every line that could not be read, in order.
pub fn parse(text: &str) -> Result<Vec<NewEntry>, Vec<InvalidLine>> {
    let text = text.trim_start_matches('\u{feff}');
    let parts = if text.len() < LONG {
        vec![Part::read(text)]
    } else {
        let readers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        read_parts(&divide(text, readers))
    };
    join(parts)
}

/// A part of a list as it was read.
#[derive(Default)]
struct Part {
    entries: Vec<NewEntry>,
    /// Numbered from the beginning of the part.
    invalid: Vec<InvalidLine>,
    lines: usize,
}

impl Part {
    fn read(text: &str) -> Self {
        let mut part = Self::default();
        for line in text.lines() {
            part.lines += 1;
            if let Err(error) = parse_line(line, &mut part.entries) {
                part.invalid.push(InvalidLine { number: part.lines, error });
            }
        }
        part
    }
}

/// Divides a text at ends of lines into at most so many parts of about one length.
fn divide(mut text: &str, parts: usize) -> Vec<&str> {
    let length = text.len().div_ceil(parts);
    let mut divided = Vec::with_capacity(parts);
    while let Some(end) = end_of_line(text, length) {
        let (part, rest) = text.split_at(end);
        divided.push(part);
        text = rest;
    }
    divided.push(text);
    divided
}

/// Behind the first end of a line from a byte on.
fn end_of_line(text: &str, from: usize) -> Option<usize> {
    let rest = text.as_bytes().get(from..)?;
    rest.iter().position(|byte| *byte == b'\n').map(|place| from + place + 1)
}

/// Reads parts side by side.
fn read_parts(parts: &[&str]) -> Vec<Part> {
    thread::scope(|scope| {
        let readers: Vec<_> = parts.iter().map(|part| scope.spawn(|| Part::read(part))).collect();
        let join = |reader: thread::ScopedJoinHandle<'_, Part>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        readers.into_iter().map(join).collect()
    })
}

fn join(parts: Vec<Part>) -> Result<Vec<NewEntry>, Vec<InvalidLine>> {
    let (mut entries, mut invalid, mut lines) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        if entries.is_empty() {
            entries = part.entries;
        } else {
            entries.extend(part.entries);
        }
        let numbered = |line: InvalidLine| InvalidLine { number: lines + line.number, ..line };
        invalid.extend(part.invalid.into_iter().map(numbered));
        lines += part.lines;
    }
    if invalid.is_empty() { Ok(entries) } else { Err(invalid) }
}

/// Reads a line, and puts its entries behind those that were read before; none where it cannot be read.
fn parse_line(line: &str, entries: &mut Vec<NewEntry>) -> Result<(), InvalidEntry> {
    let (entry, comment) = line.split_once('#').unwrap_or((line, ""));
    let entry = entry.trim();
    if entry.is_empty() {
        return Ok(());
    }
    let comment = parse_comment(comment)?;
    // Looking for a blank first is quicker, and most entries have none.
    let ending = entry.contains(' ').then(|| entry.split_once(UNTIL)).flatten();
    let (entry, expires_at) = match ending {
        Some((entry, end)) => (entry.trim_end(), Some(parse_end(end)?)),
        None => (entry, None),
    };
    parse_each_key(entry, |key| {
        entries.push(NewEntry { key, comment: comment.clone(), expires_at });
    })
}

/// The line of an entry, as [`parse`] reads it.
#[must_use]
pub fn line(key: &EntryKey, expires_at: Option<Timestamp>, comment: Option<&str>) -> String {
    let end = expires_at.map(|end| format!("{UNTIL}{end}")).unwrap_or_default();
    let comment = comment.map(|comment| format!(" # {comment}")).unwrap_or_default();
    format!("{key}{end}{comment}")
}

/// A list as a file has it that a group follows.
#[cfg(test)]
pub(crate) fn parse_of_file(text: &str) -> Vec<NewEntry> {
    let entries = parse(text).unwrap_or_default().into_iter();
    let of_file = |key: EntryKey| EntryKey { origin: super::Origin::File, ..key };
    entries.map(|new| NewEntry { key: of_file(new.key), ..new }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_its_comments() {
        let text = "\u{feff}# office\n10.0.0.0/8 # all of it \n\n!10.6.6.0/24\r\n  10.9.0.1-10.9.0.2#two\n";
        let entries = parse(text).unwrap();
        let shown: Vec<String> = entries
            .iter()
            .map(|entry| format!("{} {}", entry.key, entry.comment.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            shown,
            ["10.0.0.0/8 all of it", "!10.6.6.0/24 -", "10.9.0.1/32 two", "10.9.0.2/32 two"]
        );
    }

    #[test]
    fn a_line_is_read_as_it_is_written() {
        for text in [
            "10.0.0.0/8",
            "!10.6.6.0/24 # not these",
            "2001:db8::/32 until=2026-12-01T00:00:00Z",
            "10.0.0.7/32 until=2026-12-01T12:30:00Z # a visitor",
        ] {
            let [entry] = &parse(text).unwrap()[..] else { panic!("{text}") };
            assert_eq!(line(&entry.key, entry.expires_at, entry.comment.as_deref()), text);
        }
    }

    #[test]
    fn a_text_is_divided_at_ends_of_lines() {
        let table: &[(&str, usize, &[&str])] = &[
            ("", 2, &[""]),
            ("a\n", 2, &["a\n", ""]),
            ("a\nbb\nccc\n", 2, &["a\nbb\nccc\n", ""]),
            ("a\nbb\nccc\nd", 2, &["a\nbb\nccc\n", "d"]),
            ("ü\nü\nü", 3, &["ü\nü\n", "ü"]),
            ("one line", 4, &["one line"]),
        ];
        for (text, parts, expected) in table {
            assert_eq!(divide(text, *parts), *expected, "{text:?} in {parts}");
        }
    }

    #[test]
    fn a_long_list_is_read_as_a_short_one() {
        let line =
            |number: u32| format!("10.{}.{}.{}\n", number >> 16, number >> 8 & 255, number & 255);
        let mut text: String = (0..150_000).map(line).collect();
        assert!(text.len() > LONG);
        let read = parse(&text).unwrap();
        assert_eq!(read, Part::read(&text).entries);
        assert_eq!(read.len(), 150_000);
        text.push_str("nonsense\n");
        text.insert_str(0, "# bad lines\nnonsense\n");
        let numbers: Vec<usize> =
            parse(&text).unwrap_err().iter().map(|error| error.number).collect();
        assert_eq!(numbers, [2, 150_003]);
    }

    #[test]
    fn every_bad_line_is_named() {
        let errors = parse("10.0.0.1\nnonsense\n10.0.0.5/24\n").unwrap_err();
        let numbers: Vec<usize> = errors.iter().map(|error| error.number).collect();
        assert_eq!(numbers, [2, 3]);
        assert!(errors[1].to_string().starts_with("line 3: 10.0.0.5/24 has host bits set"));
    }
}
