-- name: find_partners
-- $1 partner ids; a row for each agreement of an active partner, or one with nulls
SELECT partner.partner_id, name, contact, encryption_jwk, daily_fetches, open_requests,
       purpose_code, purpose_text, items, max_validity_days, max_uses, keeping
  FROM partner
  LEFT JOIN agreement ON agreement.partner_id = partner.partner_id
 WHERE partner.partner_id = ANY ($1::text[])
   AND state = 'active';

-- name: find_subject
-- $1 blind indexes under every live key
SELECT subject_id
  FROM farmer_index
 WHERE blind_index = ANY ($1)
 LIMIT 1;

-- name: take_turn
-- Waits until nobody else enrols the same farmer; ends with the transaction.
-- $1 a number made of hers
SELECT pg_advisory_xact_lock($1);

-- name: index_farmer
-- $1 blind index, $2 version of its key, $3 subject id
INSERT INTO farmer_index (blind_index, index_version, subject_id)
VALUES ($1, $2, $3)
    ON CONFLICT (blind_index) DO NOTHING;

-- name: add_farmer
-- $1 subject id, $2 sealed number
INSERT INTO farmer (subject_id, number)
VALUES ($1, $2)
    ON CONFLICT (subject_id) DO NOTHING;

-- name: lock_farmer
-- $1 subject id
SELECT subject_id
  FROM farmer
 WHERE subject_id = $1
   FOR UPDATE;

-- name: find_farmer
-- $1 subject id
SELECT number
  FROM farmer
 WHERE subject_id = $1;

-- name: count_open_requests
-- $1 subject id, $2 partner id, $3 now
SELECT count(*)
  FROM consent_request
  LEFT JOIN consent USING (subject_id, request_id)
 WHERE consent_request.subject_id = $1
   AND consent_request.partner_id = $2
   AND consent_request.answer_by > $3
   AND consent.consent_id IS NULL;

