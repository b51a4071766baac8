//! What the chain is made of: hashes, the head, the checkpoint.

use std::{fmt::Write as _, iter};

use rusqlite::{
    Connection, OptionalExtension as _, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use sha2::{Digest as _, Sha256};

use super::Hash;
use crate::{policy::audit::Break, store::encode};

/// The columns that a row's hash covers, in its order.
pub(super) const COLUMNS: &str =
    "id, time, uid, name, action, from_revision, to_revision, result, message, details";
/// How many they are.
pub(super) const WIDTH: usize = 10;

/// A place in the chain: a row's number and hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Link {
    pub(super) id: i64,
    /// Of whatever length somebody made it.
    pub(super) hash: Vec<u8>,
}

impl Link {
    /// What row 1 goes on from.
    pub(super) fn start() -> Self {
        Self { id: 0, hash: vec![0; 32] }
    }

    /// The newest row as the trail remembers it.
    pub(super) fn head(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached("SELECT id, hash FROM audit_head")?;
        statement.query_row([], |row| Ok(Self { id: row.get(0)?, hash: row.get(1)? })).optional()
    }
}

/// Where the trail goes on after pruning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Checkpoint {
    /// The newest row that was pruned.
    pub(super) link: Link,
    /// When it was, in microseconds since 1970.
    pub(super) time: i64,
    /// The first alteration of what was pruned.
    pub(super) broken: Option<Break>,
}

impl Checkpoint {
    /// The checkpoint, and whether it bears its seal.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<(Self, bool)>> {
        let mut statement = connection.prepare_cached(
            "SELECT id, hash, time, broken_id, broken, seal FROM audit_checkpoint",
        )?;
        statement.query_row([], read_checkpoint).optional()
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { link: Link { id, hash }, time, broken } = self;
        let word = broken.map(|broken| encode::word(broken.what));
        let columns = [
            ValueRef::Integer(*id),
            ValueRef::Blob(hash),
            ValueRef::Integer(*time),
            broken.map_or(ValueRef::Null, |broken| ValueRef::Integer(broken.id)),
            word.as_deref().into(),
        ];
        let seal = seal(columns);
        let row = columns.into_iter().chain([ValueRef::Blob(&seal.0)]).map(ToSqlOutput::Borrowed);
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO audit_checkpoint VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params_from_iter(row))
            .map(drop)
    }
}

fn read_checkpoint(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Checkpoint, bool)> {
    let mut columns = [ValueRef::Null; 5];
    for (index, column) in columns.iter_mut().enumerate() {
        *column = row.get_ref(index)?;
    }
    let is_whole = seal(columns).0 == *row.get_ref(5)?.as_blob()?;
    let link = Link { id: row.get(0)?, hash: row.get(1)? };
    let what = columns[4].as_bytes_or_null()?.map(String::from_utf8_lossy);
    let what = what.and_then(|word| encode::read_word(word.into_owned()));
    let broken = row.get::<_, Option<i64>>(3)?.zip(what).map(|(id, what)| Break { id, what });
    Ok((Checkpoint { link, time: row.get(2)?, broken }, is_whole))
}

fn seal(columns: [ValueRef<'_>; 5]) -> Hash {
    digest("allowlist audit checkpoint", columns)
}

/// The hash of a row; subjects are in the order of their bytes.
pub(super) fn row_hash(
    previous: &Link,
    columns: [ValueRef<'_>; WIDTH],
    subjects: &[impl AsRef<[u8]>],
) -> Hash {
    let count = i64::try_from(subjects.len()).unwrap_or(i64::MAX);
    let values = [ValueRef::Integer(previous.id), ValueRef::Blob(&previous.hash)]
        .into_iter()
        .chain(columns)
        .chain([ValueRef::Integer(count)])
        .chain(subjects.iter().map(|subject| ValueRef::Text(subject.as_ref())));
    digest("allowlist audit row", values)
}

/// SHA-256 over a purpose and values, each with its type and length.
fn digest<'a>(purpose: &'a str, values: impl IntoIterator<Item = ValueRef<'a>>) -> Hash {
    let mut hasher = Sha256::new();
    for value in iter::once(purpose.into()).chain(values) {
        let (code, number, bytes) = match value {
            ValueRef::Integer(number) => (1, number.to_be_bytes(), [].as_slice()),
            ValueRef::Real(number) => (2, number.to_bits().to_be_bytes(), [].as_slice()),
            ValueRef::Text(text) => (3, (text.len() as u64).to_be_bytes(), text),
            ValueRef::Blob(bytes) => (4, (bytes.len() as u64).to_be_bytes(), bytes),
            ValueRef::Null => {
                hasher.update([5]);
                continue;
            }
        };
        hasher.update([code]);
        hasher.update(number);
        hasher.update(bytes);
    }
    Hash(hasher.finalize().into())
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Does it in the transaction that is open, or in one of its own.
pub(super) fn in_transaction<T>(
    connection: &Connection,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if !connection.is_autocommit() {
        return work();
    }
    let transaction = connection.unchecked_transaction()?;
    let done = work()?;
    transaction.commit()?;
    Ok(done)
}
