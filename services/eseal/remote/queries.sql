-- name: find_credential
-- $1 credential id
SELECT id, owner_code, owner_name, holder, application, algorithm, state, enrolment_sha256, enrolment_until,
       attempts, salt, wrapped_key, certificate, valid_from, valid_until
  FROM remote_credential
 WHERE id = $1;

-- name: list_credentials
-- $1 application, $2 holder or '' for any, $3 last id of the page before or null, $4 limit
SELECT id, owner_code, owner_name, holder, application, algorithm, state, enrolment_sha256, enrolment_until,
       attempts, salt, wrapped_key, certificate, valid_from, valid_until
  FROM remote_credential
 WHERE application = $1
   AND ($2 = '' OR holder = $2)
   AND ($3::uuid IS NULL OR id > $3)
 ORDER BY id
 LIMIT $4;

-- name: enrol
-- $1 credential id, $2 SHA-256 of the enrolment code, $3 salt, $4 sealed key, $5 certificate request
UPDATE remote_credential
   SET state = 2, enrolment_sha256 = NULL, attempts = 0, salt = $3, wrapped_key = $4, request = $5
 WHERE id = $1
   AND state = 1
   AND enrolment_sha256 = $2
RETURNING id;

-- name: take_attempt
-- $1 credential id, $2 most attempts. Counted before it is tried: neither a crash nor a crowd gets one free.
UPDATE remote_credential
   SET attempts = attempts + 1
 WHERE id = $1
   AND attempts < $2
RETURNING attempts;

-- name: forget_attempts
-- $1 credential id
UPDATE remote_credential
   SET attempts = 0
 WHERE id = $1;

-- name: change_factor
-- $1 credential id, $2 the salt as it was, $3 salt, $4 sealed key
UPDATE remote_credential
   SET salt = $3, wrapped_key = $4, attempts = 0
 WHERE id = $1
   AND salt = $2
RETURNING id;

-- name: spend_all
-- $1 credential id
UPDATE remote_authorisation
   SET wrapped_key = NULL
 WHERE credential_id = $1
   AND wrapped_key IS NOT NULL;

-- name: insert_authorisation
INSERT INTO remote_authorisation (id, credential_id, secret_sha256, wrapped_key, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: insert_digest
INSERT INTO remote_digest (authorisation_id, position, digest)
VALUES ($1, $2, $3);

-- name: find_authorisation
-- $1 authorisation id
SELECT a.id, a.credential_id, a.secret_sha256, a.wrapped_key, a.expires_at, d.digests
  FROM remote_authorisation a
 CROSS JOIN LATERAL (
           SELECT array_agg(digest ORDER BY position) AS digests
             FROM remote_digest
            WHERE authorisation_id = a.id) d
 WHERE a.id = $1;

-- name: lock_authorisation
-- $1 authorisation id. Whoever signs with it waits here for whoever signs with it already.
SELECT id
  FROM remote_authorisation
 WHERE id = $1
   FOR UPDATE;

-- name: spend_digest
-- $1 authorisation id, $2 digest, $3 signature id
UPDATE remote_digest
   SET signature_id = $3
 WHERE authorisation_id = $1
   AND position = (
           SELECT min(position)
             FROM remote_digest
            WHERE authorisation_id = $1
              AND digest = $2
              AND signature_id IS NULL)
RETURNING position;

-- name: spend_if_all_is_signed
-- $1 authorisation id
UPDATE remote_authorisation
   SET wrapped_key = NULL
 WHERE id = $1
   AND NOT EXISTS (SELECT FROM remote_digest WHERE authorisation_id = $1 AND signature_id IS NULL);

-- name: spend_expired
-- $1 now
UPDATE remote_authorisation
   SET wrapped_key = NULL
 WHERE wrapped_key IS NOT NULL
   AND expires_at <= $1;

-- name: delete_old_authorisations
-- $1 a moment
DELETE FROM remote_authorisation
 WHERE expires_at < $1;

-- name: insert_remote_signature
INSERT INTO remote_signature (id, credential_id, authorisation_id, intent_id, digest, signed_at, caller)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: prepare_credential
INSERT INTO remote_credential (id, owner_code, owner_name, holder, application, algorithm, enrolment_sha256,
                               enrolment_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: waiting_for_certificates
SELECT id, owner_code, owner_name, holder, request
  FROM remote_credential
 WHERE state = 2
 ORDER BY created_at;

-- name: certify
-- $1 credential id, $2 request that was answered, $3 certificate, $4 valid from, $5 valid until
UPDATE remote_credential
   SET certificate = $3, valid_from = $4, valid_until = $5, state = 3
 WHERE id = $1
   AND state = 2
   AND request = $2
RETURNING id;

-- name: waiting_for_certificate
-- $1 credential id
SELECT algorithm, request
  FROM remote_credential
 WHERE id = $1
   AND state = 2;

-- name: lock
-- $1 credential id, $2 most attempts
UPDATE remote_credential
   SET attempts = $2
 WHERE id = $1
RETURNING id;

-- name: unlock
-- $1 credential id
UPDATE remote_credential
   SET attempts = 0
 WHERE id = $1
RETURNING id;

-- name: revoke
-- $1 credential id
UPDATE remote_credential
   SET state = 4, wrapped_key = NULL, enrolment_sha256 = NULL
 WHERE id = $1
RETURNING id;

-- name: show_credentials
SELECT id, owner_code, owner_name, holder, application, state, attempts, valid_until
  FROM remote_credential
 ORDER BY created_at;
