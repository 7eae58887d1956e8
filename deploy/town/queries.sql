-- name: make_books
CREATE SCHEMA IF NOT EXISTS town;
CREATE TABLE IF NOT EXISTS town.load (
    schema_name text        PRIMARY KEY,
    size        integer     NOT NULL,
    seed        bigint      NOT NULL,
    state       text        NOT NULL CHECK (state IN ('loading', 'loaded')),
    began_at    timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz
);
-- Books of before there was a wish for licences: the usual number, which 0 stands for.
ALTER TABLE town.load ADD COLUMN IF NOT EXISTS licences integer NOT NULL DEFAULT 0;

-- name: read_books
SELECT schema_name, size, seed, licences, state
  FROM town.load;

-- name: begin_load
-- $1 schema, $2 people, $3 seed, $4 licences; 0 is the usual number
INSERT INTO town.load (schema_name, size, seed, licences, state)
VALUES ($1, $2, $3, $4, 'loading')
    ON CONFLICT (schema_name) DO UPDATE
   SET size = excluded.size,
       seed = excluded.seed,
       licences = excluded.licences,
       state = 'loading',
       began_at = now(),
       ended_at = NULL;

-- name: end_load
-- $1 schema
UPDATE town.load
   SET state = 'loaded', ended_at = now()
 WHERE schema_name = $1;

-- name: quoted_name
-- $1 schema, $2 table; null where there is none
SELECT format('%I.%I', schemaname, tablename)
  FROM pg_tables
 WHERE schemaname = $1 AND tablename = $2;

-- name: touch_resources
UPDATE datanode.resource
   SET updated_at = now();

-- name: wait_for_workers
-- $1 the workers' lock; those of a loader that was killed end at their next village
SELECT pg_advisory_lock($1), pg_advisory_unlock($1);
