-- name: data_keys
SELECT version, wrapped, kek_version, active_at
  FROM data_key
 ORDER BY version;

-- name: insert_data_key
-- The first one, in use at once.
-- $1 version, $2 wrapped key, $3 version of the key-encryption key
INSERT INTO data_key (version, wrapped, kek_version)
VALUES ($1, $2, $3)
    ON CONFLICT (version) DO NOTHING;

-- name: hold_keys
-- $1 holder, $2 process, $3 keyring, $4 versions of data keys, $5 version that it seals with
INSERT INTO key_holder (holder, process, keyring, data_keys, seals, seen_at)
VALUES ($1, $2, $3, $4, $5, now())
    ON CONFLICT (holder) DO UPDATE
   SET keyring = excluded.keyring, data_keys = excluded.data_keys, seals = excluded.seals,
       seen_at = excluded.seen_at;

-- name: forget_old_holders
DELETE FROM key_holder
 WHERE seen_at < now() - interval '1 day';

-- name: leave
-- $1 holder
DELETE FROM key_holder
 WHERE holder = $1;
