-- The town's people as the development identity provider knows them.

-- A password hash is its own row, because every generated person has the same development password:
-- it is hashed once, and 3.4 million accounts load without 3.4 million scrypt runs.
CREATE TABLE credential (
  id            smallint PRIMARY KEY,
  password_hash text NOT NULL,
  made_at       timestamptz NOT NULL DEFAULT now()
);

-- login       what a person types; made up by the loader, tells nothing about the person
-- subject_id  random; the OpenID Connect `sub`
-- profile     name and ID number, JSON, encrypted
-- credential_id has no foreign key: the check would double the time of a bulk load, and an account
-- whose credential is missing simply cannot sign in.
CREATE TABLE account (
  subject_id    uuid PRIMARY KEY,
  login         text NOT NULL,
  credential_id smallint NOT NULL DEFAULT 1,
  profile       bytea NOT NULL,
  CHECK (login ~ '^[a-z0-9][a-z0-9._-]{2,63}$')
);

CREATE UNIQUE INDEX account_login ON account (login);

GRANT SELECT ON account TO onestop_idp;
GRANT SELECT, INSERT, UPDATE ON credential TO onestop_idp;