-- name: add_request
INSERT INTO consent_request (subject_id, request_id, partner_id, partner_name, partner_contact, purpose_code,
                             purpose_text, items, max_uses, requested_at, answer_by, valid_until, text,
                             text_sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: request_of_partner
-- $1 request id, $2 partner id
SELECT asked.subject_id, asked.request_id, asked.partner_id, asked.partner_name, asked.partner_contact,
       asked.purpose_code, asked.purpose_text, asked.items, asked.max_uses, asked.requested_at,
       asked.answer_by, asked.valid_until, asked.text, asked.text_sha256,
       given.consent_id, given.items AS given_items, given.uses, given.granted_at, given.revoked_at
  FROM consent_request AS asked
  LEFT JOIN consent AS given ON given.subject_id = asked.subject_id AND given.request_id = asked.request_id
 WHERE asked.request_id = $1
   AND asked.partner_id = $2;

-- name: request_of_farmer
-- $1 subject id, $2 request id
SELECT asked.subject_id, asked.request_id, asked.partner_id, asked.partner_name, asked.partner_contact,
       asked.purpose_code, asked.purpose_text, asked.items, asked.max_uses, asked.requested_at,
       asked.answer_by, asked.valid_until, asked.text, asked.text_sha256,
       given.consent_id, given.items AS given_items, given.uses, given.granted_at, given.revoked_at
  FROM consent_request AS asked
  LEFT JOIN consent AS given ON given.subject_id = asked.subject_id AND given.request_id = asked.request_id
 WHERE asked.subject_id = $1
   AND asked.request_id = $2;

-- name: requests_of_farmer
-- $1 subject id, $2 and $3 the last one of the page before (null on the first page), $4 limit
SELECT asked.subject_id, asked.request_id, asked.partner_id, asked.partner_name, asked.partner_contact,
       asked.purpose_code, asked.purpose_text, asked.items, asked.max_uses, asked.requested_at,
       asked.answer_by, asked.valid_until, asked.text, asked.text_sha256,
       given.consent_id, given.items AS given_items, given.uses, given.granted_at, given.revoked_at
  FROM consent_request AS asked
  LEFT JOIN consent AS given ON given.subject_id = asked.subject_id AND given.request_id = asked.request_id
 WHERE asked.subject_id = $1
   AND ($2::timestamptz IS NULL OR (asked.requested_at, asked.request_id) < ($2::timestamptz, $3::uuid))
 ORDER BY asked.requested_at DESC, asked.request_id DESC
 LIMIT $4;

-- name: add_consent
INSERT INTO consent (subject_id, consent_id, request_id, partner_id, partner_name, purpose_code, items,
                     max_uses, granted_at, valid_until, text_sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (subject_id, request_id) DO NOTHING
RETURNING consent_id;

-- name: find_consents
-- $1 consent ids; each with the sealed number of the farmer who gave it
SELECT subject_id, consent_id, request_id, partner_id, partner_name, purpose_code, items, max_uses, uses,
       granted_at, valid_until, revoked_at, text_sha256, number
  FROM consent
  JOIN farmer USING (subject_id)
 WHERE consent_id = ANY ($1::uuid[]);

-- name: standing_consents
-- $1 subject ids, $2 consent ids; those that nobody has revoked
SELECT consent_id
  FROM consent
 WHERE subject_id = ANY ($1::uuid[])
   AND consent_id = ANY ($2::uuid[])
   AND revoked_at IS NULL;

-- name: consent_of_farmer
-- $1 subject id, $2 consent id
SELECT subject_id, consent_id, request_id, partner_id, partner_name, purpose_code, items, max_uses, uses,
       granted_at, valid_until, revoked_at, text_sha256
  FROM consent
 WHERE subject_id = $1
   AND consent_id = $2;

-- name: lock_consent
-- $1 subject id, $2 consent id
SELECT subject_id, consent_id, request_id, partner_id, partner_name, purpose_code, items, max_uses, uses,
       granted_at, valid_until, revoked_at, text_sha256
  FROM consent
 WHERE subject_id = $1
   AND consent_id = $2
   FOR UPDATE;

-- name: revoke_consent
-- $1 subject id, $2 consent id, $3 now
UPDATE consent
   SET revoked_at = $3
 WHERE subject_id = $1
   AND consent_id = $2
   AND revoked_at IS NULL;

-- name: count_use
-- $1 subject id, $2 consent id, $3 by how many (1 or -1)
UPDATE consent
   SET uses = uses + $3
 WHERE subject_id = $1
   AND consent_id = $2
RETURNING uses;

-- name: take_uses
-- Takes one use of each and locks them; of those that are revoked or used up no row comes back.
-- $1 subject ids, $2 consent ids
UPDATE consent
   SET uses = uses + 1
 WHERE subject_id = ANY ($1::uuid[])
   AND consent_id = ANY ($2::uuid[])
   AND revoked_at IS NULL
   AND uses < max_uses
RETURNING subject_id, consent_id, request_id, partner_id, partner_name, purpose_code, items, max_uses, uses,
          granted_at, valid_until, revoked_at, text_sha256;

-- name: known_requests
-- $1 subject ids, $2 request keys
SELECT consent_id, request_key
  FROM consent_use
 WHERE subject_id = ANY ($1::uuid[])
   AND request_key = ANY ($2::bytea[])
   AND state <> 'released';

-- name: use_of_request
-- $1 subject id, $2 consent id, $3 request key
SELECT use_id, state, reserved_at, held_until
  FROM consent_use
 WHERE subject_id = $1
   AND consent_id = $2
   AND request_key = $3
   AND state <> 'released';

-- name: reserve_use
-- $1 subject id, $2 use id, $3 consent id, $4 item, $5 request key, $6 now, $7 held until
INSERT INTO consent_use (subject_id, use_id, consent_id, item, request_key, state, reserved_at, held_until)
VALUES ($1, $2, $3, $4, $5, 'reserved', $6, $7);

-- name: reserve_uses
-- $1 subject ids, $2 use ids, $3 consent ids, $4 items, $5 request keys, $6 nows, $7 helds until
INSERT INTO consent_use (subject_id, use_id, consent_id, item, request_key, state, reserved_at, held_until)
SELECT subject_id, use_id, consent_id, item, request_key, 'reserved', reserved_at, held_until
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::timestamptz[],
              $7::timestamptz[])
       AS taken (subject_id, use_id, consent_id, item, request_key, reserved_at, held_until);

-- name: hold_use_again
-- $1 subject id, $2 use id, $3 held until
UPDATE consent_use
   SET state = 'reserved', held_until = $3
 WHERE subject_id = $1
   AND use_id = $2;

-- name: forget_request
-- $1 subject id, $2 use id
UPDATE consent_use
   SET request_key = NULL
 WHERE subject_id = $1
   AND use_id = $2;

-- name: confirm_uses
-- $1 subject ids, $2 use ids, $3 the entry of each
UPDATE consent_use
   SET state = 'confirmed', entry_id = ($3::uuid[])[array_position($2::uuid[], use_id)]
 WHERE subject_id = ANY ($1::uuid[])
   AND use_id = ANY ($2::uuid[])
   AND state <> 'released'
RETURNING use_id;

-- name: leave_use
-- $1 subject id, $2 use id, $3 now
UPDATE consent_use
   SET held_until = least(held_until, $3)
 WHERE subject_id = $1
   AND use_id = $2
   AND state = 'reserved';

-- name: release_use
-- $1 subject id, $2 use id, $3 until when the attempt that gives it back held it
UPDATE consent_use
   SET state = 'released'
 WHERE subject_id = $1
   AND use_id = $2
   AND state = 'reserved'
   AND held_until = $3
RETURNING use_id;

-- name: count_fetches
-- $1 partner id, $2 day, $3 ceiling, $4 how many; no row comes back when the ceiling would be passed
INSERT INTO partner_day (partner_id, day, fetches)
SELECT $1, $2, $4::integer
 WHERE $4 <= $3::integer
    ON CONFLICT (partner_id, day) DO UPDATE
   SET fetches = partner_day.fetches + excluded.fetches
 WHERE partner_day.fetches + excluded.fetches <= $3
RETURNING fetches;

-- name: uncount_fetch
-- $1 partner id, $2 day
UPDATE partner_day
   SET fetches = fetches - 1
 WHERE partner_id = $1
   AND day = $2
   AND fetches > 0;
