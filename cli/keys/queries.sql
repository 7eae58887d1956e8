-- The fixed statements of `./onestop keys`; those about a part's own tables are made from its list (tables.py,
-- indexes.py). Parameters are named, because psycopg runs them.

-- name: use_schema
SELECT set_config('search_path', %(schema)s, false);

-- name: take_part
-- One rotation at a time for each part; the lock ends with the session. Its number is made from the table's,
-- so that parts do not meet.
SELECT pg_try_advisory_lock((1870::bigint << 32) | 'data_key'::regclass::oid::bigint) AS taken;

-- name: brief_lock
SELECT set_config('lock_timeout', %(timeout)s, true);

-- name: brief_lock_for_all
SELECT set_config('lock_timeout', %(timeout)s, false);

-- name: data_keys
SELECT version, wrapped, kek_version, active_at, retired_at
  FROM data_key
 ORDER BY version;

-- name: live_holders
SELECT process, keyring, data_keys, seals
  FROM key_holder
 WHERE seen_at > now() - make_interval(secs => %(gone)s)
 ORDER BY process, holder;

-- name: announce_data_key
INSERT INTO data_key (version, wrapped, kek_version, active_at)
VALUES (%(version)s, %(wrapped)s, %(kek_version)s, NULL);

-- name: activate_data_key
UPDATE data_key
   SET active_at = now()
 WHERE version = %(version)s AND active_at IS NULL;

-- name: retire_data_keys
UPDATE data_key
   SET retired_at = now()
 WHERE version < %(version)s AND retired_at IS NULL;

-- name: seconds_since_retired
SELECT extract(epoch FROM now() - max(retired_at))::float8 AS seconds
  FROM data_key
 WHERE version < %(version)s;

-- name: drop_data_keys
DELETE FROM data_key
 WHERE version < %(version)s;

-- name: lock_data_keys
LOCK TABLE data_key IN SHARE ROW EXCLUSIVE MODE;

-- name: rewrap_data_key
UPDATE data_key
   SET wrapped = %(wrapped)s, kek_version = %(kek_version)s
 WHERE version = %(version)s;

-- name: rewrite_data_keys
-- So that what was dropped, and what the old key-encryption key had wrapped, is gone from the table's file.
VACUUM (FULL) data_key;

-- name: fences
-- The rules of tables that refuse what old keys made.
SELECT conname AS name, convalidated AS proved
  FROM pg_constraint
 WHERE conrelid = %(table)s::text::regclass
   AND contype = 'c'
   AND conname ~ %(pattern)s;

-- name: column_types
SELECT attname AS name, format_type(atttypid, NULL) AS type
  FROM pg_attribute
 WHERE attrelid = %(table)s::text::regclass
   AND attnum > 0
   AND NOT attisdropped;

-- name: bytea_columns
SELECT table_name AS table, column_name AS column
  FROM information_schema.columns
 WHERE table_schema = current_schema()
   AND data_type = 'bytea'
   AND table_name NOT LIKE '\_yoyo%%'
 ORDER BY table_name, ordinal_position;

-- name: live_signers
-- The ledgers that sign, or may still.
SELECT process, signs, knows
  FROM signer
 WHERE seen_at > now() - make_interval(secs => %(gone)s)
 ORDER BY process, signer;

-- name: key_beside
INSERT INTO signing_key (verifier_key, both_since)
VALUES (%(key)s, now())
ON CONFLICT (verifier_key) DO NOTHING;

-- name: seconds_beside
SELECT extract(epoch FROM now() - both_since)::float8 AS seconds
  FROM signing_key
 WHERE verifier_key = %(key)s;

-- name: key_not_alone_yet
SELECT verifier_key
  FROM signing_key
 WHERE verifier_key = %(key)s AND alone_since IS NULL;

-- name: key_alone
UPDATE signing_key
   SET alone_since = now()
 WHERE verifier_key = %(key)s AND alone_since IS NULL;
