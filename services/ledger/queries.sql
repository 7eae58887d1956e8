-- name: try_lead
-- Takes the sequencer's place until the session ends, if nobody has it, nor the place beside it. The lock's
-- number is made from the head table's, so that two logs in one database do not meet.
SELECT pg_try_advisory_lock((1869::bigint << 32) | 'head'::regclass::oid::bigint)
       AND NOT EXISTS (
           SELECT FROM pg_locks
            WHERE locktype = 'advisory'
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND classid = 1871 AND objid = 'head'::regclass::oid AND objsubid = 1
              AND granted AND pid <> pg_backend_pid());

-- name: lead_beside
-- For whoever leads although a session that does not end still has the place.
SELECT pg_try_advisory_lock((1871::bigint << 32) | 'head'::regclass::oid::bigint);

-- name: stop_leading
SELECT pg_advisory_unlock((1869::bigint << 32) | 'head'::regclass::oid::bigint);

-- name: session_settings
-- What the sequencer's session must be sure of: a commit is on disk when it returns, and a session whose
-- machine is gone ends within half a minute, so that another can take its place. Its few statements are
-- planned once: planning an append anew each time costs as much as doing it.
SELECT set_config('synchronous_commit', 'on', false),
       set_config('tcp_keepalives_idle', '10', false),
       set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '4', false),
       set_config('statement_timeout', '15s', false),
       set_config('plan_cache_mode', 'force_generic_plan', false);

-- name: end_stale_leader
-- Ends the session that has the sequencer's place, if the beat is still what it was and the server waits for
-- that session's process: it is paused, or cut off. One whose statement is at work is left to it.
-- $1 the beat that stands still
SELECT count(*) FILTER (WHERE pg_terminate_backend(l.pid)) AS ended
  FROM pg_locks AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.locktype = 'advisory'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid IN (1869, 1871) AND l.objid = 'head'::regclass::oid AND l.objsubid = 1
   AND l.granted
   AND l.pid <> pg_backend_pid()
   AND (a.state <> 'active' OR a.wait_event_type = 'Client')
   AND (SELECT beat FROM head) = $1;

-- name: read_head
SELECT epoch, size, checkpoint, beat
  FROM head;

-- name: beat
-- $1 epoch
UPDATE head
   SET beat = beat + 1
 WHERE epoch = $1;

-- name: take_epoch
-- Waits for a transaction that is moving the head, so that afterwards nothing of an earlier epoch can follow.
UPDATE head
   SET epoch = epoch + 1, beat = beat + 1
RETURNING epoch, size, checkpoint, beat;

-- name: begin_log
-- $1 epoch, $2 checkpoint of the empty tree
UPDATE head
   SET checkpoint = $2
 WHERE epoch = $1 AND size = 0 AND checkpoint = '';

-- name: sign_head
-- The same tree under another signature. $1 epoch, $2 size, $3 checkpoint
UPDATE head
   SET checkpoint = $3
 WHERE epoch = $1 AND size = $2;

-- name: tell_signer
-- $1 this process's own id, $2 its name, $3 verifier keys that it signs with, $4 that it knows
INSERT INTO signer (signer, process, signs, knows)
VALUES ($1, $2, $3, $4)
ON CONFLICT (signer) DO UPDATE
   SET signs = excluded.signs, knows = excluded.knows, seen_at = now();

-- name: forget_signers
-- $1 this process's own id; and whoever has said nothing for a day
DELETE FROM signer
 WHERE signer = $1 OR seen_at < now() - interval '1 day';

-- name: approved_shreddings
-- What was approved and is not in the log to its end. $1 at most so many batches
SELECT s.shredding_id, b.batch, b.item_ids, s.reason, s.asked_by, s.approved_by
  FROM shredding AS s
  JOIN shredding_batch AS b ON b.shredding_id = s.shredding_id
 WHERE s.approved_by IS NOT NULL AND b.recorded_at IS NULL
 ORDER BY s.approved_at, s.shredding_id, b.batch
 LIMIT $1;

-- name: carry_out_shredding
-- $1 shredding id, $2 batch, $3 intent that the log holds
SELECT carry_out_shredding($1, $2, $3);

