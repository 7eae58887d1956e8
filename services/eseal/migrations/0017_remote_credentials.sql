-- Remote signing for companies: credentials whose keys only their holders' factors release, what was authorised
-- with them, and the record of each signature.

CREATE TABLE remote_credential (
    id                 uuid PRIMARY KEY,
    owner_code         text NOT NULL CHECK (owner_code ~ '^[0-9A-HJ-NPQRTUW-Y]{18}$'),  -- USCC, GB 32100
    owner_name         text NOT NULL,
    holder             text NOT NULL CHECK (holder ~ '^[A-Za-z0-9_.@-]{1,64}$'),        -- account at the company
    application        text NOT NULL,                   -- client id of the one application that may use it
    algorithm          text NOT NULL,
    state              smallint NOT NULL DEFAULT 1 CHECK (state IN (1, 2, 3, 4)),  -- prepared, waiting, ready, revoked
    enrolment_sha256   bytea CHECK (length(enrolment_sha256) = 32),  -- of the code; null once it is used
    enrolment_until    timestamptz NOT NULL,
    attempts           smallint NOT NULL DEFAULT 0,     -- wrong factors in a row
    salt               bytea CHECK (length(salt) = 16),
    wrapped_key        bytea,                           -- PKCS #8 under the holder's factors, sealed by the vault
    request            bytea,                           -- PKCS #10, DER
    certificate        bytea,                           -- X.509, DER
    valid_from         timestamptz,
    valid_until        timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    CHECK (state <> 3 OR (wrapped_key IS NOT NULL AND certificate IS NOT NULL))
);
CREATE INDEX remote_credential_by_application ON remote_credential (application, id);

CREATE TABLE remote_authorisation (
    id             uuid PRIMARY KEY,
    credential_id  uuid NOT NULL REFERENCES remote_credential (id),
    secret_sha256  bytea NOT NULL CHECK (length(secret_sha256) = 32),  -- of the SAD's secret, 32 random bytes
    wrapped_key    bytea,                               -- the key under the SAD's secret, sealed; null once spent
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL
);
CREATE INDEX remote_authorisation_by_credential ON remote_authorisation (credential_id);
CREATE INDEX remote_authorisation_open ON remote_authorisation (expires_at) WHERE wrapped_key IS NOT NULL;

CREATE TABLE remote_digest (
    authorisation_id  uuid NOT NULL REFERENCES remote_authorisation (id) ON DELETE CASCADE,
    position          smallint NOT NULL,
    digest            bytea NOT NULL,
    signature_id      uuid UNIQUE,                      -- what it was spent on
    PRIMARY KEY (authorisation_id, position)
);

CREATE TABLE remote_signature (
    id                uuid PRIMARY KEY,
    credential_id     uuid NOT NULL REFERENCES remote_credential (id),
    authorisation_id  uuid NOT NULL,
    intent_id         uuid NOT NULL,                    -- an act signs a batch
    digest            bytea NOT NULL,
    signed_at         timestamptz NOT NULL,
    caller            text NOT NULL
);
CREATE INDEX remote_signature_by_credential ON remote_signature (credential_id, signed_at);
CREATE INDEX remote_signature_by_intent ON remote_signature (intent_id);

-- Preparing, certifying, unlocking and revoking a credential is the operators', not the signing process's.
GRANT SELECT ON remote_credential TO onestop_eseal;
GRANT UPDATE (state, enrolment_sha256, attempts, salt, wrapped_key, request) ON remote_credential TO onestop_eseal;
GRANT SELECT, INSERT, DELETE ON remote_authorisation, remote_digest TO onestop_eseal;
GRANT UPDATE (wrapped_key) ON remote_authorisation TO onestop_eseal;
GRANT UPDATE (signature_id) ON remote_digest TO onestop_eseal;
GRANT SELECT, INSERT ON remote_signature TO onestop_eseal;
GRANT SELECT (id, credential_id, intent_id, signed_at, caller) ON remote_signature TO onestop_auditor;
