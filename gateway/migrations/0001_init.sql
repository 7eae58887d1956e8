-- What the gateway keeps of its own: people's sign-ins under way, and their sessions. No business data.

-- A browser that was sent to the identity provider and has not come back.
-- browser  SHA-256 of the secret in the browser's cookie
-- sealed   JSON, encrypted: state, nonce, PKCE verifier, and where to return to
CREATE TABLE sign_in (
  browser    bytea PRIMARY KEY,
  row_id     uuid NOT NULL,
  sealed     bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  CHECK (octet_length(browser) = 32)
);

CREATE INDEX sign_in_expires_at ON sign_in (expires_at);

-- A signed-in browser.
-- browser  SHA-256 of the secret in the session cookie
-- sealed   encrypted: the provider's ID token, which is exchanged for ours at each use
CREATE TABLE session (
  browser    bytea PRIMARY KEY,
  row_id     uuid NOT NULL,
  sealed     bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  CHECK (octet_length(browser) = 32)
);

CREATE INDEX session_expires_at ON session (expires_at);

GRANT SELECT, INSERT, DELETE ON sign_in, session TO onestop_gateway;
