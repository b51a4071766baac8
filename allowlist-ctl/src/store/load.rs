//! Reading the policy.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use jiff::Timestamp;
use rusqlite::Row;

use super::{Store, StoreError, encode, unreadable};
use crate::policy::{Author, Entries, Entry, EntryIds, EntryKey, Name, Policy, Service};

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

impl Store {
    pub(super) fn load(&mut self) -> Result<Policy, StoreError> {
        self.read().map_err(|source| unreadable(&self.path, source))
    }

    fn read(&self) -> rusqlite::Result<Policy> {
        let revision = self.connection.query_row(
            "SELECT value FROM meta WHERE key = 'revision'",
            [],
            |row| row.get(0),
        )?;
        let mut services = self.read_services()?;
        let authors = self.read_authors()?;
        let mut ids = Vec::new();
        for service in services.values_mut() {
            service.entries = self.read_entries(service.number, &authors)?;
            ids.extend(service.entries.iter().map(|(_, entry)| entry.id));
        }
        Ok(Policy {
            revision,
            services: services.into_iter().map(|(name, service)| (name, service.into())).collect(),
            ids: EntryIds::from_taken(ids.into_iter()),
        })
    }

    fn read_services(&self) -> rusqlite::Result<BTreeMap<Name, Service>> {
        let mut statement = self
            .connection
            .prepare("SELECT number, name, mode, when_empty, action FROM service")?;
        let mut services: BTreeMap<Name, Service> =
            statement.query_map([], read_service)?.collect::<rusqlite::Result<_>>()?;
        for service in services.values_mut() {
            let number = service.number;
            for text in
                self.column::<String>("SELECT ports FROM service_port WHERE service = ?1", number)?
            {
                service.ports.insert(expected(text.parse().ok(), "port", text)?);
            }
            service.interfaces = self
                .column("SELECT name FROM service_interface WHERE service = ?1", number)?
                .into_iter()
                .collect::<BTreeSet<String>>();
            let addresses = "SELECT prefix FROM service_address WHERE service = ?1";
            for bytes in self.column::<Vec<u8>>(addresses, number)? {
                let prefix = encode::read_prefix(&bytes);
                service.addresses.insert(expected(prefix, "address", format!("{bytes:?}"))?);
            }
        }
        Ok(services)
    }

    fn column<T: rusqlite::types::FromSql>(
        &self,
        query: &str,
        service: u16,
    ) -> rusqlite::Result<Vec<T>> {
        self.connection.prepare_cached(query)?.query_map([service], |row| row.get(0))?.collect()
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
        service: u16,
        authors: &HashMap<i64, Arc<Author>>,
    ) -> rusqlite::Result<Entries> {
        let mut statement = self.connection.prepare_cached(
            "SELECT prefix, kind, id, comment, author, added_at, expires_at
             FROM entry WHERE service = ?1 ORDER BY prefix, kind",
        )?;
        let rows = statement.query_map([service], |row| read_entry(row, authors))?;
        Ok(Entries::from_sorted(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter()))
    }
}

fn read_service(row: &Row<'_>) -> rusqlite::Result<(Name, Service)> {
    let name: String = row.get(1)?;
    let (mode, when_empty): (String, String) = (row.get(2)?, row.get(3)?);
    let action: String = row.get(4)?;
    let service = Service {
        number: row.get(0)?,
        mode: expected(encode::read_word(mode.clone()), "mode", mode)?,
        when_empty: expected(encode::read_word(when_empty.clone()), "setting", when_empty)?,
        action: expected(encode::read_word(action.clone()), "action", action)?,
        ..Service::default()
    };
    Ok((expected(name.parse().ok(), "name", name)?, service))
}

fn read_entry(
    row: &Row<'_>,
    authors: &HashMap<i64, Arc<Author>>,
) -> rusqlite::Result<(EntryKey, Entry)> {
    let prefix = row.get_ref(0)?.as_blob()?;
    let kind = row.get(1)?;
    let key = EntryKey {
        prefix: expected(encode::read_prefix(prefix), "prefix", format!("{prefix:?}"))?,
        kind: expected(encode::read_kind(kind), "kind", kind)?,
    };
    let author = row.get(4)?;
    let time = |seconds: i64| expected(Timestamp::from_second(seconds).ok(), "time", seconds);
    let entry = Entry {
        id: row.get(2)?,
        comment: row.get_ref(3)?.as_str_or_null()?.map(Into::into),
        added_by: expected(authors.get(&author).cloned(), "author", author)?,
        added_at: time(row.get(5)?)?,
        expires_at: row.get::<_, Option<i64>>(6)?.map(time).transpose()?,
    };
    Ok((key, entry))
}
