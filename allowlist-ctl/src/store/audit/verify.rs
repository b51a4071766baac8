//! Whether the trail is as it was written.

use rusqlite::{CachedStatement, Connection, types::ValueRef};

use super::chain::{self, COLUMNS, Checkpoint, Link, WIDTH};
use crate::policy::audit::{Break, BreakKind};

/// What verifying the trail found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verification {
    /// Number of rows that are there.
    pub rows: u64,
    /// The oldest of them.
    pub first: Option<i64>,
    /// The newest of them.
    pub last: Option<i64>,
    /// Number of rows that were pruned.
    pub pruned: i64,
    /// The head's hash in hexadecimal, to compare with one that was noted elsewhere.
    pub head_hash: String,
    /// Where the trail was altered first; `None` where it is whole.
    pub broken: Option<Break>,
}

/// Verifies the whole trail, row by row.
///
/// # Errors
/// What SQLite says. That the trail was altered is no error.
pub fn verify(connection: &Connection) -> rusqlite::Result<Verification> {
    let mut walk = Walk::begin(connection)?;
    let pruned = walk.position.id;
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS}, hash FROM audit ORDER BY id"))?;
    let mut rows = statement.query([])?;
    let (mut count, mut first, mut last) = (0, None, None);
    while let Some(row) = rows.next()? {
        let id = walk.step(row)?;
        count += 1;
        first.get_or_insert(id);
        last = Some(id);
    }
    let stray = connection.query_row(
        "SELECT min(id) FROM audit_subject WHERE NOT EXISTS (SELECT 1 FROM audit WHERE audit.id = audit_subject.id)",
        [],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    let Walk { head, .. } = &walk;
    let head_hash = head.as_ref().map_or_else(String::new, |head| chain::hex(&head.hash));
    let broken = walk.end(stray);
    Ok(Verification { rows: count, first, last, pruned, head_hash, broken })
}

/// A walk along the chain from its checkpoint.
pub(super) struct Walk<'a> {
    subjects: CachedStatement<'a>,
    head: Option<Link>,
    is_at_beginning: bool,
    /// The last row that was walked over.
    pub(super) position: Link,
    /// The first alteration.
    pub(super) broken: Option<Break>,
}

impl<'a> Walk<'a> {
    pub(super) fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        let subjects = "SELECT name FROM audit_subject WHERE id = ?1 ORDER BY name";
        let (position, broken) = match Checkpoint::read(connection)? {
            None => (Link::start(), None),
            Some((Checkpoint { link, broken, .. }, true)) => (link, broken),
            Some((Checkpoint { link, .. }, false)) => {
                let broken = Break { id: link.id, what: BreakKind::Checkpoint };
                (link, Some(broken))
            }
        };
        Ok(Self {
            subjects: connection.prepare_cached(subjects)?,
            head: Link::head(connection)?,
            is_at_beginning: true,
            position,
            broken,
        })
    }

    /// Walks over the next row (its [`COLUMNS`] and its hash), and returns its number.
    pub(super) fn step(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<i64> {
        let id = row.get(0)?;
        let hash = row.get_ref(WIDTH)?.as_blob()?;
        let next = self.position.id.saturating_add(1);
        if id < next {
            self.found(id, BreakKind::OutOfNowhere);
            return Ok(id);
        }
        let head = self.head.as_ref().map_or(i64::MAX, |head| head.id);
        if id > next && next <= head {
            let what = if self.is_at_beginning {
                BreakKind::MissingAtBeginning
            } else {
                BreakKind::Missing
            };
            self.found(next, what);
        } else if id > head {
            self.found(id, BreakKind::OutOfNowhere);
        } else if self.broken.is_none() && self.computed_hash(id, row)?.0 != *hash {
            self.found(id, BreakKind::Altered);
        }
        self.is_at_beginning = false;
        self.position = Link { id, hash: hash.to_owned() };
        Ok(id)
    }

    fn computed_hash(&mut self, id: i64, row: &rusqlite::Row<'_>) -> rusqlite::Result<super::Hash> {
        let mut columns = [ValueRef::Null; WIDTH];
        for (index, column) in columns.iter_mut().enumerate() {
            *column = row.get_ref(index)?;
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut rows = self.subjects.query([id])?;
        while let Some(row) = rows.next()? {
            names.push(row.get_ref(0)?.as_bytes()?.to_owned());
        }
        Ok(chain::row_hash(&self.position, columns, &names))
    }

    fn found(&mut self, id: i64, what: BreakKind) {
        self.broken.get_or_insert(Break { id, what });
    }

    /// Compares the end with the head; `stray` is the first number that has subjects but no row.
    fn end(mut self, stray: Option<i64>) -> Option<Break> {
        let Link { id: last, .. } = self.position;
        match &self.head {
            Some(head) if head.id > last => self.found(last + 1, BreakKind::MissingAtEnd),
            Some(head) if *head == self.position => {}
            _ => self.found(last, BreakKind::Head),
        }
        match (self.broken, stray) {
            (Some(broken), Some(stray)) if broken.id <= stray => Some(broken),
            (_, Some(id)) => Some(Break { id, what: BreakKind::OutOfNowhere }),
            (broken, None) => broken,
        }
    }
}
