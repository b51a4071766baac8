//! A proposal as a file for `replace`.

use std::io::{self, Write};

use super::{count, time};
use crate::{
    api::{EntrySpec, LeftOut, Proposal, ProposedEntry, SeenSources},
    cli::console::clean,
    policy::{EntryKey, entry::parse_keys, lines},
};

/// Writes a proposal as `replace` takes it: what is to be known of it is in comments.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn proposal(proposal: &Proposal, out: &mut dyn Write) -> io::Result<()> {
    let Proposal { service, tighten, proposed, kept, .. } = proposal;
    let option = if *tighten { " --tighten" } else { "" };
    writeln!(out, "# Entries for {service}, proposed by `allowlist-ctl learn {service}{option}`.")?;
    writeln!(out, "# Nothing is changed yet; revision {}.", proposal.revision)?;
    for line in [seen(proposal)].into_iter().chain(left_out(proposal)).chain(unproven(proposal)) {
        writeln!(out, "# {line}.")?;
    }
    if proposal.incomplete {
        writeln!(out, "# So many sources were seen that some may be missing.")?;
    }
    if proposed.is_empty() && kept.is_empty() {
        return writeln!(out, "# There is nothing to propose.");
    }
    writeln!(out, "# Read it, save it as {service}.txt, and type next:")?;
    writeln!(out, "#   allowlist-ctl try {service} -f {service}.txt")?;
    writeln!(out, "#   allowlist-ctl replace {service} -f {service}.txt")?;
    if !kept.is_empty() {
        let which = if *tighten { "Its excepts stay" } else { "Its own entries stay as they are" };
        writeln!(out, "\n# {which}:")?;
    }
    for spec in kept {
        writeln!(out, "{}", clean(&own(spec)))?;
    }
    if !proposed.is_empty() {
        writeln!(out, "\n# Proposed:")?;
    }
    for entry in proposed {
        let key = EntryKey::manual(entry.prefix, crate::policy::Kind::Allow);
        writeln!(out, "{}", lines::line(&key, None, Some(&comment(entry))))?;
    }
    Ok(())
}

/// The line of an entry that stays.
fn own(spec: &EntrySpec) -> String {
    let EntrySpec { entry, comment, expires_at } = spec;
    match parse_keys(entry).as_deref() {
        Ok([key]) => lines::line(key, *expires_at, comment.as_deref()),
        // Of a later version: `replace` says what it does not take.
        _ => entry.clone(),
    }
}

/// Who was seen in a prefix.
fn comment(entry: &ProposedEntry) -> String {
    let SeenSources { addresses, packets, connections, last, .. } = entry.seen;
    let Some(last) = last else {
        let connections = plural(connections as u64, "established connection");
        return format!("{connections} from {}", from(addresses));
    };
    let (packets, from, last) = (plural(packets, "packet"), from(addresses), time(last));
    let also = (connections > 0).then(|| plural(connections as u64, "connection"));
    let also = also.map(|told| format!("; {told}")).unwrap_or_default();
    format!("{packets} from {from}, last {last}{also}")
}

fn from(addresses: usize) -> String {
    count(addresses, "address", "addresses")
}

fn plural(number: u64, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// What was seen in all, and over which time.
fn seen(proposal: &Proposal) -> String {
    let SeenSources { addresses, packets, connections, first, last } = proposal.seen;
    let connections = plural(connections as u64, "established connection");
    let (Some(first), Some(last)) = (first, last) else {
        let noted = if proposal.noted { "No packet was seen" } else { "Packets were not noted" };
        return format!("{noted}; {connections}");
    };
    let (first, last) = (time(first), time(last));
    let (packets, from) = (plural(packets, "packet"), from(addresses));
    format!("Seen from {first} to {last}: {packets} from {from}, {connections}")
}

fn left_out(proposal: &Proposal) -> Option<String> {
    let LeftOut { admitted, excepted, denied, ended } = proposal.left_out;
    let by = if proposal.tighten {
        "groups or trusted admit"
    } else {
        "groups, trusted or its own entries admit"
    };
    let reasons = [
        (admitted, format!("{by} already")),
        (excepted, "an except denies".to_owned()),
        (denied, if denied == 1 { "is denied today" } else { "are denied today" }.to_owned()),
        (ended, "had an entry that has ended".to_owned()),
    ];
    let told: Vec<String> = reasons
        .into_iter()
        .filter(|(addresses, _)| *addresses > 0)
        .map(|(addresses, reason)| format!("{} that {reason}", from(addresses)))
        .collect();
    (!told.is_empty()).then(|| format!("Left out: {}", told.join(", ")))
}

/// How much of it is a guess.
fn unproven(proposal: &Proposal) -> Option<String> {
    let unproven = proposal.unproven;
    (unproven > 0).then(|| {
        let have = if unproven == 1 { "has" } else { "have" };
        format!(
            "{} below {have} no established connection now, and may be a guess:\n# the source of a UDP packet, or of a first TCP packet, can be forged",
            from(unproven)
        )
    })
}

#[cfg(test)]
mod tests;
