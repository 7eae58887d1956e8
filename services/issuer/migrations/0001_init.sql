-- Registrations of outside callers. A registration is made by the operator (as owner); the service only reads.

CREATE TABLE client (
    client_id        text PRIMARY KEY CHECK (client_id ~ '^[a-z][a-z0-9-]{1,63}$' AND client_id <> 'citizen'),
    certificate_name text NOT NULL CHECK (certificate_name = lower(certificate_name) AND certificate_name <> ''),
    scopes           text[] NOT NULL CHECK (cardinality(scopes) > 0 AND NOT 'citizen' = ANY (scopes)),
    audience         text NOT NULL DEFAULT 'onestop' CHECK (audience <> ''),
    state            text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    registered_at    timestamptz NOT NULL DEFAULT now(),
    changed_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT client_certificate_name_unique UNIQUE (certificate_name)
);

COMMENT ON TABLE client IS 'outside callers that may get access tokens';
COMMENT ON COLUMN client.certificate_name IS 'DNS SAN that the client certificate must carry, lower case';
COMMENT ON COLUMN client.audience IS 'claim aud of the tokens made for this client';

GRANT SELECT ON client TO onestop_issuer;
