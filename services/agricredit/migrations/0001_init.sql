-- Partners, what a farmer was asked, what she granted, and each use of it.

CREATE TABLE partner (
    partner_id        text PRIMARY KEY,          -- the client id of its access tokens
    name              text NOT NULL,
    contact           text NOT NULL,             -- as shown to farmers (PIPL article 23)
    encryption_jwk    jsonb NOT NULL,            -- public key that answers are encrypted to (RFC 7517)
    daily_fetches     integer NOT NULL CHECK (daily_fetches > 0),
    open_requests     integer NOT NULL CHECK (open_requests > 0),
    state             text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    CHECK (encryption_jwk ->> 'kty' = 'EC' AND NOT encryption_jwk ? 'd')
);
COMMENT ON COLUMN partner.daily_fetches IS 'fair use: answers a day, in the time of the city';
COMMENT ON COLUMN partner.open_requests IS 'fair use: unanswered consent requests to one farmer';

CREATE TABLE agreement (
    partner_id        text NOT NULL REFERENCES partner (partner_id),
    purpose_code      text NOT NULL CHECK (purpose_code ~ '^[a-z][a-z0-9_]{2,63}$'),
    purpose_text      text NOT NULL,
    items             text[] NOT NULL CHECK (cardinality(items) > 0 AND items <@ '{land_rights,subsidies}'),
    max_validity_days integer NOT NULL CHECK (max_validity_days BETWEEN 1 AND 365),
    max_uses          integer NOT NULL CHECK (max_uses BETWEEN 1 AND 1000),
    keeping           text NOT NULL,             -- how long the partner keeps the data, in words
    PRIMARY KEY (partner_id, purpose_code)
);
COMMENT ON TABLE agreement IS 'purposes and kinds of data that the city has agreed with a partner';

CREATE TABLE partner_day (
    partner_id        text NOT NULL,
    day               date NOT NULL,
    fetches           integer NOT NULL CHECK (fetches >= 0),
    PRIMARY KEY (partner_id, day)
);

CREATE TABLE farmer (
    subject_id        uuid PRIMARY KEY,
    number            bytea NOT NULL             -- sealed: citizen ID number
);
COMMENT ON TABLE farmer IS 'people who were asked for a consent, whether or not any register knows them';

CREATE TABLE farmer_index (
    blind_index       bytea PRIMARY KEY,
    index_version     integer NOT NULL,
    subject_id        uuid NOT NULL
);
CREATE INDEX farmer_index_by_subject ON farmer_index (subject_id);

CREATE TABLE consent_request (
    subject_id        uuid NOT NULL,
    request_id        uuid NOT NULL,
    partner_id        text NOT NULL,
    partner_name      text NOT NULL,             -- as in the text that the farmer sees
    partner_contact   text NOT NULL,
    purpose_code      text NOT NULL,
    purpose_text      text NOT NULL,
    items             text[] NOT NULL CHECK (cardinality(items) > 0),
    max_uses          integer NOT NULL CHECK (max_uses > 0),
    requested_at      timestamptz NOT NULL,
    answer_by         timestamptz NOT NULL,
    valid_until       timestamptz NOT NULL,
    text              text NOT NULL,
    text_sha256       text NOT NULL CHECK (text_sha256 ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (subject_id, request_id)
);
CREATE INDEX consent_request_by_id ON consent_request (request_id);
CREATE INDEX consent_request_newest ON consent_request (subject_id, requested_at DESC, request_id DESC);

CREATE TABLE consent (
    subject_id        uuid NOT NULL,
    consent_id        uuid NOT NULL,
    request_id        uuid NOT NULL,
    partner_id        text NOT NULL,
    partner_name      text NOT NULL,
    purpose_code      text NOT NULL,
    items             text[] NOT NULL CHECK (cardinality(items) > 0),
    max_uses          integer NOT NULL,
    uses              integer NOT NULL DEFAULT 0,
    granted_at        timestamptz NOT NULL,
    valid_until       timestamptz NOT NULL,
    revoked_at        timestamptz,
    text_sha256       text NOT NULL,
    PRIMARY KEY (subject_id, consent_id),
    UNIQUE (subject_id, request_id),             -- a request is granted once
    CHECK (uses BETWEEN 0 AND max_uses)
);
CREATE INDEX consent_by_id ON consent (consent_id);

CREATE TABLE consent_use (
    subject_id        uuid NOT NULL,
    use_id            uuid NOT NULL,
    consent_id        uuid NOT NULL,
    item              text NOT NULL,
    request_key       bytea,                     -- keyed hash: a repeated request takes no second use
    state             text NOT NULL CHECK (state IN ('reserved', 'confirmed', 'released')),
    reserved_at       timestamptz NOT NULL,
    held_until        timestamptz NOT NULL,      -- until when the request that reserved it may be under way
    PRIMARY KEY (subject_id, use_id)
);
COMMENT ON COLUMN consent_use.state IS 'a reservation that was never confirmed counts as used';
CREATE UNIQUE INDEX consent_use_once_per_request
    ON consent_use (subject_id, consent_id, request_key)
 WHERE request_key IS NOT NULL AND state <> 'released';
CREATE INDEX consent_use_by_consent ON consent_use (subject_id, consent_id, reserved_at);

-- Partners and agreements are made by the operator (as owner). Nothing here is ever deleted by the service.
GRANT SELECT ON partner, agreement TO onestop_agricredit;
GRANT SELECT, INSERT, UPDATE ON partner_day, consent, consent_use TO onestop_agricredit;
GRANT SELECT, INSERT ON farmer_index, consent_request TO onestop_agricredit;
GRANT SELECT, INSERT, UPDATE ON farmer TO onestop_agricredit;
