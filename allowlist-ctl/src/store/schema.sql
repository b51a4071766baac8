-- The policy at its current revision. One transaction is one revision.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- `number` is the kernel's number of the service.
CREATE TABLE service (
    number     INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    mode       TEXT NOT NULL,
    action     TEXT NOT NULL,
    when_empty TEXT NOT NULL
) STRICT;

CREATE TABLE service_port (
    service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,
    ports   TEXT NOT NULL,
    PRIMARY KEY (service, ports)
) STRICT, WITHOUT ROWID;

CREATE TABLE service_interface (
    service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,
    name    TEXT NOT NULL,
    PRIMARY KEY (service, name)
) STRICT, WITHOUT ROWID;

-- `prefix` as in `entry`.
CREATE TABLE service_address (
    service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,
    prefix  BLOB NOT NULL,
    PRIMARY KEY (service, prefix)
) STRICT, WITHOUT ROWID;

CREATE TABLE author (
    id   INTEGER PRIMARY KEY,
    uid  INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (uid, name)
) STRICT;

-- `prefix` is the family (4 or 6), the address and the length, so that its order is that of the policy.
-- `kind` is 0 for allow and 1 for except. Times are seconds since 1970.
CREATE TABLE entry (
    service    INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,
    prefix     BLOB NOT NULL,
    kind       INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    comment    TEXT,
    author     INTEGER NOT NULL REFERENCES author,
    added_at   INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (service, prefix, kind)
) STRICT, WITHOUT ROWID;

-- Interfaces that somebody attached or detached by command; this beats flags and configuration.
CREATE TABLE interface (
    name     TEXT PRIMARY KEY,
    attached INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
