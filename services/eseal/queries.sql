-- name: find_seal
-- $1 seal id; with all permissions to use it
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing,
       greatest(s.valid_from, k.not_before) AS valid_from, least(s.valid_until, k.not_after) AS valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, s.kind, s.code, u.users
  FROM seal s
  JOIN seal_key k ON k.seal_id = s.id AND k.is_current
 CROSS JOIN LATERAL (
           SELECT array_agg((r.rule_id, r.office_code, r.matter_code, r.operator, r.caller, q.rule_id IS NOT NULL))
                      AS users
             FROM seal_user r
             LEFT JOIN seal_quota q USING (rule_id)
            WHERE r.seal_id = s.id) u
 WHERE s.id = $1;

-- name: find_seal_to_put
-- $1 seal id; with all permissions to use it, its picture and its structure
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing,
       greatest(s.valid_from, k.not_before) AS valid_from, least(s.valid_until, k.not_after) AS valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, s.kind, s.code, u.users,
       s.picture, s.picture_width, s.picture_height, k.structure, s.least_level
  FROM seal s
  JOIN seal_key k ON k.seal_id = s.id AND k.is_current
 CROSS JOIN LATERAL (
           SELECT array_agg((r.rule_id, r.office_code, r.matter_code, r.operator, r.caller, q.rule_id IS NOT NULL))
                      AS users
             FROM seal_user r
             LEFT JOIN seal_quota q USING (rule_id)
            WHERE r.seal_id = s.id) u
 WHERE s.id = $1;

-- name: list_usable
-- $1 office USCC, $2 matter code or '' for any, $3 last seal id of the page before or null, $4 limit, $5 operator,
-- $6 caller; those that have been enabled at some time, and whose key is there
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing,
       greatest(s.valid_from, k.not_before) AS valid_from, least(s.valid_until, k.not_after) AS valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, s.kind, s.code
  FROM seal s
  JOIN seal_key k ON k.seal_id = s.id AND k.is_current
 WHERE EXISTS (
           SELECT 1
             FROM seal_user u
            WHERE u.seal_id = s.id
              AND u.office_code = $1
              AND ($2 = '' OR u.matter_code IN ('', $2))
              AND u.operator IN ('', $5)
              AND u.caller IN ('', $6))
   AND s.standing IN (1, 2, 3)
   AND ($3::uuid IS NULL OR (s.name, s.id) > (SELECT p.name, p.id FROM seal p WHERE p.id = $3))
 ORDER BY s.name, s.id
 LIMIT $4;

-- name: seals_of_certificates
-- $1 SHA-256 digests of certificates
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing, s.valid_from, s.valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, s.kind, s.code
  FROM seal_key k
  JOIN seal s ON s.id = k.seal_id
 WHERE k.certificate_sha256 = ANY ($1);

-- name: signing_times
-- $1 SHA-256 digests of CMS objects
SELECT cms_sha256, signed_at
  FROM signature
 WHERE cms_sha256 = ANY ($1);

-- name: find_signed
-- $1 signature id
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing, s.valid_from, s.valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, s.kind, s.code, g.signed_at
  FROM signature g
  JOIN seal s ON s.id = g.seal_id
  JOIN seal_key k ON k.id = g.key_id
 WHERE g.id = $1;

-- name: insert_signature
INSERT INTO signature (id, seal_id, key_id, signed_at, document_sha256, sealed_sha256, cms_sha256,
                       intent_id, caller, office_code, matter_code, case_number, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: find_recorded
-- $1 SHA-256 digests of files as they left; the seal's certificate is the one that it was put with
SELECT g.sealed_sha256, g.id AS signature_id, g.signed_at, g.document_sha256, g.cms_sha256, g.facts,
       s.id, s.name, s.owner_code, s.owner_name, s.standing, s.valid_from, s.valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, s.kind, s.code
  FROM signature g
  JOIN seal_key k ON k.id = g.key_id
  JOIN seal s ON s.id = k.seal_id
 WHERE g.sealed_sha256 = ANY ($1);

-- name: find_key
-- $1 key id
SELECT algorithm, keystore, token, private_key, certificate, chain
  FROM seal_key
 WHERE id = $1
   AND destroyed_at IS NULL;

-- name: take_quota
-- $1 rule id, $2 day in China; nothing where the rule's quota is spent. The row is locked until the signature is stored.
UPDATE seal_quota
   SET day = greatest(day, $2),
       day_uses = CASE WHEN day < $2 THEN 1 ELSE day_uses + 1 END,
       all_uses = all_uses + 1
 WHERE rule_id = $1
   AND (per_day IS NULL OR day < $2 OR day_uses < per_day)
   AND (in_all IS NULL OR all_uses < in_all)
RETURNING rule_id;

-- name: quota_left
-- $1 rule id, $2 day in China; nothing where the permission is gone. Who comes at the same time waits here.
SELECT greatest(0, least(
           coalesce(per_day, 2147483647) - CASE WHEN day < $2 THEN 0 ELSE day_uses END,
           coalesce(in_all, 2147483647) - all_uses))::integer
  FROM seal_quota
 WHERE rule_id = $1
   FOR UPDATE;

-- name: use_quota
-- $1 rule id, $2 day in China, $3 how many times; no more than are left
UPDATE seal_quota
   SET day = greatest(day, $2),
       day_uses = $3 + CASE WHEN day < $2 THEN 0 ELSE day_uses END,
       all_uses = all_uses + $3
 WHERE rule_id = $1;

-- name: has_quota
-- $1 rule id, $2 day in China
SELECT (per_day IS NULL OR day < $2 OR day_uses < per_day) AND (in_all IS NULL OR all_uses < in_all)
  FROM seal_quota
 WHERE rule_id = $1;

-- name: destroyed_keys
-- $1 key ids; those that are gone
SELECT id
  FROM seal_key
 WHERE id = ANY ($1)
   AND destroyed_at IS NOT NULL;

-- name: token_keys
-- $1 seal id; its keys on tokens
SELECT id, algorithm, token
  FROM seal_key
 WHERE seal_id = $1
   AND keystore = 'token'
   AND destroyed_at IS NULL;

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
