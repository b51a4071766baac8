//! How much of the kernel's memory the entries may take.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A limit in bytes, and what of it is taken; its clones are the same budget.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    limit: u64,
    used: AtomicU64,
    /// Whether more is given than the limit allows.
    is_lifted: AtomicBool,
}

/// More was asked for than is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the entries do not fit: they need at least {} more of the kernel's memory, and {} of {} are in use; raise `memory` under [engine] in the configuration and restart allowlistd, or use fewer entries",
    mebibytes(*.needed), mebibytes(*.used), mebibytes(*.limit)
)]
pub struct OverBudget {
    /// Bytes that were asked for.
    pub needed: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes in all.
    pub limit: u64,
}

/// Part of a budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        let (used, is_lifted) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(State { limit, used, is_lifted }))
    }

    /// Gives what is asked for, or no longer more than the limit allows: what is in force has to stay so, and to be mended,
    /// whatever it takes. Returns how it was before.
    pub(super) fn lift(&self, is_lifted: bool) -> bool {
        self.0.is_lifted.swap(is_lifted, Ordering::Relaxed)
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// [`OverBudget`]; nothing is taken then.
    pub(super) fn reserve(&self, bytes: u64) -> Result<Reservation, OverBudget> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow(bytes)?;
        Ok(reservation)
    }
}

impl Reservation {
    /// Takes more.
    ///
    /// # Errors
    /// [`OverBudget`]; no more is taken then.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), OverBudget> {
        let State { limit, used, is_lifted } = &*self.budget.0;
        let limit = if is_lifted.load(Ordering::Relaxed) { &u64::MAX } else { limit };
        // Asking for nothing is granted, however much is in use.
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| sum <= limit || bytes == 0);
        match used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => self.bytes += bytes,
            Err(used) => return Err(OverBudget { needed: bytes, used, limit: *limit }),
        }
        Ok(())
    }

    /// Gives part of it back.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// Bytes as people read them.
fn mebibytes(bytes: u64) -> String {
    const MEBIBYTE: u64 = 1 << 20;
    match bytes {
        0..MEBIBYTE => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(MEBIBYTE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_is_given_back() {
        let budget = Budget::new(10 << 20);
        let mut first = budget.reserve(4 << 20).unwrap();
        let over = budget.reserve(7 << 20).unwrap_err();
        assert_eq!(over, OverBudget { needed: 7 << 20, used: 4 << 20, limit: 10 << 20 });
        let text =
            "need at least 7 MiB more of the kernel's memory, and 4 MiB of 10 MiB are in use";
        assert!(over.to_string().contains(text), "{over}");
        let second = budget.reserve(6 << 20).unwrap();
        assert!(first.grow(1).is_err());
        first.shrink(1 << 20);
        assert_eq!(budget.used(), 9 << 20);
        drop(second);
        assert!(!budget.lift(true));
        drop(budget.reserve(100 << 20).unwrap());
        assert!(budget.lift(false));
        assert!(budget.reserve(100 << 20).is_err());
        first.grow(7 << 20).unwrap();
        assert_eq!(budget.used(), 10 << 20);
        drop(first);
        assert_eq!(budget.used(), 0);
    }
}
