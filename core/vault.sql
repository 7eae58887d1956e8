-- name: data_keys
SELECT version, wrapped, kek_version
  FROM data_key
 ORDER BY version;

-- name: insert_data_key
-- $1 version, $2 wrapped key, $3 version of the key-encryption key
INSERT INTO data_key (version, wrapped, kek_version)
VALUES ($1, $2, $3)
    ON CONFLICT (version) DO NOTHING;

-- name: rewrap_data_key
-- $1 version, $2 wrapped key, $3 version of the key-encryption key
UPDATE data_key
   SET wrapped = $2, kek_version = $3
 WHERE version = $1;
