-- Seals, their keys and who may use them; the record of each signature.

CREATE TABLE seal (
    id              uuid PRIMARY KEY,
    name            text NOT NULL,
    owner_code      text NOT NULL CHECK (owner_code ~ '^[0-9A-HJ-NPQRTUW-Y]{18}$'),  -- USCC, GB 32100
    owner_name      text NOT NULL,
    code            text NOT NULL UNIQUE CHECK (code ~ '^[0-9]{13}$'),               -- anti-forgery code
    standing        smallint NOT NULL CHECK (standing IN (1, 2, 3)),  -- in force, suspended, revoked
    valid_from      timestamptz NOT NULL,
    valid_until     timestamptz NOT NULL CHECK (valid_until > valid_from),
    picture         bytea NOT NULL,                  -- deflated PDF operators, in points
    picture_width   double precision NOT NULL,       -- millimetres
    picture_height  double precision NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_code, name)
);
CREATE INDEX seal_by_name ON seal (name, id);

CREATE TABLE seal_key (
    id                  uuid PRIMARY KEY,
    seal_id             uuid NOT NULL REFERENCES seal (id),
    algorithm           text NOT NULL,
    private_key         bytea NOT NULL,              -- PKCS #8, sealed by the vault for this row
    certificate         bytea NOT NULL,              -- X.509, DER
    certificate_sha256  bytea NOT NULL UNIQUE CHECK (length(certificate_sha256) = 32),
    is_current          boolean NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX seal_key_current ON seal_key (seal_id) WHERE is_current;

CREATE TABLE seal_user (
    seal_id      uuid NOT NULL REFERENCES seal (id),
    office_code  text NOT NULL,
    matter_code  text NOT NULL DEFAULT '',           -- empty: every matter of the office
    granted_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (office_code, seal_id, matter_code)
);
CREATE INDEX seal_user_by_seal ON seal_user (seal_id);

CREATE TABLE signature (
    id               uuid PRIMARY KEY,
    seal_id          uuid NOT NULL REFERENCES seal (id),
    key_id           uuid NOT NULL REFERENCES seal_key (id),
    signed_at        timestamptz NOT NULL,
    document_sha256  bytea NOT NULL CHECK (length(document_sha256) = 32),  -- as the file came
    sealed_sha256    bytea NOT NULL CHECK (length(sealed_sha256) = 32),    -- as it left
    cms_sha256       bytea NOT NULL UNIQUE CHECK (length(cms_sha256) = 32),
    intent_id        uuid NOT NULL UNIQUE,           -- an intent puts one seal
    caller           text NOT NULL,
    office_code      text NOT NULL,
    matter_code      text NOT NULL,
    case_number      text NOT NULL
);
CREATE INDEX signature_by_seal ON signature (seal_id, signed_at);
CREATE INDEX signature_by_file ON signature (sealed_sha256);

-- Making, suspending and revoking a seal is the owner's, not the signing process's.
GRANT SELECT ON seal, seal_key, seal_user TO onestop_eseal;
GRANT SELECT, INSERT ON signature TO onestop_eseal;
