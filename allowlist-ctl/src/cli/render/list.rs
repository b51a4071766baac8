//! Lists and their entries.

use std::io::{self, Write};

use super::{FIRST_STEP, count, join, time, without_entries};
use crate::{
    api::{EntryView, List, ListKind, Listing, ServiceState},
    cli::{
        console::{Paint, Style, clean},
        table::{Cell, Columns},
    },
    policy::{EntryKey, group::TRUSTED},
};

/// What is said of an entry that somebody added by command.
const MANUAL: &str = "manual";

/// Writes lists and their entries; `trusted` without entries only where it is asked for.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn list(
    listing: &Listing,
    is_one: bool,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let says_something =
        |list: &&List| is_one || list.name.as_str() != TRUSTED || !list.entries.is_empty();
    let lists: Vec<&List> = listing.lists.iter().filter(says_something).collect();
    if lists.is_empty() {
        return writeln!(out, "{FIRST_STEP}");
    }
    for (index, list) in lists.into_iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        one_list(list, out, paint)?;
    }
    Ok(())
}

fn one_list(list: &List, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
    let List { entries, .. } = list;
    let (style, heading) = heading(list);
    writeln!(out, "{}", paint.paint(style, &clean(&heading)))?;
    if entries.is_empty() {
        return Ok(());
    }
    let with_origin = entries.iter().any(|entry| entry.origin != MANUAL);
    // A comment may be long, so it stands last and pushes nothing aside.
    let mut titles = vec!["ENTRY", "ADDED BY", "ADDED", "EXPIRES", "LAST HIT"];
    titles.extend(with_origin.then_some("ORIGIN"));
    titles.push("COMMENT");
    let titles: Vec<Cell> =
        titles.into_iter().map(|title| Cell::text(title).style(Style::Heading)).collect();
    let mut columns = Columns::of(&titles);
    // A list may have a million entries: their cells are made twice rather than kept.
    let row = |entry| row(entry, list, with_origin);
    for entry in entries {
        columns.fit(&row(entry));
    }
    columns.write(&titles, out, paint)?;
    entries.iter().try_for_each(|entry| columns.write(&row(entry), out, paint))
}

/// What is said of a list before its entries.
fn heading(list: &List) -> (Style, String) {
    let List { name, kind, state, include, follow, entries } = list;
    let number = match entries.len() {
        0 => "no entries".to_owned(),
        some => count(some, "entry", "entries"),
    };
    let state = match kind {
        ListKind::Group => {
            let file = follow.as_ref().map(|path| format!(", follows {}", path.display()));
            let heading = format!("{name}: group, {number}{}", file.unwrap_or_default());
            return (Style::Heading, heading);
        }
        ListKind::Service => state.unwrap_or(ServiceState::Closed),
    };
    // A service may be closed by the entries of its groups alone.
    let is_empty = entries.is_empty() && (include.is_empty() || state == ServiceState::Open);
    if is_empty {
        let groups =
            (!include.is_empty()).then(|| format!(" It includes {}.", join(include, ", ")));
        let sentence = without_entries(name, state);
        return (Style::Alarm, sentence + &groups.unwrap_or_default());
    }
    let groups = (!include.is_empty()).then(|| format!(", includes {}", join(include, ", ")));
    let groups = groups.unwrap_or_default();
    let own = if entries.is_empty() { " of its own" } else { "" };
    (Style::Heading, format!("{name}: {}, {number}{own}{groups}", state.word()))
}

fn row(entry: &EntryView, list: &List, with_origin: bool) -> Vec<Cell> {
    let EntryView { prefix, kind, origin, comment, added_by, added_at, last_hit, .. } = entry;
    let mut row = vec![
        Cell::text(EntryKey::manual(*prefix, *kind).to_string()),
        Cell::text(&added_by.name),
        Cell::text(time(*added_at)),
        end(entry),
        Cell::text(last_hit.map_or("-".to_owned(), time)),
    ];
    if with_origin {
        // The file is named in the heading.
        let file = list.follow.as_ref().map(|path| format!("file:{}", path.display()));
        let is_named = file.as_ref() == Some(origin);
        row.push(Cell::text(if is_named { "file" } else { origin }));
    }
    row.push(Cell::text(comment.as_deref().unwrap_or("-")));
    row
}

