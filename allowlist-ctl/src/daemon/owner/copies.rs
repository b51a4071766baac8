//! When the store is copied.

use std::time::{Duration, Instant};

use tracing::info;

use super::Owner;
use crate::{
    api::DegradedPart,
    store::{CopyError, GoodCopy, Store},
};

/// So long a copy is good enough, however often the policy changes.
const NEXT: Duration = Duration::from_hours(1);
/// A copy that could not be made is tried again after this time.
const AGAIN: Duration = Duration::from_mins(1);
/// Between some pages and the next nothing is done, so that the disk is free for others.
pub(super) const PAUSE: Duration = Duration::from_millis(2);

/// The last copy, and when the next one may be made.
pub(super) struct Copies {
    last: Option<GoodCopy>,
    next: Instant,
}

impl Copies {
    /// Those of a store whose policy is at a revision.
    pub(super) fn of(store: &Store, revision: u64) -> Self {
        let last = GoodCopy::of(store.path());
        let is_current =
            last.as_ref().is_some_and(|last| last.identity == store.identity(revision));
        let wait = if is_current { NEXT } else { Duration::ZERO };
        Self { last, next: Instant::now() + wait }
    }
}

impl Owner {
    /// Begins to copy the store, where a copy is due.
    pub(super) fn copy_if_due(&mut self) {
        let identity = self.store.identity(self.policy.revision);
        let is_current = self.copies.last.as_ref().is_some_and(|last| last.identity == identity);
        let is_due = !is_current && Instant::now() >= self.copies.next;
        if !is_due || self.store.is_copying() || self.trouble.has(DegradedPart::Store) {
            return;
        }
        if let Err(error) = self.store.begin_copy() {
            self.copy_failed(&error);
        }
    }

    /// Copies some more of the store.
    pub(super) fn copy_some(&mut self) {
        match self.store.continue_copy() {
            Ok(None) => {}
            Ok(Some(copy)) => {
                info!(path = %copy.path.display(), revision = copy.identity.revision, "copied the store");
                self.copies = Copies { last: Some(copy), next: Instant::now() + NEXT };
                self.trouble.over(DegradedPart::Copy);
            }
            Err(error) => self.copy_failed(&error),
        }
    }

    /// Tries a copy that failed again at once, for what was in its way may be gone.
    pub(super) fn copy_again(&mut self) {
        if self.trouble.has(DegradedPart::Copy) {
            self.copies.next = Instant::now();
        }
    }

    fn copy_failed(&mut self, error: &CopyError) {
        self.copies.next = Instant::now() + AGAIN;
        self.trouble.begin(DegradedPart::Copy, error);
    }
}
