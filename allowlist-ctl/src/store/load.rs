//! Reading the policy, as it is or as it was.

use std::{collections::HashMap, fmt, sync::Arc};

use jiff::Timestamp;
use rusqlite::params;

use super::{Store, StoreError, encode, unreadable};
use crate::policy::{
    Author, Entries, Entry, EntryIds, EntryKey, Group, ListNumber, Name, Policy, Service,
    difference::{GroupTerms, ServiceTerms},
};

/// A value that cannot be in the database unless it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("{what} '{value}' cannot be read")]
struct Unexpected {
    what: &'static str,
    value: String,
}

fn expected<T>(
    value: Option<T>,
    what: &'static str,
    shown: impl fmt::Display,
) -> rusqlite::Result<T> {
    value.ok_or_else(|| {
        let error = Unexpected { what, value: shown.to_string() };
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, error.into())
    })
}

/// A list as the database has it, but for its entries.
struct Row {
    number: ListNumber,
    name: Name,
    kind: String,
    settings: String,
}

impl Store {
    /// The policy as it is, or as it was at a kept revision.
    pub(super) fn load(&self, revision: Option<u64>) -> Result<Policy, StoreError> {
        self.read(revision).map_err(|source| unreadable(&self.path, source))
    }

    fn read(&self, revision: Option<u64>) -> rusqlite::Result<Policy> {
        let current = self.connection.query_row(
            "SELECT value FROM meta WHERE key = 'revision'",
            [],
            |row| row.get(0),
        )?;
        let revision = revision.unwrap_or(current);
        let entries = if revision == current { CURRENT } else { PAST };
        let authors = self.read_authors()?;
        let mut policy = Policy { revision, ..Policy::default() };
        let mut ids = Vec::new();
        for row in self.read_lists(revision)? {
            let entries = self.read_entries(entries, row.number, revision, &authors)?;
            ids.extend(entries.iter().map(|(_, entry)| entry.id));
            match row.kind.as_str() {
                encode::SERVICE => {
                    let service = read_service(row.number, &row.settings, entries)?;
                    policy.services.insert(row.name, Arc::new(service));
                }
                encode::GROUP => {
                    let terms: Option<GroupTerms> = encode::read_json(&row.settings);
                    let GroupTerms { follow } = expected(terms, "group", &row.settings)?;
                    let group = Group { number: row.number, follow, entries };
                    policy.groups.insert(row.name, Arc::new(group));
                }
                other => expected(None, "kind of list", other)?,
            }
        }
        policy.ids = EntryIds::from_taken(ids.into_iter());
        Ok(policy)
    }

    fn read_lists(&self, revision: u64) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT number, name, kind, settings FROM list WHERE since <= ?1
             UNION ALL
             SELECT number, name, kind, settings FROM past_list WHERE since <= ?1 AND until > ?1",
        )?;
        let rows = statement.query_map([revision], |row| {
            let name: String = row.get(1)?;
            Ok(Row {
                number: row.get(0)?,
                name: expected(name.parse().ok(), "name", name)?,
                kind: row.get(2)?,
                settings: row.get(3)?,
            })
        })?;
        rows.collect()
    }

    fn read_authors(&self) -> rusqlite::Result<HashMap<i64, Arc<Author>>> {
        let mut statement = self.connection.prepare("SELECT id, uid, name FROM author")?;
        let authors = statement.query_map([], |row| {
            Ok((row.get(0)?, Arc::new(Author { uid: row.get(1)?, name: row.get(2)? })))
        })?;
        authors.collect()
    }

    fn read_entries(
        &self,
        query: &str,
        list: ListNumber,
        revision: u64,
        authors: &HashMap<i64, Arc<Author>>,
    ) -> rusqlite::Result<Entries> {
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement
            .query_map(params![list, revision], |row| read_entry(row, authors))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Entries::from_sorted(rows.into_iter()))
    }
}

/// Reads the entries of a list, all of which are current.
const CURRENT: &str = "SELECT prefix, kind, origin, id, comment, author, added_at, expires_at
        FROM entry WHERE batch = (SELECT id FROM batch WHERE list = ?1 AND until IS NULL)
        AND since <= ?2 ORDER BY prefix, kind, origin";
/// Reads the entries of a list at an earlier revision.
const PAST: &str = "SELECT prefix, kind, origin, entry.id, comment, author, added_at, expires_at
        FROM batch JOIN entry ON entry.batch = batch.id
        WHERE list = ?1 AND since <= ?2 AND (until IS NULL OR until > ?2)
        UNION ALL
        SELECT prefix, kind, origin, id, comment, author, added_at, expires_at
        FROM past_entry WHERE list = ?1 AND since <= ?2 AND until > ?2
        ORDER BY 1, 2, 3";

fn read_service(number: ListNumber, settings: &str, entries: Entries) -> rusqlite::Result<Service> {
    let terms = expected(encode::read_json(settings), "service", settings)?;
    let ServiceTerms { ports, interfaces, addresses, include, mode, action, when_empty } = terms;
    let includes = include;
    Ok(Service {
        number,
        ports,
        interfaces,
        addresses,
        mode,
        action,
        when_empty,
        includes,
        entries,
    })
}

fn read_entry(
    row: &rusqlite::Row<'_>,
    authors: &HashMap<i64, Arc<Author>>,
) -> rusqlite::Result<(EntryKey, Entry)> {
    let prefix = row.get_ref(0)?.as_blob()?;
    let (kind, origin) = (row.get(1)?, row.get(2)?);
    let key = EntryKey {
        prefix: expected(encode::read_prefix(prefix), "prefix", format!("{prefix:?}"))?,
        kind: expected(encode::read_kind(kind), "kind", kind)?,
        origin: expected(encode::read_origin(origin), "origin", origin)?,
    };
    let author = row.get(5)?;
    let time = |seconds: i64| expected(Timestamp::from_second(seconds).ok(), "time", seconds);
    let entry = Entry {
        id: row.get(3)?,
        comment: row.get_ref(4)?.as_str_or_null()?.map(Into::into),
        added_by: expected(authors.get(&author).cloned(), "author", author)?,
        added_at: time(row.get(6)?)?,
        expires_at: row.get::<_, Option<i64>>(7)?.map(time).transpose()?,
    };
    Ok((key, entry))
}
