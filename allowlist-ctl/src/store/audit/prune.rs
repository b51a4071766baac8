//! Taking the oldest rows off the trail.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    chain::{self, COLUMNS, Checkpoint},
    verify::Walk,
};

/// Rows that a call takes at most, so that nobody waits long for it.
pub const PRUNE_BATCH: u64 = 1000;

/// Takes off the oldest rows that are more than `keep` or older than `older_than`, and moves the checkpoint, in the
/// transaction that is open or one of its own. Returns how many rows it took; after [`PRUNE_BATCH`] there may be more.
///
/// Rows go in the order of their numbers only: the first that is to stay, stays with all after it. They are verified
/// before they go, and the checkpoint remembers an alteration, so that pruning makes no altered trail a whole one.
///
/// # Errors
/// What SQLite says; where it was called in a transaction, that one must be given up.
pub fn prune(
    connection: &Connection,
    keep: u64,
    older_than: Option<Timestamp>,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    chain::in_transaction(connection, || prune_batch(connection, keep, older_than, now))
}

fn prune_batch(
    connection: &Connection,
    keep: u64,
    older_than: Option<Timestamp>,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    // Where head and rows contradict each other, the one that prunes less is believed.
    let newest: i64 = connection
        .prepare_cached(
            "SELECT min(coalesce((SELECT id FROM audit_head), 0),
                        coalesce((SELECT max(id) FROM audit), 0))",
        )?
        .query_row([], |row| row.get(0))?;
    let beyond = newest.saturating_sub_unsigned(keep);
    let oldest_time = older_than.map_or(i64::MIN, Timestamp::as_microsecond);
    let mut walk = Walk::begin(connection)?;
    let before = walk.position.id;
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS}, hash FROM audit ORDER BY id LIMIT ?1"))?;
    let mut rows = statement.query([PRUNE_BATCH])?;
    let (mut pruned, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? > beyond && row.get::<_, i64>(1)? >= oldest_time {
            break;
        }
        last = Some(walk.step(row)?);
        pruned += 1;
    }
    drop(rows);
    if let Some(last) = last {
        let Walk { position, broken, .. } = walk;
        connection.prepare_cached("DELETE FROM audit WHERE id <= ?1")?.execute([last])?;
        connection
            .prepare_cached("DELETE FROM audit_subject WHERE id > ?1 AND id <= ?2")?
            .execute((before, last))?;
        Checkpoint { link: position, time: now.as_microsecond(), broken }.write(connection)?;
    }
    Ok(pruned)
}
