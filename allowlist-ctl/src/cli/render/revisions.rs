//! The revisions that are kept.

use std::io::{self, Write};

use super::time;
use crate::{
    api::{RevisionView, Revisions},
    cli::{
        console::{Paint, Style},
        table::{Cell, Table},
    },
};

/// Writes the revisions, the current one marked.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn revisions(
    revisions: &Revisions,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let Revisions { revision: current, revisions } = revisions;
    if revisions.is_empty() {
        return writeln!(out, "No revision is kept; the policy is at revision {current}.");
    }
    let mut table = Table::new(["REVISION", "TIME", "WHO", "WHAT"]);
    for RevisionView { revision, time: moment, by, what } in revisions {
        let (mark, style) =
            if revision == current { ("* ", Style::Good) } else { ("", Style::Plain) };
        table.row([
            Cell::number(format!("{mark}{revision}")).style(style),
            Cell::text(time(*moment)),
            Cell::text(&by.name),
            Cell::text(if what.is_empty() { "-" } else { what }),
        ]);
    }
    table.write_wrapped(out, paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(document: &str) -> String {
        let mut out = Vec::new();
        revisions(&serde_json::from_str(document).unwrap(), &mut out, Paint::OFF).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_current_revision_is_marked() {
        let document = r#"{"revision": 12, "revisions": [
            {"revision": 12, "time": "2026-11-22T02:07:00.5Z", "by": {"uid": 0, "name": "root"},
             "what": "add redis"},
            {"revision": 9, "time": "2026-11-22T02:00:00Z", "by": {"uid": 7, "name": "al\u001b"},
             "what": ""}]}"#;
        let expected = "\
REVISION  TIME                  WHO       WHAT
    * 12  2026-11-22T02:07:00Z  root      add redis
       9  2026-11-22T02:00:00Z  al\\u{1b}  -
";
        assert_eq!(written(document), expected);
        assert_eq!(
            written(r#"{"revision": 3, "revisions": []}"#),
            "No revision is kept; the policy is at revision 3.\n"
        );
    }
}
