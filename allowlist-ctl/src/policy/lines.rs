//! Lists as text: an entry a line, behind it perhaps its end and a comment: `10.0.0.0/8 until=2026-12-01T00:00Z # VPN`.

use jiff::Timestamp;

use super::{
    EntryKey,
    entry::{InvalidEntry, NewEntry, parse_comment, parse_end, parse_keys},
};

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
    let mut entries = Vec::new();
    let mut invalid = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        match parse_line(line) {
            Ok(found) => entries.extend(found),
            Err(error) => invalid.push(InvalidLine { number: index + 1, error }),
        }
    }
    if invalid.is_empty() { Ok(entries) } else { Err(invalid) }
}

fn parse_line(line: &str) -> Result<Vec<NewEntry>, InvalidEntry> {
    let (entry, comment) = line.split_once('#').unwrap_or((line, ""));
    let entry = entry.trim();
    if entry.is_empty() {
        return Ok(Vec::new());
    }
    let comment = parse_comment(comment)?;
    let (entry, expires_at) = match entry.split_once(UNTIL) {
        Some((entry, end)) => (entry.trim_end(), Some(parse_end(end)?)),
        None => (entry, None),
    };
    let keys = parse_keys(entry)?;
    Ok(keys.into_iter().map(|key| NewEntry { key, comment: comment.clone(), expires_at }).collect())
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
    fn every_bad_line_is_named() {
        let errors = parse("10.0.0.1\nnonsense\n10.0.0.5/24\n").unwrap_err();
        let numbers: Vec<usize> = errors.iter().map(|error| error.number).collect();
        assert_eq!(numbers, [2, 3]);
        assert!(errors[1].to_string().starts_with("line 3: 10.0.0.5/24 has host bits set"));
    }
}
