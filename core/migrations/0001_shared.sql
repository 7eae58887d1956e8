-- What every part's schema has: wrapped data keys, remembered replies, and the end of each intent.

CREATE TABLE data_key (
    version     integer PRIMARY KEY,
    wrapped     bytea NOT NULL,          -- AES-256-GCM under the keyring's key-encryption key
    kek_version integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE reply (
    request     bytea PRIMARY KEY,       -- keyed hash of caller, operator, method, Idempotency-Key
    reply_id    uuid NOT NULL,           -- row id that the sealed columns are bound to
    body        bytea NOT NULL,          -- keyed hash of the request's body
    intent_id   uuid,                    -- of an act
    answer      bytea,                   -- sealed; null while an act is under way
    receipt     bytea,                   -- sealed; of a read
    deadline    timestamptz NOT NULL,    -- until when a claim without an answer counts as under way
    expires_at  timestamptz NOT NULL
);
CREATE INDEX reply_expires_at ON reply (expires_at);

CREATE TABLE intent_terminal (
    intent_id   uuid PRIMARY KEY,        -- unique: an intent ends once
    completed   boolean NOT NULL,
    outcome     bytea NOT NULL,          -- sealed: the outcome entry, to append it again exactly
    closed_at   timestamptz NOT NULL DEFAULT now()
);

DO $$
BEGIN
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE ON data_key TO %1$I;'
        'GRANT SELECT, INSERT, UPDATE, DELETE ON reply TO %1$I;'
        'GRANT SELECT, INSERT ON intent_terminal TO %1$I',
        'onestop_' || current_schema());
END
$$;
