-- SQLite's own dialect: parameters are question marks.

-- name: durable
PRAGMA synchronous = EXTRA;

-- name: rollback_journal
-- The rollback journal, not the write-ahead log: one file, whole after every transaction.
PRAGMA journal_mode = DELETE;

-- name: make_seen
CREATE TABLE IF NOT EXISTS seen (
    origin TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,  -- SHA-256 of the origin, in hexadecimal
    size   INTEGER NOT NULL,
    root   BLOB NOT NULL,
    note   TEXT NOT NULL          -- with the log's signatures and our cosignature
);

-- name: find_seen
SELECT size, root, note
  FROM seen
 WHERE origin = ?;

-- name: find_seen_by_hash
SELECT size, root, note
  FROM seen
 WHERE digest = ?;

-- name: replace_seen
-- origin, digest, size, root, note; the size that has been there until now, 0 also where there was no row
INSERT INTO seen (origin, digest, size, root, note)
SELECT origin, digest, size, root, note
  FROM (SELECT ?1 AS origin, ?2 AS digest, ?3 AS size, ?4 AS root, ?5 AS note)
 WHERE ?6 = 0 OR EXISTS (SELECT 1 FROM seen WHERE origin = ?1)
ON CONFLICT (origin) DO UPDATE
   SET size = excluded.size, root = excluded.root, note = excluded.note
 WHERE seen.size = ?6;
