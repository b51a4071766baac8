//! What differs between two policies, a line each.

use std::io::{self, Write};

use super::{count, destination, join};
use crate::{
    api::{Difference, Differences},
    cli::console::{Paint, Style, clean},
    policy::{
        difference::{EntryTerms, GroupTerms, ServiceTerms},
        service::{Action, Mode, WhenEmpty},
    },
};

/// Writes what differs.
///
/// # Errors
/// What `out` answers.
pub(super) fn differences(
    differences: &Differences,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let Differences { items, omitted } = differences;
    for item in items {
        let (mark, style, text) = line(item);
        writeln!(out, "{}", paint.paint(style, &format!("{mark} {}", clean(&text))))?;
    }
    match omitted {
        0 => Ok(()),
        more => writeln!(out, "... and {}", count(*more, "more entry", "more entries")),
    }
}

/// What differs in one line, the first few of it.
pub(super) fn in_short(differences: &Differences, told: usize) -> String {
    let Differences { items, omitted } = differences;
    let lines = items.iter().take(told).map(|item| {
        let (mark, _, text) = line(item);
        format!("{mark} {text}")
    });
    let lines = join(lines, "; ");
    match items.len().saturating_sub(told) + omitted {
        0 => lines,
        more => format!("{lines} and {more} more"),
    }
}

fn line(difference: &Difference) -> (char, Style, String) {
    match difference {
        Difference::Service { name, before, after } => {
            told(&format!("service {name}"), before.as_ref(), after.as_ref())
        }
        Difference::Group { name, before, after } => {
            told(&format!("group {name}"), before.as_ref(), after.as_ref())
        }
        Difference::Entry { list, entry, before, after, .. } => {
            told(&format!("{list} {entry}"), before.as_ref(), after.as_ref())
        }
    }
}

/// Something that comes, goes or changes.
fn told<T: Terms>(what: &str, before: Option<&T>, after: Option<&T>) -> (char, Style, String) {
    match (before, after) {
        (Some(before), Some(after)) => {
            let changes = before.facts().into_iter().zip(after.facts());
            let changes = changes.filter(|(before, after)| before.value != after.value);
            let changes = changes.map(|(before, after)| {
                format!("{} {} -> {}", before.name, before.value, after.value)
            });
            let changes = join(changes, ", ");
            // Who added it when is all that differs, as after going back to before it was removed.
            let changes = if changes.is_empty() { "as it was added at first" } else { &changes };
            ('~', Style::Other, format!("{what}: {changes}"))
        }
        (None, Some(after)) => ('+', Style::Good, format!("{what}{}", after.description())),
        (Some(before), None) => ('-', Style::Gone, format!("{what}{}", before.description())),
        (None, None) => (' ', Style::Plain, what.to_owned()),
    }
}

/// What is said about something.
trait Terms {
    /// All of it, always in the same order.
    fn facts(&self) -> Vec<Fact>;

    /// What is worth to be said of it where it is new or gone, behind its name.
    fn description(&self) -> String;
}

/// One thing that is said about something.
struct Fact {
    name: &'static str,
    value: String,
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact { name, value: value.into() }
}

/// Values, or a word where there are none.
fn or_word<T: ToString>(values: impl IntoIterator<Item = T>, word: &str) -> String {
    let values = join(values, " ");
    if values.is_empty() { word.to_owned() } else { values }
}

impl Terms for ServiceTerms {
    fn facts(&self) -> Vec<Fact> {
        vec![
            fact("ports", join(&self.ports, " ")),
            fact("interfaces", or_word(&self.interfaces, "all")),
            fact("addresses", or_word(self.addresses.iter().map(destination), "any")),
            fact("includes", or_word(&self.include, "none")),
            fact("mode", self.mode.word()),
            fact("action", self.action.word()),
            fact("when empty", self.when_empty.word()),
        ]
    }

    fn description(&self) -> String {
        let is_default = [
            false,
            self.interfaces.is_empty(),
            self.addresses.is_empty(),
            self.include.is_empty(),
            self.mode == Mode::default(),
            self.action == Action::default(),
            self.when_empty == WhenEmpty::default(),
        ];
        let facts = self.facts().into_iter().zip(is_default).filter(|(_, default)| !default);
        let facts = facts.map(|(Fact { name, value }, _)| match name {
            "ports" => value,
            _ => format!("{name} {value}"),
        });
        format!(": {}", join(facts, ", "))
    }
}

impl Terms for GroupTerms {
    fn facts(&self) -> Vec<Fact> {
        let file = self.follow.as_ref().map(|path| path.display().to_string());
        vec![fact("follows", file.unwrap_or_else(|| "no file".to_owned()))]
    }

    fn description(&self) -> String {
        let file = self.follow.as_ref().map(|path| format!(", follows {}", path.display()));
        file.unwrap_or_default()
    }
}

