//! What somebody watches just now.

use super::super::{join, span};
use crate::api::{Status, Watching};

/// A line for each thing that is watched.
pub(super) fn observed(status: &Status) -> Vec<String> {
    let watched = |watching: &Watching| {
        let Watching { service, by, seconds_left, .. } = watching;
        format!("{service} for {}, {} left", by.name, span(*seconds_left))
    };
    let watches = join(status.watches.iter().map(watched), "; ");
    let watches = (!watches.is_empty()).then(|| format!("Sources are noted: {watches}"));
    watches.into_iter().collect()
}