-- name: shredding_recorded
-- $1 shredding id, $2 batch
UPDATE shredding_batch
   SET recorded_at = now()
 WHERE shredding_id = $1 AND batch = $2 AND recorded_at IS NULL;

-- name: append_batch
-- Moves the head and adds all that belongs to it, in one statement and so in one transaction and one round
-- trip. No row comes back, and nothing is written, where the head is not at this epoch and size any more.
-- $1 epoch, $2 size expected, $3 new size, $4 new checkpoint, $5 signed at;
-- entries, a list each: $6 item ids, $7 kinds, $8 recorders, $9 callers, $10 intent ids, $11 appended at,
-- $12 leaves, $13 sealed openings, $14 digests, $15 subject indexes, $16 index versions;
-- full tiles, a list each: $17 levels, $18 indexes, $19 hashes, $20 roots;
-- $21 ids of the intents that this leaves open, $22 ids of those that it closes;
-- further subjects, a list each: $23 item ids, $24 subject indexes, $25 index versions
WITH moved AS (
    UPDATE head
       SET size = $3, checkpoint = $4, beat = beat + 1
     WHERE epoch = $1 AND size = $2
    RETURNING size
), signed AS (
    INSERT INTO checkpoint (size, note, signed_at)
    SELECT size, $4, $5 FROM moved
), added AS (
    INSERT INTO entry (idx, item_id, tree_size, kind, recorder, caller, intent_id, appended_at, leaf)
    SELECT $2 + place - 1, item_id, size, kind, recorder, caller, intent_id, appended_at, leaf
      FROM moved,
           unnest($6::uuid[], $7::smallint[], $8::text[], $9::text[], $10::uuid[], $11::timestamptz[],
                  $12::bytea[]) WITH ORDINALITY
               AS new (item_id, kind, recorder, caller, intent_id, appended_at, leaf, place)
    RETURNING item_id, recorder, appended_at
), sealed AS (
    INSERT INTO opening (item_id, sealed, digest, subject_index, index_version)
    SELECT item_id, sealed, digest, subject_index, index_version
      FROM moved,
           unnest($6::uuid[], $13::bytea[], $14::bytea[], $15::bytea[], $16::integer[])
               AS new (item_id, sealed, digest, subject_index, index_version)
), joined AS (
    INSERT INTO further_subject (item_id, subject_index, index_version)
    SELECT item_id, subject_index, index_version
      FROM moved,
           unnest($23::uuid[], $24::bytea[], $25::integer[]) AS new (item_id, subject_index, index_version)
), filled AS (
    INSERT INTO tile (level, idx, hashes, root)
    SELECT level, idx, hashes, root
      FROM moved,
           unnest($17::smallint[], $18::bigint[], $19::bytea[], $20::bytea[])
               AS new (level, idx, hashes, root)
), opened AS (
    INSERT INTO open_intent (intent_id, recorder, appended_at)
    SELECT item_id, recorder, appended_at
      FROM added
     WHERE item_id = ANY ($21::uuid[])
), closed AS (
    DELETE FROM open_intent
     USING moved
     WHERE intent_id = ANY ($22::uuid[])
)
SELECT size FROM moved;

-- name: find_known
-- $1 item ids
SELECT e.item_id, e.kind, e.recorder, o.digest, i.intent_id IS NOT NULL AS open
  FROM entry AS e
  LEFT JOIN opening AS o ON o.item_id = e.item_id
  LEFT JOIN open_intent AS i ON i.intent_id = e.item_id
 WHERE e.item_id = ANY ($1::uuid[]);

-- name: find_kept
-- $1 item ids
SELECT e.item_id, e.idx, e.tree_size, c.note, e.kind, e.recorder, e.caller, e.intent_id, e.leaf,
       o.sealed, o.subject_index
  FROM entry AS e
  JOIN checkpoint AS c ON c.size = e.tree_size
  LEFT JOIN opening AS o ON o.item_id = e.item_id
 WHERE e.item_id = ANY ($1::uuid[]);

