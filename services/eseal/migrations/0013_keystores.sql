-- A seal's key lies in this table, sealed by the vault, or on a token (PKCS #11), whose label stands here then.
ALTER TABLE seal_key ADD COLUMN keystore text NOT NULL DEFAULT 'vault' CHECK (keystore IN ('vault', 'token'));
ALTER TABLE seal_key ADD COLUMN token text CHECK (length(token) BETWEEN 1 AND 32);
ALTER TABLE seal_key ALTER COLUMN private_key DROP NOT NULL;
ALTER TABLE seal_key ADD CONSTRAINT seal_key_lies_in_one
    CHECK ((keystore = 'token') = (token IS NOT NULL) AND (keystore = 'vault' OR private_key IS NULL));
-- Certificates between the key's own and its root, DER, one behind another; null where there is none.
ALTER TABLE seal_key ADD COLUMN chain bytea;
-- Of a certificate that came from outside, whose validity need not be the seal's: nothing is sealed beyond either.
ALTER TABLE seal_key ADD COLUMN not_before timestamptz;
ALTER TABLE seal_key ADD COLUMN not_after timestamptz CHECK (not_after > not_before);

-- A key that waits for its certificate: it was asked for by a request (PKCS #10) that a real authority answers.
-- Nothing is sealed with it before, and the service's own role does not even see it.
CREATE TABLE key_request (
    id            uuid PRIMARY KEY,                   -- of the key; on a token its CKA_ID
    seal_id       uuid NOT NULL UNIQUE REFERENCES seal (id),  -- one at a time
    algorithm     text NOT NULL,
    keystore      text NOT NULL CHECK (keystore IN ('vault', 'token')),
    token         text CHECK (length(token) BETWEEN 1 AND 32),
    private_key   bytea,                              -- as seal_key's
    public_key    bytea NOT NULL,                     -- SubjectPublicKeyInfo, DER
    requested_at  timestamptz NOT NULL DEFAULT now(),
    requested_by  text NOT NULL,                      -- login of the operator
    CHECK ((keystore = 'vault') = (private_key IS NOT NULL) AND (keystore = 'token') = (token IS NOT NULL))
);
