//! What somebody watches just now.

use super::super::{join, span};
use crate::api::{Status, Trial, Watching};

/// A line for each thing that is watched.
pub(super) fn observed(status: &Status) -> Vec<String> {
    let watched = |watching: &Watching| {
        let Watching { service, by, seconds_left, .. } = watching;
        format!("{service} for {}, {} left", by.name, span(*seconds_left))
    };
    let noted = join(status.watches.iter().map(watched), "; ");
    let noted = (!noted.is_empty()).then(|| format!("Sources are noted: {noted}"));
    let trial = status.trial.as_ref().map(|trial| {
        let Trial { what, by, seconds_left, .. } = trial;
        let left = span(*seconds_left);
        format!("On trial, and touching no packet: '{what}' of {}, {left} left", by.name)
    });
    trial.into_iter().chain(noted).collect()
}
