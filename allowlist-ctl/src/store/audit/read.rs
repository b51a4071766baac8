//! Reading the trail.

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, types::Type};

use super::{
    Hash, Record,
    chain::{COLUMNS, WIDTH},
};
use crate::{policy::Author, store::encode};

/// Which rows are to be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// Only those about this service, group or interface.
    pub name: Option<String>,
    /// Only those of this moment and later.
    pub since: Option<Timestamp>,
    /// At most so many, the latest.
    pub limit: usize,
}

/// A row of the trail.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number.
    pub id: i64,
    /// What it tells.
    pub record: Record,
    /// The hash of the trail up to it.
    pub hash: Hash,
}

/// A value that no row can have unless somebody altered it.
#[derive(Debug, thiserror::Error)]
#[error("row {id} of the audit trail cannot be read: its {what} is impossible")]
struct Unreadable {
    id: i64,
    what: &'static str,
}

/// Reads the latest rows, in the order in which they were written.
///
/// # Errors
/// What SQLite says; a row that cannot be read is named.
pub fn read(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Row>> {
    let Filter { name, since, limit } = filter;
    let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
    let since = since.map(Timestamp::as_microsecond);
    // Clocks are set back, so rows are not in the order of their times.
    let first = match since {
        None => Some(i64::MIN),
        Some(since) => {
            connection.prepare_cached(FIRST_SINCE)?.query_row([since], |row| row.get(0))?
        }
    };
    let Some(first) = first else { return Ok(Vec::new()) };
    let since = since.unwrap_or(i64::MIN);
    let mut subjects =
        connection.prepare_cached("SELECT name FROM audit_subject WHERE id = ?1 ORDER BY name")?;
    let mut statement = connection.prepare_cached(&query(name.is_some()))?;
    let mut rows = match name {
        None => statement.query((first, since, limit))?,
        Some(name) => statement.query((first, since, limit, name))?,
    };
    let mut latest = Vec::new();
    while let Some(row) = rows.next()? {
        latest.push(read_row(row, &mut subjects)?);
    }
    latest.reverse();
    Ok(latest)
}

const FIRST_SINCE: &str = "SELECT min(id) FROM audit INDEXED BY audit_time WHERE time >= ?1";

/// The query for the latest rows. Its plan walks back from the newest row, or the newest of the name, and ends at the limit.
fn query(with_name: bool) -> String {
    if with_name {
        format!(
            "SELECT {COLUMNS}, hash
             FROM (SELECT id AS subject FROM audit_subject WHERE name = ?4 AND id >= ?1)
             CROSS JOIN audit ON id = subject
             WHERE time >= ?2 ORDER BY subject DESC LIMIT ?3"
        )
    } else {
        format!(
            "SELECT {COLUMNS}, hash FROM audit
             WHERE id >= ?1 AND time >= ?2 ORDER BY id DESC LIMIT ?3"
        )
    }
}

fn read_row(row: &rusqlite::Row<'_>, subjects: &mut CachedStatement<'_>) -> rusqlite::Result<Row> {
    let id = row.get(0)?;
    let unreadable = |what| {
        let error = Unreadable { id, what };
        rusqlite::Error::FromSqlConversionFailure(0, Type::Null, error.into())
    };
    let text = |column, what| row.get::<_, String>(column).map_err(|_| unreadable(what));
    let revision = |column| row.get::<_, u64>(column).map_err(|_| unreadable("revision"));
    let time = row.get(1)?;
    let message: Option<String> = row.get(8).map_err(|_| unreadable("message"))?;
    let details = row.get_ref(9)?.as_str_or_null().map_err(|_| unreadable("details"))?;
    let details = details.map(serde_json::from_str).transpose();
    let hash: [u8; 32] = row.get(WIDTH).map_err(|_| unreadable("hash"))?;
    let names = subjects.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>();
    let record = Record {
        time: Timestamp::from_microsecond(time).map_err(|_| unreadable("time"))?,
        author: Author {
            uid: row.get(2).map_err(|_| unreadable("uid"))?,
            name: text(3, "user's name")?,
        },
        action: text(4, "action")?,
        subjects: names.map_err(|_| unreadable("subject"))?,
        from_revision: revision(5)?,
        to_revision: revision(6)?,
        result: encode::read_word(text(7, "result")?).ok_or_else(|| unreadable("result"))?,
        message,
        details: details.map_err(|_| unreadable("details"))?.unwrap_or_default(),
    };
    Ok(Row { id, record, hash: Hash(hash) })
}

#[cfg(test)]
mod tests;
