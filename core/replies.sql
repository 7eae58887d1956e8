-- name: find_reply
-- $1 request hash
SELECT reply.reply_id, reply.body, reply.intent_id, reply.answer, reply.receipt, reply.deadline,
       intent_terminal.completed, intent_terminal.outcome
  FROM reply
  LEFT JOIN intent_terminal ON intent_terminal.intent_id = reply.intent_id
 WHERE reply.request = $1
   AND reply.expires_at > now();

-- name: find_replies
-- $1 request hashes
SELECT reply.request, reply.reply_id, reply.body, reply.intent_id, reply.answer, reply.receipt, reply.deadline,
       intent_terminal.completed, intent_terminal.outcome
  FROM reply
  LEFT JOIN intent_terminal ON intent_terminal.intent_id = reply.intent_id
 WHERE reply.request = ANY ($1)
   AND reply.expires_at > now();

-- name: claim_replies
-- $1 request hashes, none twice, $2 reply ids, $3 body hashes, $4 intent ids, $5 deadlines, $6 expires at
-- Takes over what has expired, and what was aborted. In the order of the hashes: two who want the same ones wait for
-- each other in turn, and not for good.
INSERT INTO reply (request, reply_id, body, intent_id, deadline, expires_at)
SELECT asked.*, $6::timestamptz
  FROM unnest($1::bytea[], $2::uuid[], $3::bytea[], $4::uuid[], $5::timestamptz[])
       AS asked (request, reply_id, body, intent_id, deadline)
 ORDER BY asked.request
    ON CONFLICT (request) DO UPDATE
   SET reply_id = excluded.reply_id, body = excluded.body, intent_id = excluded.intent_id,
       answer = NULL, receipt = NULL, receipt_id = NULL, deadline = excluded.deadline, expires_at = excluded.expires_at
 WHERE reply.expires_at <= now()
    OR (reply.body = excluded.body
        AND EXISTS (SELECT FROM intent_terminal
                     WHERE intent_terminal.intent_id = reply.intent_id AND NOT intent_terminal.completed))
RETURNING reply_id;

-- name: store_read_reply
-- $1 request hash, $2 reply id, $3 body hash, $4 sealed answer, $5 sealed receipt, $6 expires at, $7 receipt's id
INSERT INTO reply (request, reply_id, body, answer, receipt, deadline, expires_at, receipt_id)
VALUES ($1, $2, $3, $4, $5, now(), $6, $7)
    ON CONFLICT (request) DO UPDATE
   SET reply_id = excluded.reply_id, body = excluded.body, intent_id = NULL, answer = excluded.answer,
       receipt = excluded.receipt, receipt_id = excluded.receipt_id, deadline = excluded.deadline,
       expires_at = excluded.expires_at
 WHERE reply.expires_at <= now()
RETURNING reply_id;

-- name: store_act_replies
-- $1 request hashes, $2 intent ids, $3 sealed answers, $4 their JSON, sealed in place of the receipts: those come from
-- appending the outcomes again
UPDATE reply
   SET answer = done.answer, receipt = done.receipt
  FROM unnest($1::bytea[], $2::uuid[], $3::bytea[], $4::bytea[]) AS done (request, intent_id, answer, receipt)
 WHERE reply.request = done.request AND reply.intent_id = done.intent_id
RETURNING reply.reply_id;

-- name: reply_id_of
-- $1 request hash, $2 intent id
SELECT reply_id
  FROM reply
 WHERE request = $1 AND intent_id = $2
   FOR UPDATE;

-- name: insert_terminals
-- $1 intent ids, $2 completed, $3 sealed outcome entries
INSERT INTO intent_terminal (intent_id, completed, outcome)
SELECT ended.intent_id, $2::boolean, ended.outcome
  FROM unnest($1::uuid[], $3::bytea[]) AS ended (intent_id, outcome)
    ON CONFLICT (intent_id) DO NOTHING
RETURNING intent_id;

-- name: find_terminal
-- $1 intent id
SELECT completed, outcome
  FROM intent_terminal
 WHERE intent_id = $1;

-- name: delete_expired_replies
DELETE FROM reply
 WHERE request IN (SELECT request FROM reply WHERE expires_at <= now() LIMIT 1000);

-- name: delete_old_terminals
-- $1 closed before, $2 intents that the ledger holds as open
DELETE FROM intent_terminal
 WHERE intent_id IN (SELECT intent_id
                       FROM intent_terminal AS old
                      WHERE closed_at < $1
                        AND intent_id <> ALL ($2::uuid[])
                        AND NOT EXISTS (SELECT FROM reply WHERE reply.intent_id = old.intent_id)
                      LIMIT 1000);