-- name: find_uses
-- Entries that are about somebody, newest first. Of an act the outcome stands for both of its entries.
-- $1 her blind indexes, $2 before this place in the log, or null, $3 since, or null, $4 until, or null,
-- $5 whose reads are left out, or null, $6 at most so many
WITH hers AS (
    SELECT item_id
      FROM opening
     WHERE subject_index = ANY ($1::bytea[])
    UNION
    SELECT item_id
      FROM further_subject
     WHERE subject_index = ANY ($1::bytea[])
), found AS (
    SELECT e.item_id, e.idx, e.kind, e.caller, e.intent_id, e.appended_at
      FROM hers
      JOIN entry AS e ON e.item_id = hers.item_id
), page AS (
    SELECT f.item_id
      FROM found AS f
     WHERE ($2::bigint IS NULL OR f.idx < $2)
       AND ($3::timestamptz IS NULL OR f.appended_at >= $3)
       AND ($4::timestamptz IS NULL OR f.appended_at < $4)
       AND ($5::text IS NULL OR f.kind <> 1 OR f.caller <> $5)
       AND NOT EXISTS (SELECT FROM found AS ended WHERE ended.intent_id = f.item_id)
     ORDER BY f.idx DESC
     LIMIT $6
)
SELECT e.item_id, e.idx, e.appended_at, e.leaf,
       (SELECT count(*) FROM further_subject AS further WHERE further.item_id = e.item_id) AS others
  FROM page
  JOIN entry AS e ON e.item_id = page.item_id
 ORDER BY e.idx DESC;

-- name: find_names
-- A list each: $1 kinds, $2 codes
SELECT kind, code, name, name_en
  FROM known_name
 WHERE (kind, code) IN (SELECT kind, code FROM unnest($1::text[], $2::text[]) AS wanted (kind, code));

-- name: list_open_intents
-- $1 recorder, $2 older than, $3 at most so many
SELECT e.item_id, e.leaf, o.sealed
  FROM open_intent AS i
  JOIN entry AS e ON e.item_id = i.intent_id
  LEFT JOIN opening AS o ON o.item_id = i.intent_id
 WHERE i.recorder = $1 AND i.appended_at < $2
 ORDER BY i.appended_at, e.idx
 LIMIT $3;

-- name: find_tiles
-- A list each: $1 levels, $2 indexes
SELECT level, idx, hashes
  FROM tile
 WHERE (level, idx) IN (SELECT level, idx FROM unnest($1::smallint[], $2::bigint[]) AS wanted (level, idx));

-- name: tile_roots
-- $1 level, $2 first index, $3 index after the last
SELECT idx, root
  FROM tile
 WHERE level = $1 AND idx >= $2 AND idx < $3
 ORDER BY idx;

-- name: keep_cosignature
-- $1 size, $2 witness, $3 key id, $4 signature line, $5 when it was made
INSERT INTO cosignature (size, witness, key_id, line, cosigned_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (size, witness, key_id) DO UPDATE
   SET line = excluded.line, cosigned_at = excluded.cosigned_at;

-- name: find_cosigned
-- The newest checkpoints that have cosignatures, a row for each of these. That of the empty tree stands in the
-- head alone.
-- $1 size that they are larger than, $2 at most so many rows
SELECT c.size, coalesce(k.note, h.checkpoint) AS note, c.line
  FROM cosignature AS c
  LEFT JOIN checkpoint AS k ON k.size = c.size
  LEFT JOIN head AS h ON h.size = c.size AND c.size = 0
 WHERE c.size > $1
   AND (k.size IS NOT NULL OR h.size IS NOT NULL)
 ORDER BY c.size DESC, c.witness
 LIMIT $2;

-- name: find_cosignatures
-- $1 size
SELECT line
  FROM cosignature
 WHERE size = $1
 ORDER BY witness;

-- name: list_continuations
SELECT item_id, leaf
  FROM entry
 WHERE kind = 4
 ORDER BY idx;

-- name: find_leaves
-- $1 first index, $2 index after the last
SELECT idx, item_id, kind, recorder, caller, intent_id, leaf
  FROM entry
 WHERE idx >= $1 AND idx < $2
 ORDER BY idx;

-- name: newest_pruning
SELECT p.end_idx, e.idx, e.item_id, e.kind, e.recorder, e.caller, e.intent_id, e.leaf
  FROM pruning AS p
  LEFT JOIN entry AS e ON e.item_id = p.item_id
 ORDER BY p.end_idx DESC
 LIMIT 1;

-- name: find_pruned
-- $1 item id
SELECT caller
  FROM pruned_entry
 WHERE item_id = $1;
