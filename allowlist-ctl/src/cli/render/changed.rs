//! What a change did.

use std::io::{self, Write};

use super::{count, cut_lines, differences::differences, span};
use crate::{
    api::{Changed, Difference},
    cli::{
        console::{Paint, Style, clean},
        request::{Change, Deed},
    },
};

/// Writes what a change did, and what the operator should know; what differs where that is not plain from the
/// command, or was not done.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn changed(
    change: &Change,
    changed: &Changed,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let is_of_many = matches!(change.deed, Deed::Apply | Deed::Rollback(_) | Deed::Edit);
    if is_of_many || changed.dry_run {
        differences(&changed.differences, out, paint)?;
    }
    writeln!(out, "{}", clean(&headline(&change.subject, &change.deed, changed)))?;
    for message in &changed.messages {
        writeln!(out, "{}", clean(message))?;
    }
    if !changed.cuts.is_empty() {
        let heading = if changed.dry_run { "Would cut:" } else { "Cut:" };
        writeln!(out, "{}", paint.paint(Style::Alarm, heading))?;
        for cut in cut_lines(&changed.cuts) {
            writeln!(out, "  {}", clean(&cut))?;
        }
    }
    if let Some(pending) = &changed.pending {
        let span = span(pending.seconds_left);
        let sentence = format!("Taken back in {span} unless confirmed: allowlist-ctl confirm");
        writeln!(out, "{}", paint.paint(Style::Alarm, &sentence))?;
    }
    Ok(())
}

fn headline(subject: &str, deed: &Deed, changed: &Changed) -> String {
    let revision = changed.revision;
    match (changed.changed, changed.dry_run) {
        (false, false) => format!("Nothing changed (revision {revision})"),
        (false, true) => format!("Nothing would change (revision {revision})"),
        (true, dry_run) => {
            let prefix = if dry_run { "Would change: " } else { "" };
            format!("{prefix}{subject}: {} (revision {revision})", what(deed, changed))
        }
    }
}

fn what(deed: &Deed, changed: &Changed) -> String {
    match deed {
        Deed::Protect => "protected".to_owned(),
        Deed::Mode(mode) => format!("mode {}", mode.word()),
        Deed::Unprotect => with_removed("unprotected", changed.removed),
        Deed::Group(follow) => {
            let follows = follow.as_ref().map(|path| {
                if path.as_os_str().is_empty() {
                    "follows no file".to_owned()
                } else {
                    format!("follows {}", path.display())
                }
            });
            let made = is_new_group(changed).then(|| "group made".to_owned());
            let told: Vec<String> = made.into_iter().chain(follows).collect();
            if told.is_empty() { "changed".to_owned() } else { told.join(", ") }
        }
        Deed::Ungroup => with_removed("ungrouped", changed.removed),
        Deed::Attach => "attached".to_owned(),
        Deed::Detach => "detached".to_owned(),
        Deed::Entries | Deed::Edit => {
            let told = counts(changed);
            if told.is_empty() { "changed".to_owned() } else { told.join(", ") }
        }
        Deed::Apply => with_counts("applied".to_owned(), changed),
        Deed::Rollback(None) => with_counts("rolled back".to_owned(), changed),
        Deed::Rollback(Some(to)) => with_counts(format!("rolled back to revision {to}"), changed),
        Deed::Confirm => "confirmed".to_owned(),
    }
}

fn is_new_group(changed: &Changed) -> bool {
    let items = &changed.differences.items;
    items.iter().any(|item| matches!(item, Difference::Group { before: None, .. }))
}

fn with_removed(what: &str, removed: usize) -> String {
    match removed {
        0 => what.to_owned(),
        removed => format!("{what}, {} removed", count(removed, "entry", "entries")),
    }
}

fn with_counts(what: String, changed: &Changed) -> String {
    let told: Vec<String> = std::iter::once(what).chain(counts(changed)).collect();
    told.join(", ")
}