/// When an entry ends, or that it has.
fn end(entry: &EntryView) -> Cell {
    match entry.expires_at.map(time) {
        None => Cell::text("-"),
        Some(end) if entry.expired => Cell::text(format!("{end} expired")).style(Style::Alarm),
        Some(end) => Cell::text(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(document: &str) -> String {
        shown(document, false)
    }

    fn shown(document: &str, is_one: bool) -> String {
        let mut out = Vec::new();
        let listing = serde_json::from_str(document).unwrap();
        list(&listing, is_one, &mut out, Paint::OFF).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn entries_are_listed_under_their_service() {
        let document = r#"{"revision": 3, "lists": [
            {"name": "redis", "kind": "service", "state": "closed", "entries": [
                {"id": 1, "prefix": "10.0.0.0/8", "kind": "allow", "comment": "office, \u001b[31mred",
                 "origin": "manual", "expired": false,
                 "added_by": {"uid": 0, "name": "root"}, "added_at": "2026-11-22T02:00:00.123456789Z",
                 "expires_at": null, "last_hit": "2026-11-22T02:07:00Z"},
                {"id": 2, "prefix": "10.6.6.0/24", "kind": "except", "comment": null,
                 "origin": "manual", "expired": false,
                 "added_by": {"uid": 1000, "name": "operator"}, "added_at": "2026-11-22T02:00:01Z",
                 "expires_at": "2026-12-01T00:00:00Z", "last_hit": null}]},
            {"name": "web", "kind": "service", "state": "open", "entries": []},
            {"name": "ssh", "kind": "service", "state": "closed", "entries": []}]}"#;
        let expected = "\
redis: closed, 2 entries
ENTRY         ADDED BY  ADDED                 EXPIRES               LAST HIT              COMMENT
10.0.0.0/8    root      2026-11-22T02:00:00Z  -                     2026-11-22T02:07:00Z  office, \\u{1b}[31mred
!10.6.6.0/24  operator  2026-11-22T02:00:01Z  2026-12-01T00:00:00Z  -                     -

No entries: web is accessible to everyone.

No entries: ssh is accessible to trusted alone.
";
        assert_eq!(written(document), expected);
    }

    #[test]
    fn groups_files_and_ends_are_told() {
        let document = r#"{"revision": 3, "lists": [
            {"name": "office", "kind": "group", "follow": "/etc/office.txt", "entries": [
                {"id": 1, "prefix": "10.0.0.0/8", "kind": "allow", "comment": "a", "origin": "manual",
                 "added_by": {"uid": 0, "name": "root"}, "added_at": "2026-11-22T02:00:00Z",
                 "expires_at": "2026-11-22T03:00:00Z", "expired": true, "last_hit": null},
                {"id": 2, "prefix": "10.6.6.0/24", "kind": "allow", "comment": null,
                 "origin": "file:/etc/office.txt", "expires_at": null, "expired": false,
                 "added_by": {"uid": 0, "name": "root"}, "added_at": "2026-11-22T02:00:00Z",
                 "last_hit": null}]},
            {"name": "lab", "kind": "group", "entries": []},
            {"name": "web", "kind": "service", "state": "closed", "include": ["lab", "office"],
             "entries": []},
            {"name": "ssh", "kind": "service", "state": "open", "include": ["lab"], "entries": []},
            {"name": "trusted", "kind": "group", "entries": []}]}"#;
        let expected = "\
office: group, 2 entries, follows /etc/office.txt
ENTRY        ADDED BY  ADDED                 EXPIRES                       LAST HIT  ORIGIN  COMMENT
10.0.0.0/8   root      2026-11-22T02:00:00Z  2026-11-22T03:00:00Z expired  -         manual  a
10.6.6.0/24  root      2026-11-22T02:00:00Z  -                             -         file    -

lab: group, no entries

web: closed, no entries of its own, includes lab, office

No entries: ssh is accessible to everyone. It includes lab.
";
        assert_eq!(written(document), expected);
    }

    #[test]
    fn trusted_without_entries_is_shown_where_it_is_asked_for() {
        let document =
            r#"{"revision": 0, "lists": [{"name": "trusted", "kind": "group", "entries": []}]}"#;
        assert_eq!(shown(document, true), "trusted: group, no entries\n");
        assert!(written(document).starts_with("Nothing is protected yet."));
    }

    #[test]
    fn without_a_service_the_first_step_is_told() {
        assert_eq!(
            written(r#"{"revision": 0, "lists": []}"#),
            "Nothing is protected yet. Protect a port: allowlist-ctl protect redis tcp/6379\n"
        );
    }
}
