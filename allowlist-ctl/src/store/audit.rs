//! The audit trail: who changed what and when, in a chain of hashes.
//!
//! Rows are numbered from 1 on without a gap. Each has a hash over the hash before it and over everything it says, so
//! that nobody can alter, remove or insert one without breaking the chain; the head keeps number and hash of the newest
//! row. Pruning takes the oldest rows away, verifies them first, and moves the checkpoint: number and hash of the newest
//! row that is gone, so that the chain goes on from there.
//!
//! The chain has no secret: who may write the database can write another trail from the start. Therefore the hash of the
//! head is to be noted elsewhere; a trail that was rewritten does not lead to it.
//!
//! # How the hash is made
//!
//! SHA-256 over a sequence of values as SQLite holds them. A value is its `SQLite` type code in one byte, then
//!
//! | type | code | content |
//! | --- | --- | --- |
//! | INTEGER | 1 | 8 bytes, big-endian two's complement |
//! | REAL | 2 | 8 bytes, big-endian IEEE 754; in no column of ours |
//! | TEXT | 3 | its length in bytes, 8 bytes big-endian; the UTF-8 text |
//! | BLOB | 4 | its length in bytes, 8 bytes big-endian; the bytes |
//! | NULL | 5 | nothing |
//!
//! A row's values: the TEXT `allowlist audit row`; number and hash of the row before it, an INTEGER and a BLOB (those
//! of the checkpoint where that row was pruned; 0 and 32 zero bytes for row 1); the columns `id`, `time`, `uid`, `name`,
//! `action`, `from_revision`, `to_revision`, `result`, `message`, `details`; the number of its subjects, an INTEGER; each
//! subject, a TEXT, in the order of their bytes.
//!
//! The checkpoint's `seal` is made likewise: the TEXT `allowlist audit checkpoint`; its columns `id`, `hash`, `time`,
//! `broken_id`, `broken`.

mod chain;
mod prune;
mod read;
mod verify;

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use rusqlite::{
    Connection, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use serde_json::Value;

use self::chain::Link;
pub use self::{
    prune::{PRUNE_BATCH, prune},
    read::{Filter, Row, read},
    verify::{Verification, verify},
};
use super::encode;
use crate::policy::{Author, audit::AuditResult};

/// The trail's tables.
pub(super) const SCHEMA: &str = include_str!("audit.sql");

/// What somebody did or tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When; kept to the microsecond.
    pub time: Timestamp,
    /// Who.
    pub author: Author,
    /// What was asked for, one word such as `add` or `rollback`.
    pub action: String,
    /// Services, groups and interfaces that it is about.
    pub subjects: BTreeSet<String>,
    /// The policy's revision before.
    pub from_revision: u64,
    /// The policy's revision after; the same where nothing changed.
    pub to_revision: u64,
    /// What came of it.
    pub result: AuditResult,
    /// Why it was refused or failed, or a remark.
    pub message: Option<String>,
    /// What it was before and after; null where there is nothing to tell.
    pub details: Value,
}

/// The hash of a row, and so of the whole trail up to it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Hash([u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain::hex(&self.0))
    }
}

/// Where a record has its place in the trail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// Number of its row.
    pub id: i64,
    /// Hash of the trail up to it.
    pub hash: Hash,
}

/// Appends a record to the trail, in the transaction that is open or one of its own.
///
/// It neither fails on a trail that was altered nor mends it: the chain goes on from the head, and
/// [`verify`] finds the same place as before.
///
/// # Errors
/// What SQLite says; where it was called in a transaction, that one must be given up.
pub fn append(connection: &Connection, record: &Record) -> rusqlite::Result<Appended> {
    chain::in_transaction(connection, || append_row(connection, record))
}

fn append_row(connection: &Connection, record: &Record) -> rusqlite::Result<Appended> {
    let previous = Link::head(connection)?.unwrap_or_else(Link::start);
    let last: i64 = connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM audit")?
        .query_row([], |row| row.get(0))?;
    // A head that is behind the rows was tampered with; numbers are never given twice all the same.
    let id = previous.id.max(last).saturating_add(1);
    let Record { time, author, action, subjects, from_revision, to_revision, .. } = record;
    let result = encode::word(record.result);
    let details = (!record.details.is_null()).then(|| record.details.to_string());
    // What is hashed is what is written.
    let columns = [
        ValueRef::Integer(id),
        ValueRef::Integer(time.as_microsecond()),
        ValueRef::Integer(author.uid.into()),
        author.name.as_str().into(),
        action.as_str().into(),
        revision(*from_revision)?,
        revision(*to_revision)?,
        result.as_str().into(),
        record.message.as_deref().into(),
        details.as_deref().into(),
    ];
    let names: Vec<&String> = subjects.iter().collect();
    let hash = chain::row_hash(&previous, columns, &names);
    let stored = columns.into_iter().chain([ValueRef::Blob(&hash.0)]).map(ToSqlOutput::Borrowed);
    connection
        .prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
        .execute(params_from_iter(stored))?;
    let mut insert = connection.prepare_cached("INSERT INTO audit_subject VALUES (?1, ?2)")?;
    for subject in subjects {
        insert.execute((id, subject))?;
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO audit_head VALUES (1, ?1, ?2)")?
        .execute((id, hash.0))?;
    Ok(Appended { id, hash })
}

fn revision(number: u64) -> rusqlite::Result<ValueRef<'static>> {
    let number = i64::try_from(number)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(ValueRef::Integer(number))
}

#[cfg(test)]
mod tests;