fn counts(changed: &Changed) -> Vec<String> {
    let Changed { added, updated, removed, unchanged, .. } = *changed;
    let counts =
        [(added, "added"), (removed, "removed"), (updated, "updated"), (unchanged, "unchanged")];
    let told = counts.into_iter().filter(|(count, _)| *count > 0);
    told.map(|(count, what)| format!("{count} {what}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::service::Mode;

    #[test]
    fn one_line_says_what_happened() {
        let of = |added, updated, removed, unchanged| Changed {
            revision: 7,
            changed: true,
            added,
            updated,
            removed,
            unchanged,
            ..Changed::default()
        };
        let nothing = Changed { changed: false, ..of(0, 0, 0, 2) };
        let table = [
            (Deed::Entries, of(2, 0, 0, 0), "redis: 2 added (revision 7)"),
            (
                Deed::Entries,
                of(1, 2, 3, 4),
                "redis: 1 added, 3 removed, 2 updated, 4 unchanged (revision 7)",
            ),
            (
                Deed::Entries,
                Changed { dry_run: true, ..of(0, 0, 1, 0) },
                "Would change: redis: 1 removed (revision 7)",
            ),
            (Deed::Entries, nothing.clone(), "Nothing changed (revision 7)"),
            (
                Deed::Protect,
                Changed { dry_run: true, ..nothing },
                "Nothing would change (revision 7)",
            ),
            (Deed::Protect, of(0, 0, 0, 0), "redis: protected (revision 7)"),
            (Deed::Mode(Mode::Enforce), of(0, 0, 0, 0), "redis: mode enforce (revision 7)"),
            (Deed::Mode(Mode::Monitor), of(0, 0, 0, 0), "redis: mode monitor (revision 7)"),
            (
                Deed::Mode(Mode::Off),
                Changed { dry_run: true, ..of(0, 0, 0, 0) },
                "Would change: redis: mode off (revision 7)",
            ),
            (Deed::Unprotect, of(0, 0, 0, 0), "redis: unprotected (revision 7)"),
            (Deed::Unprotect, of(0, 0, 1, 0), "redis: unprotected, 1 entry removed (revision 7)"),
            (Deed::Unprotect, of(0, 0, 9, 0), "redis: unprotected, 9 entries removed (revision 7)"),
            (Deed::Attach, of(0, 0, 0, 0), "redis: attached (revision 7)"),
            (Deed::Detach, of(0, 0, 0, 0), "redis: detached (revision 7)"),
        ];
        for (deed, changed, expected) in table {
            assert_eq!(headline("redis", &deed, &changed), expected);
        }
    }

    #[test]
    fn changes_of_groups_and_of_everything_are_told_by_what_they_are() {
        let done = Changed { revision: 7, changed: true, ..Changed::default() };
        let some = Changed { added: 2, removed: 1, unchanged: 40, ..done.clone() };
        let new: Difference = serde_json::from_str(
            r#"{"what": "group", "name": "office", "before": null, "after": {"follow": null}}"#,
        )
        .unwrap();
        let mut made = done.clone();
        made.differences.items.push(new);
        let file = || Some("/etc/office.txt".into());
        let table = [
            (Deed::Group(None), &made, "x: group made (revision 7)"),
            (Deed::Group(file()), &made, "x: group made, follows /etc/office.txt (revision 7)"),
            (Deed::Group(file()), &done, "x: follows /etc/office.txt (revision 7)"),
            (Deed::Group(Some("".into())), &done, "x: follows no file (revision 7)"),
            (Deed::Ungroup, &done, "x: ungrouped (revision 7)"),
            (Deed::Ungroup, &some, "x: ungrouped, 1 entry removed (revision 7)"),
            (Deed::Edit, &some, "x: 2 added, 1 removed, 40 unchanged (revision 7)"),
            (Deed::Apply, &done, "x: applied (revision 7)"),
            (Deed::Apply, &some, "x: applied, 2 added, 1 removed, 40 unchanged (revision 7)"),
            (
                Deed::Rollback(None),
                &some,
                "x: rolled back, 2 added, 1 removed, 40 unchanged (revision 7)",
            ),
            (Deed::Rollback(Some(3)), &done, "x: rolled back to revision 3 (revision 7)"),
            (Deed::Confirm, &done, "x: confirmed (revision 7)"),
        ];
        for (deed, changed, expected) in table {
            assert_eq!(headline("x", &deed, changed), expected);
        }
    }

    /// What is written about a change of redis.
    fn written(deed: Deed, rest: &str) -> String {
        let document = format!(
            r#"{{"revision": 7, "changed": true, "added": 1, "updated": 0, "unchanged": 0,
                "removed": 0, "messages": ["10.0.0.1/32 was there already"], "warnings": [],
                "differences": {{"items": [{{"what": "entry", "list": "redis", "entry": "::1/128",
                    "origin": "manual", "before": null,
                    "after": {{"comment": null, "expires_at": null}}}}], "omitted": 0}}, {rest}}}"#
        );
        let request = crate::cli::request::Request::get("/");
        let change = Change { subject: "redis".into(), deed, request };
        let mut out = Vec::new();
        changed(&change, &serde_json::from_str(&document).unwrap(), &mut out, Paint::OFF).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_differs_is_told_where_it_was_not_typed_or_not_done() {
        let difference = "+ redis ::1/128\n";
        let table = [
            (Deed::Entries, false, false),
            (Deed::Entries, true, true),
            (Deed::Protect, true, true),
            (Deed::Edit, false, true),
            (Deed::Apply, false, true),
            (Deed::Rollback(None), false, true),
        ];
        for (deed, dry_run, is_told) in table {
            let text = written(deed, &format!("\"dry_run\": {dry_run}"));
            assert_eq!(text.starts_with(difference), is_told, "{text}");
        }
    }

    #[test]
    fn cuts_and_the_time_to_confirm_come_last() {
        let cuts = r#""cuts": [{"service": "redis", "peer": "203.0.113.7:51234",
            "local": "192.0.2.1:6379"}]"#;
        let pending = r#""pending": {"what": "add redis", "by": {"uid": 0, "name": "root"},
            "revision": 7, "until": "2026-11-22T02:00:00Z", "seconds_left": 60}"#;
        let expected = "\
redis: 1 added (revision 7)
10.0.0.1/32 was there already
Cut:
  203.0.113.7:51234 -> 192.0.2.1:6379 (redis)
Taken back in 60 s unless confirmed: allowlist-ctl confirm
";
        let rest = format!(r#""dry_run": false, {cuts}, {pending}"#);
        assert_eq!(written(Deed::Entries, &rest), expected);
        let expected = "\
+ redis ::1/128
Would change: redis: 1 added (revision 7)
10.0.0.1/32 was there already
Would cut:
  203.0.113.7:51234 -> 192.0.2.1:6379 (redis)
";
        let rest = format!(r#""dry_run": true, {cuts}"#);
        assert_eq!(written(Deed::Entries, &rest), expected);
    }
}
