//! Lists and their entries.

use std::io::{self, Write};

use super::{FIRST_STEP, state_name, time, without_entries};
use crate::{
    api::{EntryView, List, Listing},
    cli::{
        console::{Paint, Style},
        table::{Cell, Columns},
    },
    policy::EntryKey,
};

/// Writes lists and their entries.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn list(listing: &Listing, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
    if listing.lists.is_empty() {
        return writeln!(out, "{FIRST_STEP}");
    }
    for (index, list) in listing.lists.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        one_list(list, out, paint)?;
    }
    Ok(())
}

fn one_list(list: &List, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
    let List { name, state, entries, .. } = list;
    let state = state.unwrap_or(crate::api::ServiceState::Closed);
    if entries.is_empty() {
        let sentence = without_entries(name, state);
        return writeln!(out, "{}", paint.paint(Style::Alarm, &sentence));
    }
    let count = match entries.len() {
        1 => "1 entry".to_owned(),
        more => format!("{more} entries"),
    };
    let heading = format!("{name}: {}, {count}", state_name(state));
    writeln!(out, "{}", paint.paint(Style::Heading, &heading))?;

    // A comment may be long, so it stands last and pushes nothing aside.
    let titles = ["ENTRY", "ADDED BY", "ADDED", "EXPIRES", "LAST HIT", "COMMENT"];
    let titles = titles.map(|title| Cell::text(title).style(Style::Heading));
    let mut columns = Columns::of(&titles);
    // A list may have a million entries: their cells are made twice rather than kept.
    for entry in entries {
        columns.fit(&row(entry));
    }
    columns.write(&titles, out, paint)?;
    entries.iter().try_for_each(|entry| columns.write(&row(entry), out, paint))
}

fn row(entry: &EntryView) -> [Cell; 6] {
    let EntryView { prefix, kind, comment, added_by, added_at, expires_at, last_hit, .. } = entry;
    let maybe = |moment: Option<_>| Cell::text(moment.map_or("-".to_owned(), time));
    [
        Cell::text(EntryKey::manual(*prefix, *kind).to_string()),
        Cell::text(&added_by.name),
        Cell::text(time(*added_at)),
        maybe(*expires_at),
        maybe(*last_hit),
        Cell::text(comment.as_deref().unwrap_or("-")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(document: &str) -> String {
        let mut out = Vec::new();
        let listing = serde_json::from_str(document).unwrap();
        list(&listing, &mut out, Paint::OFF).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn entries_are_listed_under_their_service() {
        let document = r#"{"revision": 3, "lists": [
            {"name": "redis", "state": "closed", "entries": [
                {"id": 1, "prefix": "10.0.0.0/8", "kind": "allow", "comment": "office, \u001b[31mred",
                 "added_by": {"uid": 0, "name": "root"}, "added_at": "2026-11-22T02:00:00.123456789Z",
                 "expires_at": null, "last_hit": "2026-11-22T02:07:00Z"},
                {"id": 2, "prefix": "10.6.6.0/24", "kind": "except", "comment": null,
                 "added_by": {"uid": 1000, "name": "operator"}, "added_at": "2026-11-22T02:00:01Z",
                 "expires_at": "2026-12-01T00:00:00Z", "last_hit": null}]},
            {"name": "web", "state": "open", "entries": []},
            {"name": "ssh", "state": "closed", "entries": []}]}"#;
        let expected = "\
redis: closed, 2 entries
ENTRY         ADDED BY  ADDED                 EXPIRES               LAST HIT              COMMENT
10.0.0.0/8    root      2026-11-22T02:00:00Z  -                     2026-11-22T02:07:00Z  office, \\u{1b}[31mred
!10.6.6.0/24  operator  2026-11-22T02:00:01Z  2026-12-01T00:00:00Z  -                     -

No entries: web is accessible to everyone.

No entries: ssh is accessible to no one.
";
        assert_eq!(written(document), expected);
    }

    #[test]
    fn without_a_service_the_first_step_is_told() {
        assert_eq!(
            written(r#"{"revision": 0, "lists": []}"#),
            "Nothing is protected yet. Protect a port: allowlist-ctl protect redis tcp/6379\n"
        );
    }
}
