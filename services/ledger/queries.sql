-- name: try_lead
-- Takes the sequencer's place until the session ends, if nobody has it. The lock's number is made from the
-- head table's, so that two logs in one database do not meet.
SELECT pg_try_advisory_lock((1869::bigint << 32) | 'head'::regclass::oid::bigint);

-- name: stop_leading
SELECT pg_advisory_unlock((1869::bigint << 32) | 'head'::regclass::oid::bigint);

-- name: session_settings
-- What the sequencer's session must be sure of: a commit is on disk when it returns, and a session whose
-- machine is gone ends within half a minute, so that another can take its place.
SELECT set_config('synchronous_commit', 'on', false),
       set_config('tcp_keepalives_idle', '10', false),
       set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '4', false);

-- name: read_head
SELECT epoch, size, checkpoint
  FROM head;

-- name: take_epoch
-- Waits for a transaction that is moving the head, so that afterwards nothing of an earlier epoch can follow.
UPDATE head
   SET epoch = epoch + 1
RETURNING epoch, size, checkpoint;

-- name: begin_log
-- $1 epoch, $2 checkpoint of the empty tree
UPDATE head
   SET checkpoint = $2
 WHERE epoch = $1 AND size = 0 AND checkpoint = '';

-- name: move_head
-- $1 epoch, $2 size expected, $3 new size, $4 new checkpoint
UPDATE head
   SET size = $3, checkpoint = $4
 WHERE epoch = $1 AND size = $2
RETURNING size;

-- name: insert_checkpoint
-- $1 size, $2 note, $3 signed at
INSERT INTO checkpoint (size, note, signed_at)
VALUES ($1, $2, $3);

-- name: insert_entries
-- $1 first index, $2 tree size; then a list each: $3 item ids, $4 kinds, $5 recorders, $6 callers,
-- $7 intent ids, $8 appended at, $9 leaves
INSERT INTO entry (idx, item_id, tree_size, kind, recorder, caller, intent_id, appended_at, leaf)
SELECT $1 + place - 1, item_id, $2, kind, recorder, caller, intent_id, appended_at, leaf
  FROM unnest($3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::uuid[], $8::timestamptz[], $9::bytea[])
       WITH ORDINALITY AS new (item_id, kind, recorder, caller, intent_id, appended_at, leaf, place);

-- name: insert_openings
-- A list each: $1 item ids, $2 sealed, $3 digests, $4 subject indexes, $5 index versions
INSERT INTO opening (item_id, sealed, digest, subject_index, index_version)
SELECT item_id, sealed, digest, subject_index, index_version
  FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::integer[])
       AS new (item_id, sealed, digest, subject_index, index_version);

-- name: insert_tiles
-- A list each: $1 levels, $2 indexes, $3 hashes, $4 roots
INSERT INTO tile (level, idx, hashes, root)
SELECT level, idx, hashes, root
  FROM unnest($1::smallint[], $2::bigint[], $3::bytea[], $4::bytea[]) AS new (level, idx, hashes, root);

-- name: open_intents
-- A list each: $1 intent ids, $2 recorders, $3 appended at
INSERT INTO open_intent (intent_id, recorder, appended_at)
SELECT intent_id, recorder, appended_at
  FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS new (intent_id, recorder, appended_at);

-- name: close_intents
-- $1 intent ids
DELETE FROM open_intent
 WHERE intent_id = ANY ($1::uuid[]);

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

-- name: find_leaves
-- $1 first index, $2 index after the last
SELECT idx, item_id, kind, recorder, caller, intent_id, leaf
  FROM entry
 WHERE idx >= $1 AND idx < $2
 ORDER BY idx;
