-- name: find_seal
-- $1 seal id; with all permissions to use it
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing,
       greatest(s.valid_from, k.not_before) AS valid_from, least(s.valid_until, k.not_after) AS valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, u.office_codes, u.matter_codes
  FROM seal s
  JOIN seal_key k ON k.seal_id = s.id AND k.is_current
 CROSS JOIN LATERAL (
           SELECT array_agg(office_code) AS office_codes, array_agg(matter_code) AS matter_codes
             FROM seal_user
            WHERE seal_id = s.id) u
 WHERE s.id = $1;

-- name: find_seal_to_put
-- $1 seal id; with all permissions to use it, its picture and its structure
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing,
       greatest(s.valid_from, k.not_before) AS valid_from, least(s.valid_until, k.not_after) AS valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256, u.office_codes, u.matter_codes,
       s.picture, s.picture_width, s.picture_height, k.structure, s.least_level
  FROM seal s
  JOIN seal_key k ON k.seal_id = s.id AND k.is_current
 CROSS JOIN LATERAL (
           SELECT array_agg(office_code) AS office_codes, array_agg(matter_code) AS matter_codes
             FROM seal_user
            WHERE seal_id = s.id) u
 WHERE s.id = $1;

-- name: list_usable
-- $1 office USCC, $2 matter code or '' for any, $3 last seal id of the page before or null, $4 limit
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing,
       greatest(s.valid_from, k.not_before) AS valid_from, least(s.valid_until, k.not_after) AS valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256
  FROM seal s
  JOIN seal_key k ON k.seal_id = s.id AND k.is_current
 WHERE EXISTS (
           SELECT 1
             FROM seal_user u
            WHERE u.seal_id = s.id
              AND u.office_code = $1
              AND ($2 = '' OR u.matter_code IN ('', $2)))
   AND ($3::uuid IS NULL OR (s.name, s.id) > (SELECT p.name, p.id FROM seal p WHERE p.id = $3))
 ORDER BY s.name, s.id
 LIMIT $4;

-- name: seals_of_certificates
-- $1 SHA-256 digests of certificates
SELECT s.id, s.name, s.owner_code, s.owner_name, s.standing, s.valid_from, s.valid_until,
       k.id AS key_id, k.algorithm, k.certificate_sha256
  FROM seal_key k
  JOIN seal s ON s.id = k.seal_id
 WHERE k.certificate_sha256 = ANY ($1);

-- name: signing_times
-- $1 SHA-256 digests of CMS objects
SELECT cms_sha256, signed_at
  FROM signature
 WHERE cms_sha256 = ANY ($1);

-- name: insert_signature
INSERT INTO signature (id, seal_id, key_id, signed_at, document_sha256, sealed_sha256, cms_sha256,
                       intent_id, caller, office_code, matter_code, case_number)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: find_key
-- $1 key id
SELECT algorithm, keystore, token, private_key, certificate, chain
  FROM seal_key
 WHERE id = $1;

-- name: seal_by_owner_and_name
-- $1 owner USCC, $2 seal name
SELECT id
  FROM seal
 WHERE owner_code = $1
   AND name = $2;

-- name: one_maker
-- Serial numbers are given by one maker at a time.
SELECT pg_advisory_xact_lock(440200103);

-- name: last_serial
-- $1 division, 6 digits
SELECT coalesce(max(substring(code FROM 7)::integer), 0)
  FROM seal
 WHERE substring(code FROM 1 FOR 6) = $1;

-- name: insert_seal
INSERT INTO seal (id, name, owner_code, owner_name, code, standing, valid_from, valid_until,
                  picture, picture_width, picture_height)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: insert_key
INSERT INTO seal_key (id, seal_id, algorithm, private_key, certificate, certificate_sha256, structure, is_current)
VALUES ($1, $2, $3, $4, $5, $6, $7, true);

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

-- name: insert_user
INSERT INTO seal_user (seal_id, office_code, matter_code)
VALUES ($1, $2, $3);