impl Terms for EntryTerms {
    fn facts(&self) -> Vec<Fact> {
        let comment = self.comment.as_ref().map(|comment| format!("'{comment}'"));
        let end = self.expires_at.map(|end| end.to_string());
        vec![
            fact("comment", comment.unwrap_or_else(|| "none".to_owned())),
            fact("ends", end.unwrap_or_else(|| "never".to_owned())),
        ]
    }

    fn description(&self) -> String {
        let end = self.expires_at.map(|end| format!(" until={end}")).unwrap_or_default();
        let comment = self.comment.as_ref().map(|comment| format!(" # {comment}"));
        end + &comment.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(items: &str, omitted: usize) -> String {
        let document = format!(r#"{{"items": [{items}], "omitted": {omitted}}}"#);
        let mut out = Vec::new();
        differences(&serde_json::from_str(&document).unwrap(), &mut out, Paint::OFF).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn service(ports: &str, rest: &str) -> String {
        let rest = if rest.is_empty() {
            r#""interfaces": [], "addresses": [], "include": [], "mode": "enforce",
               "action": "drop", "when_empty": "open""#
        } else {
            rest
        };
        format!(r#"{{"ports": [{ports}], {rest}}}"#)
    }

    fn of_service(before: &str, after: &str) -> String {
        format!(r#"{{"what": "service", "name": "web", "before": {before}, "after": {after}}}"#)
    }

    #[test]
    fn each_difference_has_a_line() {
        let all = r#""interfaces": ["eth0", "eth1"], "addresses": ["192.0.2.1/32", "2001:db8::/64"],
            "include": ["office"], "mode": "monitor", "action": "reject", "when_empty": "closed""#;
        let group = |before: &str, after: &str| {
            format!(
                r#"{{"what": "group", "name": "office", "before": {before}, "after": {after}}}"#
            )
        };
        let entry = |entry: &str, before: &str, after: &str| {
            format!(
                r#"{{"what": "entry", "list": "redis", "entry": "{entry}", "origin": "manual",
                    "before": {before}, "after": {after}}}"#
            )
        };
        let (plain, file) = (r#"{"follow": null}"#, r#"{"follow": "/etc/office.txt"}"#);
        let bare = r#"{"comment": null, "expires_at": null}"#;
        let a = r#"{"comment": "a", "expires_at": null}"#;
        let b = r#"{"comment": "b\u001b", "expires_at": "2026-12-01T00:00:00Z"}"#;
        let (one, two) = (service("\"tcp/80\"", ""), service(r#""tcp/80", "tcp/443""#, ""));
        let table = [
            (of_service("null", &one), "+ service web: tcp/80\n"),
            (
                of_service("null", &service("\"tcp/80\"", all)),
                "+ service web: tcp/80, interfaces eth0 eth1, addresses 192.0.2.1 2001:db8::/64, \
                 includes office, mode monitor, action reject, when empty closed\n",
            ),
            (of_service(&one, &two), "~ service web: ports tcp/80 -> tcp/80 tcp/443\n"),
            (
                of_service(&service("\"tcp/80\"", all), &one),
                "~ service web: interfaces eth0 eth1 -> all, addresses 192.0.2.1 2001:db8::/64 -> any, \
                 includes office -> none, mode monitor -> enforce, action reject -> drop, \
                 when empty closed -> open\n",
            ),
            (of_service(&one, "null"), "- service web: tcp/80\n"),
            (group("null", plain), "+ group office\n"),
            (group("null", file), "+ group office, follows /etc/office.txt\n"),
            (group(plain, file), "~ group office: follows no file -> /etc/office.txt\n"),
            (group(plain, "null"), "- group office\n"),
            (entry("10.0.0.0/8", "null", bare), "+ redis 10.0.0.0/8\n"),
            (
                entry("10.0.0.0/8", "null", b),
                "+ redis 10.0.0.0/8 until=2026-12-01T00:00:00Z # b\\u{1b}\n",
            ),
            (entry("!10.6.6.0/24", a, "null"), "- redis !10.6.6.0/24 # a\n"),
            (entry("10.2.0.0/16", bare, a), "~ redis 10.2.0.0/16: comment none -> 'a'\n"),
            (
                entry("10.2.0.0/16", a, b),
                "~ redis 10.2.0.0/16: comment 'a' -> 'b\\u{1b}', ends never -> 2026-12-01T00:00:00Z\n",
            ),
        ];
        for (item, expected) in table {
            assert_eq!(written(&item, 0), expected);
        }
        assert_eq!(written("", 1), "... and 1 more entry\n");
        assert_eq!(written("", 100_000), "... and 100000 more entries\n");
    }

    #[test]
    fn on_a_terminal_they_are_coloured_like_a_diff() {
        let item = of_service("null", &service("\"tcp/80\"", ""));
        let document = format!(r#"{{"items": [{item}], "omitted": 0}}"#);
        let mut out = Vec::new();
        differences(&serde_json::from_str(&document).unwrap(), &mut out, Paint::ON).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\u{1b}[32m+ service web: tcp/80\u{1b}[0m\n");
    }
}
