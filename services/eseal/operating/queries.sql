-- name: seal_by_owner_and_name
-- $1 owner USCC, $2 seal name
SELECT id
  FROM seal
 WHERE owner_code = $1
   AND name = $2
 LIMIT 1;

-- name: one_maker
-- Serial numbers are given by one maker at a time.
SELECT pg_advisory_xact_lock(440200103);

-- name: insert_application
INSERT INTO seal_application (seal_id, owner_code, owner_name, owner_type, kind, title, name, shape, division,
                              algorithm, valid_from, valid_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: put_act
-- Of whoever sets a city up: $1 seal id, $2 action, $3 actor, $4 reason, $5 details
SELECT put_seal_act($1, $2, $3, $4, $5::text::jsonb, now(), NULL, NULL);

-- name: keep_made
SELECT keep_made_seal($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: code_of
-- $1 seal id
SELECT code
  FROM seal
 WHERE id = $1;

-- name: open_requests
-- $1 limit; oldest first, with the state of their seals (null: there is none yet)
SELECT r.request_id, r.seal_id, r.action, r.reason, r.details::text AS details, r.asked_by, r.asked_at, s.standing,
       coalesce(s.owner_code, a.owner_code) AS owner_code,
       ARRAY (SELECT (h.action, h.actor) FROM seal_act h WHERE h.seal_id = r.seal_id ORDER BY h.step) AS history
  FROM seal_request r
  LEFT JOIN seal s ON s.id = r.seal_id
  LEFT JOIN seal_application a ON a.seal_id = r.seal_id
 WHERE r.closed_at IS NULL
 ORDER BY r.asked_at
 LIMIT $1;

-- name: application
-- $1 seal id; what was applied for, and the code that it was given
SELECT a.owner_code, a.owner_name, a.owner_type, a.kind, a.title, a.name, a.shape,
       a.division, a.algorithm, a.valid_from, a.valid_until, a.picture, a.picture_width, s.code,
       EXISTS (SELECT FROM seal_key k WHERE k.seal_id = s.id AND k.is_current) AS has_key
  FROM seal_application a
  JOIN seal s ON s.id = a.seal_id
 WHERE a.seal_id = $1;

-- name: seal_to_certify
-- $1 seal id; held against others who do the same
SELECT id, name, owner_code, owner_name, code, standing, valid_from, valid_until
  FROM seal
 WHERE id = $1
   FOR UPDATE;

-- name: key_request_of
-- $1 seal id
SELECT id, algorithm, keystore, token, private_key, public_key
  FROM key_request
 WHERE seal_id = $1
   FOR UPDATE;

-- name: algorithm_to_certify
-- $1 seal id; of the key that waits, or else of the one in use
SELECT coalesce((SELECT algorithm FROM key_request WHERE seal_id = $1),
                (SELECT algorithm FROM seal_key WHERE seal_id = $1 AND is_current));

-- name: insert_key_request
INSERT INTO key_request (id, seal_id, algorithm, keystore, token, private_key, public_key, requested_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: delete_key_request
-- $1 key id
DELETE FROM key_request
 WHERE id = $1;

-- name: current_key
-- $1 seal id
SELECT id, certificate, structure
  FROM seal_key
 WHERE seal_id = $1
   AND is_current;

-- name: key_validity
-- $1 key id
SELECT coalesce(k.not_before, s.valid_from) AS not_before, coalesce(k.not_after, s.valid_until) AS not_after
  FROM seal_key k
  JOIN seal s ON s.id = k.seal_id
 WHERE k.id = $1;

-- name: retire_key
-- $1 seal id; what it has signed keeps its certificate
UPDATE seal_key
   SET is_current = false
 WHERE seal_id = $1
   AND is_current;

-- name: insert_certified_key
INSERT INTO seal_key (id, seal_id, algorithm, keystore, token, private_key, certificate, certificate_sha256, chain,
                      not_before, not_after, structure, is_current)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, true);

-- name: keep_asked
SELECT keep_asked_seal($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: carry_out
-- $1 request id, $2 intent id
SELECT carry_out_seal_act($1, $2);

-- name: refuse_request
-- $1 request id, $2 why
UPDATE seal_request
   SET closed_at = now(), refusal = $2
 WHERE request_id = $1
   AND closed_at IS NULL;
