//! How the interfaces fare, as it is told.

use std::collections::{BTreeSet, HashMap};

use super::{Wanted, places::blind_spots};
use crate::{
    api::{InterfaceState, InterfaceStatus},
    kernel::{Attached, Kernel},
};

/// Why an interface is filtered that nobody asked for.
const KEPT: &str = "kept from an earlier start, and nothing names it now";

impl Wanted {
    /// How the interfaces fare.
    pub(in crate::daemon) fn status(&self, kernel: &Kernel) -> Vec<InterfaceStatus> {
        let blank = |name: &str, state| InterfaceStatus {
            name: name.into(),
            state,
            ifindex: None,
            mode: None,
            program_id: None,
            reason: None,
            put_back: self.put_back.get(name).copied().unwrap_or(0),
            warnings: Vec::new(),
        };
        let attached = kernel.attached().filter_map(|attached| {
            let now = attached.now.as_deref()?;
            let label = &attached.interface;
            // Another interface has the name, and cannot be attached.
            let name = if self.reasons.contains_key(label) { now } else { label };
            Some(InterfaceStatus {
                ifindex: Some(attached.ifindex),
                mode: Some(if attached.generic.is_some() { "generic" } else { "native" }.into()),
                program_id: Some(kernel.program_id()),
                reason: if self.keeps(label) {
                    Some(KEPT.into())
                } else {
                    attached.generic.clone()
                },
                warnings: self
                    .told_put_back(name)
                    .into_iter()
                    .chain(self.remarks(kernel, attached))
                    .collect(),
                ..blank(name, InterfaceState::Attached)
            })
        });
        let others = self.reasons.iter().map(|(name, (state, reason))| InterfaceStatus {
            reason: Some(reason.clone()),
            ..blank(name, *state)
        });
        let detached = self.detached.iter().map(|name| blank(name, InterfaceState::Detached));
        let mut all: Vec<InterfaceStatus> = attached.chain(others).chain(detached).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Names of all interfaces there were at the last look, by index.
    pub(in crate::daemon) fn names_of_all(&self) -> HashMap<u32, String> {
        self.present.iter().map(|one| (one.ifindex, one.name.clone())).collect()
    }

    /// Names of all interfaces there were at the last look.
    pub(in crate::daemon) fn names_present(&self) -> impl Iterator<Item = &str> {
        self.present.iter().map(|one| one.name.as_str())
    }

    fn told_put_back(&self, name: &str) -> Option<String> {
        let times = match self.put_back.get(name)? {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        Some(format!(
            "somebody cut off or replaced the filter on {name} {times} since the daemon started, and it was put back: `allowlist-ctl audit --name {name}` tells when"
        ))
    }

    /// What the operator should know of an interface that was just attached.
    pub(in crate::daemon) fn remarks_on(&self, kernel: &Kernel, name: &str) -> Vec<String> {
        let attached = kernel.attached().filter(|attached| attached.now.as_deref() == Some(name));
        attached.flat_map(|attached| self.remarks(kernel, attached)).collect()
    }

    /// What the operator should know of an interface that is attached, a sentence each.
    pub(super) fn remarks(&self, kernel: &Kernel, attached: &Attached) -> Vec<String> {
        let label = &attached.interface;
        let mut told = Vec::new();
        let Some(now) = &attached.now else { return told };
        if self.keeps(label) {
            told.push(format!(
                "the filter on {now} is {KEPT}: `allowlist-ctl attach {label}` keeps it, `allowlist-ctl detach {label}` takes it off"
            ));
        }
        if now != label {
            told.push(format!(
                "the filter of {label} is on {now}, for {label} was renamed; it goes to the next interface named {label}, and `allowlist-ctl attach {now}` keeps it there"
            ));
        }
        if let Some(why) = &attached.generic {
            told.push(format!("the filter on {now} runs in generic mode, slower: {why}"));
        }
        if let Some(why) = &attached.unpinned {
            told.push(format!(
                "the filter on {now} ends with the daemon, for it cannot be pinned: {why}"
            ));
        }
        let filtered: BTreeSet<u32> = kernel
            .attached()
            .filter(|attached| attached.now.is_some())
            .map(|attached| attached.ifindex)
            .collect();
        told.extend(blind_spots(now, &self.present, &filtered));
        told
    }
}
