-- The policy at its current revision, and what it was at those before. One transaction is one revision.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE author (
    id   INTEGER PRIMARY KEY,
    uid  INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (uid, name)
) STRICT;

-- The revisions that are kept. `what` is the command that made it, `moved` how many entries it moved to the past.
-- Times are seconds since 1970.
CREATE TABLE revision (
    number INTEGER PRIMARY KEY,
    time   INTEGER NOT NULL,
    author INTEGER NOT NULL REFERENCES author,
    what   TEXT NOT NULL,
    moved  INTEGER NOT NULL
) STRICT;

-- Services and groups. `number` is that of the kernel; `settings` is JSON; `since` is the revision that made it so.
CREATE TABLE list (
    number   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    kind     TEXT NOT NULL,
    settings TEXT NOT NULL,
    since    INTEGER NOT NULL
) STRICT;

-- The same as they were until a revision, that one excluded.
CREATE TABLE past_list (
    number   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    settings TEXT NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT;
CREATE INDEX past_list_until ON past_list (until);

-- Entries of a list that are current, or were until a revision, that one excluded. Where most of a list changes, its
-- batch ends as a whole, and it gets another one: nothing has to move.
CREATE TABLE batch (
    id    INTEGER PRIMARY KEY,
    list  INTEGER NOT NULL,
    until INTEGER
) STRICT;
CREATE INDEX batch_list ON batch (list);

-- `prefix` is the family (4 or 6), the address and the length, so that its order is that of the policy.
-- `kind` is 0 for allow and 1 for except, `origin` 0 for manual and 1 for a file.
CREATE TABLE entry (
    batch      INTEGER NOT NULL,
    prefix     BLOB NOT NULL,
    kind       INTEGER NOT NULL,
    origin     INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    comment    TEXT,
    author     INTEGER NOT NULL REFERENCES author,
    added_at   INTEGER NOT NULL,
    expires_at INTEGER,
    since      INTEGER NOT NULL,
    PRIMARY KEY (batch, prefix, kind, origin)
) STRICT, WITHOUT ROWID;

-- Single entries as they were until a revision, in the order in which they are written and pruned.
CREATE TABLE past_entry (
    list       INTEGER NOT NULL,
    prefix     BLOB NOT NULL,
    kind       INTEGER NOT NULL,
    origin     INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    comment    TEXT,
    author     INTEGER NOT NULL,
    added_at   INTEGER NOT NULL,
    expires_at INTEGER,
    since      INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (until, list, prefix, kind, origin)
) STRICT, WITHOUT ROWID;

-- Interfaces that somebody attached or detached by command; this beats flags and configuration.
CREATE TABLE interface (
    name     TEXT PRIMARY KEY,
    attached INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Files that groups follow: the SHA-256 of what was last taken from them.
CREATE TABLE followed (
    path TEXT PRIMARY KEY,
    hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The change that is taken back unless it is confirmed, if any. `boot_until` is on the boot clock of `boot_id`;
-- `interface` is the one that was attached or detached, and `was_attached` what was remembered of it before.
CREATE TABLE pending (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    what         TEXT NOT NULL,
    author       INTEGER NOT NULL REFERENCES author,
    revision     INTEGER NOT NULL,
    back_to      INTEGER NOT NULL,
    until        INTEGER NOT NULL,
    boot_id      TEXT NOT NULL,
    boot_until   INTEGER NOT NULL,
    interface    TEXT,
    was_attached INTEGER
) STRICT;
