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

-- name: insert_signatures
-- of each column its values, in its order
INSERT INTO signature (id, seal_id, key_id, signed_at, document_sha256, sealed_sha256, cms_sha256,
                       intent_id, caller, office_code, matter_code, case_number, facts)
SELECT *
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::bytea[], $6::bytea[], $7::bytea[],
              $8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[]);

-- name: find_recorded
-- $1 SHA-256 digests of files as they left; the seal's certificate is the one that it was put with
SELECT g.sealed_sha256, g.id AS signature_id, g.signed_at, g.document_sha256, g.cms_sha256, g.facts,
       s.id, s.name, s.owner_code, s.owner_name, s.standing, s.valid_from, s.valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, s.kind, s.code
  FROM signature g
  JOIN seal_key k ON k.id = g.key_id
  JOIN seal s ON s.id = k.seal_id
 WHERE g.sealed_sha256 = ANY ($1);

-- name: find_certificate
-- $1 key id; also of a key that is gone
SELECT certificate, chain
  FROM seal_key
 WHERE id = $1;

-- name: find_key
-- $1 key id
SELECT algorithm, keystore, token, private_key, certificate, chain
  FROM seal_key
 WHERE id = $1
   AND destroyed_at IS NULL;

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
