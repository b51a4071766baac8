//! What does not work, from when it begins until its cause is gone.
//!
//! What is enforced stays enforced meanwhile. The log is told once when something begins and once when it is over, and
//! `status` as long as it lasts; every second it is tried whether it still does.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{error, info};

use super::{Owner, now};
use crate::{
    api::{Degraded, DegradedPart, Problem},
    daemon::{explain::explain_store, shared::Shared},
    store::StoreError,
};

/// How often a damaged store is read from end to end, to see whether it is whole again.
const READ_AGAIN: Duration = Duration::from_mins(1);

/// See the module.
pub(super) struct Troubles {
    shared: Arc<Shared>,
    now: BTreeMap<DegradedPart, Degraded>,
    /// When a store that is damaged is to be read again.
    read_again: Option<Instant>,
}

impl Troubles {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, now: BTreeMap::new(), read_again: None }
    }

    /// Something does not work.
    pub(super) fn begin(&mut self, what: DegradedPart, message: impl Display) {
        let message = message.to_string();
        let known = self.now.get(&what);
        if known.is_some_and(|known| known.message == message) {
            return;
        }
        error!(degraded = what.word(), "{message}");
        let since = known.map_or_else(now, |known| known.since);
        self.now.insert(what, Degraded { what, message, since });
        self.tell();
    }

    /// It works.
    pub(super) fn over(&mut self, what: DegradedPart) {
        if let Some(Degraded { since, .. }) = self.now.remove(&what) {
            info!(%since, "well again: {}", what.word());
            self.tell();
        }
    }

    /// It works, or it does not.
    pub(super) fn note(&mut self, what: DegradedPart, result: Result<(), impl Display>) {
        match result {
            Ok(()) => self.over(what),
            Err(error) => self.begin(what, error),
        }
    }

    /// The store does not work; what callers are told of that.
    pub(super) fn of_store(&mut self, error: &StoreError) -> Problem {
        if matches!(error, StoreError::Damaged { .. } | StoreError::Foreign(_)) {
            self.read_again.get_or_insert_with(|| Instant::now() + READ_AGAIN);
        }
        self.begin(DegradedPart::Store, error);
        explain_store(error)
    }

    pub(super) fn has(&self, what: DegradedPart) -> bool {
        self.now.contains_key(&what)
    }

    /// What is said of it, where it does not work.
    pub(super) fn message(&self, what: DegradedPart) -> Option<&str> {
        self.now.get(&what).map(|known| known.message.as_str())
    }

    fn tell(&self) {
        self.shared.set_degraded(self.now.values().cloned().collect());
    }
}

impl Owner {
    /// Tries whether the store works again.
    pub(super) fn try_store(&mut self) {
        if !self.trouble.has(DegradedPart::Store) {
            // Though nobody changes anything: the next start would not find it.
            if let Err(error) = self.store.check_there() {
                drop(self.trouble.of_store(&error));
            }
            return;
        }
        let was_damaged = self.trouble.read_again;
        if was_damaged.is_some_and(|next| Instant::now() < next) {
            return;
        }
        self.trouble.read_again = None;
        match self.store.probe(was_damaged.is_some()) {
            Ok(()) => {
                self.trouble.over(DegradedPart::Store);
                self.copy_again();
            }
            Err(error) => drop(self.trouble.of_store(&error)),
        }
    }

    /// Sees to it that it is pinned which store is in force, and that something else could be.
    pub(super) fn try_pins(&mut self) {
        let identity = self.store.identity(self.policy.revision);
        let pinned = self.kernel.check_pins(&identity, self.is_noted);
        self.is_noted = pinned.is_ok();
        let pinned = pinned.map_err(|error| error.to_string());
        let again = self.kernel.pin_again().map_err(|error| error.to_string());
        let ends: Vec<&str> = self
            .kernel
            .attached()
            .filter(|attached| attached.unpinned.is_some())
            .map(|attached| attached.interface.as_str())
            .collect();
        let links = match ends.as_slice() {
            [] => Ok(()),
            ends => Err(format!("the filter on {} ends with this daemon", ends.join(", "))),
        };
        let all: Vec<String> = [pinned, again, links].into_iter().filter_map(Result::err).collect();
        let result = if all.is_empty() { Ok(()) } else { Err(all.join("; ")) };
        self.trouble.note(DegradedPart::Pins, result);
    }

    /// Pins that the store has the policy in force, at its revision.
    pub(super) fn note_store(&mut self) {
        let noted = self.kernel.note_store(&self.store.identity(self.policy.revision));
        self.is_noted = noted.is_ok();
        if let Err(error) = noted {
            self.trouble.begin(DegradedPart::Pins, error);
        }
    }
}
