-- The audit trail: rows numbered from 1 on without a gap, each with a hash over the one before it. The module's
-- documentation says how the hash is made. Times are microseconds since 1970.
CREATE TABLE audit (
    id            INTEGER PRIMARY KEY,
    time          INTEGER NOT NULL,
    uid           INTEGER NOT NULL,
    name          TEXT NOT NULL,
    action        TEXT NOT NULL,
    from_revision INTEGER NOT NULL,
    to_revision   INTEGER NOT NULL,
    result        TEXT NOT NULL,
    message       TEXT,
    details       TEXT,
    hash          BLOB NOT NULL
) STRICT;

CREATE INDEX audit_time ON audit (time);

-- What a row is about. No foreign key: a row that somebody deletes must not take this trace of it along.
CREATE TABLE audit_subject (
    id   INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_subject_name ON audit_subject (name, id);

-- The newest row, so that it is missed when it is cut off.
CREATE TABLE audit_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id   INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

INSERT INTO audit_head VALUES (1, 0, zeroblob(32));

-- The newest row that was pruned, when, and the first alteration that was found in what was pruned. No row: nothing
-- was pruned yet.
CREATE TABLE audit_checkpoint (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    id        INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    time      INTEGER NOT NULL,
    broken_id INTEGER,
    broken    TEXT,
    seal      BLOB NOT NULL
) STRICT;
