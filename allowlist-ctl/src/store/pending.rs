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

/// A moment on the boot clock, or on the wall clock after a reboot: nobody moves the former.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deadline {
    until: Timestamp,
    boot_id: String,
    boot_until: i64,
}

impl Deadline {
    /// So many seconds from now.
    #[must_use]
    pub fn after(seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let until = Timestamp::now().as_second().saturating_add(seconds);
        Self {
            until: Timestamp::from_second(until).unwrap_or(Timestamp::MAX),
            boot_id: boot_id(),
            boot_until: boot_seconds().saturating_add(seconds),
        }
    }

    /// Seconds until then; 0 where it has come.
    #[must_use]
    pub fn seconds_left(&self) -> u64 {
        let left = if self.boot_id == boot_id() {
            self.boot_until.saturating_sub(boot_seconds())
        } else {
            self.until.as_second().saturating_sub(Timestamp::now().as_second())
        };
        u64::try_from(left).unwrap_or(0)
    }

    /// When it comes, by the wall clock as it is now.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let left = i64::try_from(self.seconds_left()).unwrap_or(i64::MAX);
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        now.saturating_add(SignedDuration::from_secs(left)).unwrap_or(Timestamp::MAX)
    }
}

fn boot_seconds() -> i64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| time.tv_sec())
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
                            interface, was_attached
                     FROM pending JOIN author ON author.id = pending.author";
        let read = self.connection.query_row(query, [], |row| {
            let interface: Option<String> = row.get(8)?;
            let was_attached = row.get(9)?;
            Ok(PendingChange {
                what: row.get(0)?,
                by: Arc::new(Author { uid: row.get(1)?, name: row.get(2)? }),
                revision: row.get(3)?,
                back_to: row.get(4)?,
                deadline: Deadline {
                    until: Timestamp::from_second(row.get(5)?).unwrap_or(Timestamp::MAX),
                    boot_id: row.get(6)?,
                    boot_until: row.get(7)?,
                },
                interface: interface.map(|name| (name, was_attached)),
            })
        });
        read.optional().map_err(|source| unreadable(&self.path, source))
    }
}
