//! The change that is taken back unless it is confirmed.

use std::{fs, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError, unreadable};
use crate::policy::Author;

/// A change that is taken back unless it is confirmed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingChange {
    /// The command that made it.
    pub what: String,
    /// Who made it.
    pub by: Arc<Author>,
    /// The revision that it made.
    pub revision: u64,
    /// The revision that is gone back to.
    pub back_to: u64,
    /// When.
    pub deadline: Deadline,
    /// The interface that it attached or detached, and what was remembered of that one before.
    pub interface: Option<(String, Option<bool>)>,
}

/// A moment on the boot clock, which nobody sets; after a reboot, on the wall clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deadline {
    until: Timestamp,
    boot_id: String,
    boot_until: i64,
}

/// What the clocks show.
#[derive(Clone, Debug)]
struct Clocks {
    wall: Timestamp,
    boot_id: String,
    since_boot: SignedDuration,
}

impl Clocks {
    fn now() -> Self {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME);
        Self {
            wall: Timestamp::now(),
            boot_id: boot_id(),
            since_boot: since_boot.map_or(SignedDuration::ZERO, |time| {
                SignedDuration::new(time.tv_sec(), i32::try_from(time.tv_nsec()).unwrap_or(0))
            }),
        }
    }
}

impl Deadline {
    /// So many seconds from now, and less than one more: it is kept in whole ones, and never comes early.
    #[must_use]
    pub fn after(seconds: u64) -> Self {
        Self::after_at(seconds, Clocks::now())
    }

    fn after_at(seconds: u64, clocks: Clocks) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let whole =
            |seconds: i64, nanoseconds: i32| seconds.saturating_add((nanoseconds > 0).into());
        let Clocks { wall, boot_id, since_boot } = clocks;
        let until = whole(wall.as_second(), wall.subsec_nanosecond()).saturating_add(seconds);
        Self {
            until: Timestamp::from_second(until).unwrap_or(Timestamp::MAX),
            boot_id,
            boot_until: whole(since_boot.as_secs(), since_boot.subsec_nanos())
                .saturating_add(seconds),
        }
    }

    /// Seconds until then, the last one begun counted; 0 where it has come.
    #[must_use]
    pub fn seconds_left(&self) -> u64 {
        self.seconds_left_at(&Clocks::now())
    }

    fn seconds_left_at(&self, clocks: &Clocks) -> u64 {
        let left = if self.boot_id == clocks.boot_id {
            SignedDuration::from_secs(self.boot_until).saturating_sub(clocks.since_boot)
        } else {
            self.until.duration_since(clocks.wall)
        };
        if left <= SignedDuration::ZERO {
            0
        } else {
            u64::try_from(left.as_secs()).unwrap_or(0).max(1)
        }
    }

    /// The same on the boot clock of now, where it was made before a reboot. A wall clock that the reboot set back to
    /// before the change was `made` does not put it off by more than it was to last.
    fn on_this_boot(self, made: Timestamp, clocks: Clocks) -> Self {
        if self.boot_id == clocks.boot_id {
            return self;
        }
        let left = self.until.duration_since(clocks.wall.max(made));
        let boot_until = clocks.since_boot.saturating_add(left).as_secs();
        Self { boot_id: clocks.boot_id, boot_until, ..self }
    }

    /// When it comes, by the wall clock as it is now.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let left = i64::try_from(self.seconds_left()).unwrap_or(i64::MAX);
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        now.saturating_add(SignedDuration::from_secs(left)).unwrap_or(Timestamp::MAX)
    }
}

/// What the kernel calls this boot (random(4)).
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

impl PendingChange {
    pub(super) fn insert(&self, connection: &Connection, author: i64) -> rusqlite::Result<()> {
        let Deadline { until, boot_id, boot_until } = &self.deadline;
        let interface = self.interface.as_ref();
        connection.execute(
            "INSERT INTO pending VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                self.what,
                author,
                self.revision,
                self.back_to,
                until.as_second(),
                boot_id,
                boot_until,
                interface.map(|(name, _)| name),
                interface.and_then(|(_, was_attached)| *was_attached),
            ],
        )?;
        Ok(())
    }
}

impl Store {
    /// The change that is taken back unless it is confirmed.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn pending(&self) -> Result<Option<PendingChange>, StoreError> {
        let query = "SELECT what, uid, name, revision, back_to, until, boot_id, boot_until,
                            interface, was_attached,
                            (SELECT time FROM revision WHERE number = pending.revision)
                     FROM pending JOIN author ON author.id = pending.author";
        let read = self.connection.query_row(query, [], |row| {
            let interface: Option<String> = row.get(8)?;
            let was_attached = row.get(9)?;
            let made: Option<i64> = row.get(10)?;
            let made = made.and_then(|seconds| Timestamp::from_second(seconds).ok());
            Ok(PendingChange {
                what: row.get(0)?,
                by: Arc::new(Author { uid: row.get(1)?, name: row.get(2)? }),
                revision: row.get(3)?,
                back_to: row.get(4)?,
                deadline: Deadline {
                    until: Timestamp::from_second(row.get(5)?).unwrap_or(Timestamp::MAX),
                    boot_id: row.get(6)?,
                    boot_until: row.get(7)?,
                }
                .on_this_boot(made.unwrap_or(Timestamp::MIN), Clocks::now()),
                interface: interface.map(|name| (name, was_attached)),
            })
        });
        read.optional().map_err(|source| unreadable(&self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(boot: &str, wall: i64, since_boot_ms: i64) -> Clocks {
        Clocks {
            wall: Timestamp::from_millisecond(wall * 1000 + 900).unwrap(),
            boot_id: boot.into(),
            since_boot: SignedDuration::from_millis(since_boot_ms),
        }
    }

    #[test]
    fn it_never_comes_early_and_at_most_a_second_late() {
        for begun in [5000, 5001, 5500, 5999] {
            let deadline = Deadline::after_at(2, clocks("a", 1000, begun));
            let left = |after: i64| deadline.seconds_left_at(&clocks("a", 1000, begun + after));
            assert_eq!(left(0), 2, "begun at {begun}");
            assert!(left(1999) > 0, "early, begun at {begun}");
            assert_eq!(left(3000), 0, "late, begun at {begun}");
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_does_not_move_it() {
        let deadline = Deadline::after_at(60, clocks("a", 1_000_000, 5000));
        for wall in [0, 999_000, 2_000_000] {
            assert_eq!(deadline.seconds_left_at(&clocks("a", wall, 35_000)), 30, "at {wall}");
            assert_eq!(deadline.seconds_left_at(&clocks("a", wall, 65_000)), 0, "at {wall}");
        }
    }

    #[test]
    fn after_a_reboot_it_goes_by_the_wall_clock_unless_that_went_back() {
        let made = Timestamp::from_second(1_000_000).unwrap();
        let deadline = Deadline::after_at(60, clocks("a", 1_000_000, 5000));
        // The wall clock after the reboot, and how much is left then and 40 seconds later.
        for (description, wall, left) in [
            ("right", 1_000_020, [40, 0]),
            ("its time is over", 1_000_100, [0, 0]),
            ("set forward", 2_000_000, [0, 0]),
            ("set back a day", 913_600, [61, 21]),
            ("without a battery", 0, [61, 21]),
        ] {
            let moved = deadline.clone().on_this_boot(made, clocks("b", wall, 10_000));
            let later = |ms: i64| moved.seconds_left_at(&clocks("b", wall, 10_000 + ms));
            assert_eq!([later(0), later(40_000)], left, "{description}");
        }
    }
}
