//! The groups of a status.

use super::super::join;
use crate::{
    api::GroupStatus,
    cli::{
        console::Style,
        table::{Cell, Table},
    },
    policy::group::TRUSTED,
};

/// The groups; `trusted`, which is always there, only where it has entries or is not alone.
pub(super) fn groups(groups: &[GroupStatus]) -> Option<Table> {
    let is_told = |group: &GroupStatus| {
        group.name.as_str() != TRUSTED || group.entries > 0 || group.follow.is_some()
    };
    if !groups.iter().any(is_told) {
        return None;
    }
    let has_expired = groups.iter().any(|group| group.expired > 0);
    let mut titles = vec!["GROUP", "ENTRIES"];
    titles.extend(has_expired.then_some("EXPIRED"));
    titles.push("INCLUDED BY");
    let mut table = Table::new(titles);
    for group in groups {
        let GroupStatus { name, entries, expired, included_by, follow } = group;
        let mut row = vec![Cell::text(name.as_str()), Cell::number(entries)];
        if has_expired {
            let style = if *expired > 0 { Style::Alarm } else { Style::Plain };
            row.push(Cell::number(expired).style(style));
        }
        row.push(Cell::text(match included_by.as_slice() {
            _ if name.as_str() == TRUSTED => "every service".to_owned(),
            [] => "-".to_owned(),
            services => join(services, " "),
        }));
        table.row(row);
        if let Some(path) = follow {
            table.note(&format!("follows {}", path.display()));
        }
    }
    Some(table)
}
