-- The statements of `./onestop seal`, run by an operator's own login. Parameters are named, for psycopg.

-- name: apply
SELECT eseal.apply_for_seal(%(request)s, %(seal)s, %(reason)s, %(facts)s::jsonb);

-- name: ask_as_administration
SELECT eseal.ask_as_administration(%(request)s, %(seal)s, %(action)s, %(reason)s, %(details)s::jsonb);

-- name: ask_as_security
SELECT eseal.ask_as_security(%(request)s, %(seal)s, %(action)s, %(reason)s, %(details)s::jsonb);

-- name: is_security
SELECT has_function_privilege('eseal.ask_as_security(uuid, uuid, text, text, jsonb)', 'EXECUTE');

-- name: outcome
SELECT closed_at, refusal
  FROM eseal.seal_request
 WHERE request_id = %(request)s;

-- name: seals
SELECT s.id, s.standing, s.valid_until <= now(), s.name, s.owner_code, s.kind, s.code
  FROM eseal.seal s
 WHERE (%(owner)s::text IS NULL OR s.owner_code = %(owner)s)
   AND (%(standing)s::smallint IS NULL OR s.standing = %(standing)s)
 ORDER BY s.owner_code, s.name, s.id;

-- name: seal
SELECT s.name, s.standing, s.valid_until <= now(), s.owner_code, s.owner_type, s.kind, s.code, s.valid_from,
       s.valid_until, k.algorithm, encode(k.certificate_sha256, 'hex'), k.destroyed_at,
       k.certificate, length(a.picture), encode(sha256(a.picture), 'hex'), a.picture_width
  FROM eseal.seal s
  LEFT JOIN eseal.seal_application a ON a.seal_id = s.id
  LEFT JOIN eseal.seal_key k ON k.seal_id = s.id AND k.is_current
 WHERE s.id = %(seal)s;

-- name: history
SELECT step, action, actor, asked_at, done_at, reason, details::text
  FROM eseal.seal_act
 WHERE seal_id = %(seal)s
 ORDER BY step;

-- name: permissions
SELECT u.office_code, u.matter_code, u.operator, u.caller, q.per_day, q.in_all,
       CASE WHEN q.day = (now() AT TIME ZONE 'Asia/Shanghai')::date THEN q.day_uses ELSE 0 END, q.all_uses
  FROM eseal.seal_user u
  LEFT JOIN eseal.seal_quota q USING (rule_id)
 WHERE u.seal_id = %(seal)s
 ORDER BY u.office_code, u.matter_code, u.operator, u.caller;

-- name: not_done
-- What is asked for, and what was refused last.
SELECT request_id, action, asked_by, asked_at, refusal
  FROM eseal.seal_request
 WHERE seal_id = %(seal)s
   AND (closed_at IS NULL OR refusal IS NOT NULL)
 ORDER BY asked_at DESC
 LIMIT 5;
