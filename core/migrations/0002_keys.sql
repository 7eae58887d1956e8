-- Rotation of keys (./onestop keys): when each data key came into use and went out of it, and which process
-- knows which keys, so that none is used before every process has it, or dropped while one needs it.

ALTER TABLE data_key
    ADD COLUMN active_at  timestamptz DEFAULT now(),  -- since when it may seal; null: only known as yet
    ADD COLUMN retired_at timestamptz;                -- since when no process seals with it

-- A process says every few seconds what it holds. One that has not done so for a while is gone, or has
-- stopped looking numbers up until it has (core/vault.py).
CREATE TABLE key_holder (
    holder    uuid PRIMARY KEY,
    process   text        NOT NULL,  -- machine and process id, for people
    keyring   text        NOT NULL,  -- fingerprint of the key file that it has loaded
    data_keys integer[]   NOT NULL,  -- versions that it can open
    seals     integer     NOT NULL,  -- version that it seals with
    seen_at   timestamptz NOT NULL DEFAULT now()
);

DO $$
BEGIN
    EXECUTE format(
        'REVOKE UPDATE ON data_key FROM %1$I;'
        'GRANT SELECT, INSERT, UPDATE, DELETE ON key_holder TO %1$I',
        'onestop_' || current_schema());
END
$$;
