//! What a change did.

use std::io::{self, Write};

use super::mode_name;
use crate::{
    api::Changed,
    cli::{
        console::clean,
        request::{Change, Deed},
    },
};

/// Writes what a change did, and what the operator should know.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn changed(
    change: &Change,
    changed: &Changed,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", headline(&clean(&change.subject), change.deed, changed))?;
    for message in &changed.messages {
        writeln!(out, "{}", clean(message))?;
    }
    Ok(())
}

fn headline(subject: &str, deed: Deed, changed: &Changed) -> String {
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

fn what(deed: Deed, changed: &Changed) -> String {
    match deed {
        Deed::Protect => "protected".to_owned(),
        Deed::Mode(mode) => format!("mode {}", mode_name(mode)),
        Deed::Unprotect if changed.removed == 0 => "unprotected".to_owned(),
        Deed::Unprotect => match changed.removed {
            1 => "unprotected, 1 entry removed".to_owned(),
            removed => format!("unprotected, {removed} entries removed"),
        },
        Deed::Attach => "attached".to_owned(),
        Deed::Detach => "detached".to_owned(),
        Deed::Entries => {
            let Changed { added, updated, removed, unchanged, .. } = *changed;
            let counts = [
                (added, "added"),
                (removed, "removed"),
                (updated, "updated"),
                (unchanged, "unchanged"),
            ];
            let told = counts.into_iter().filter(|(count, _)| *count > 0);
            let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
            if told.is_empty() { "changed".to_owned() } else { told.join(", ") }
        }
    }
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
            assert_eq!(headline("redis", deed, &changed), expected);
        }
    }
}
