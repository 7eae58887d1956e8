-- name: moment
SELECT now() AS taken_at;

-- name: head
SELECT size, checkpoint
  FROM ledger.head;

-- name: entries
SELECT idx, item_id, tree_size, kind, recorder, caller, intent_id, appended_at, leaf
  FROM ledger.entry
 ORDER BY idx;

-- name: continuations
-- The entries by which a log goes on under a new origin.
SELECT idx, leaf
  FROM ledger.entry
 WHERE kind = 4
 ORDER BY idx;

-- name: checkpoints
SELECT size, note, signed_at
  FROM ledger.checkpoint
 ORDER BY size;

-- name: tiles
SELECT idx, hashes, root
  FROM ledger.tile
 WHERE level = %(level)s
 ORDER BY idx;

-- name: levels
SELECT DISTINCT level
  FROM ledger.tile;

-- name: doubled_items
SELECT item_id, count(*) AS times
  FROM ledger.entry
 GROUP BY item_id
HAVING count(*) > 1;

-- name: doubled_outcomes
SELECT intent_id, count(*) AS times
  FROM ledger.entry
 WHERE intent_id IS NOT NULL
 GROUP BY intent_id
HAVING count(*) > 1;

-- name: doubled_answers
-- Each commitment has a salt of its own: two entries with the same one are one answer, entered twice.
SELECT min(item_id::text) AS item_id, count(*) AS times
  FROM ledger.entry
 WHERE kind <> 2
   AND position('"answer":"'::bytea IN leaf) > 0
 GROUP BY substring(leaf FROM position('"answer":"'::bytea IN leaf) FOR 54)
HAVING count(*) > 1;

-- name: knows_pruning
SELECT to_regclass('ledger.pruning') IS NOT NULL AS known;

-- name: pruned_end
SELECT coalesce(max(end_idx), 0) AS end_idx
  FROM ledger.pruning;

-- name: pruned_count
SELECT count(*) AS entries
  FROM ledger.pruned_entry;

-- name: undecided_prunings
-- Prunings whose act is not in the log, or did not end as done; the entries of an old one may be gone themselves.
SELECT p.end_idx
  FROM ledger.pruning AS p
  LEFT JOIN ledger.entry AS i ON i.item_id = p.item_id
  LEFT JOIN ledger.entry AS o ON o.intent_id = p.item_id
 WHERE NOT EXISTS (SELECT FROM ledger.pruned_entry AS g WHERE g.item_id = p.item_id)
   AND (i.item_id IS NULL
        OR i.kind <> 2
        OR o.item_id IS NOT NULL AND position('"outcome":"completed"'::bytea IN o.leaf) = 0);

-- name: first_tiles
-- %(end)s how many
SELECT idx, hashes
  FROM ledger.tile
 WHERE level = 0
   AND idx < %(end)s
 ORDER BY idx;

-- name: odd_outcomes
-- Outcomes of what is no intent, or of another part's, or of one that came later.
SELECT o.idx, o.item_id, i.item_id IS NULL AS lost
  FROM ledger.entry AS o
  LEFT JOIN ledger.entry AS i ON i.item_id = o.intent_id
 WHERE o.kind = 3
   AND NOT EXISTS (SELECT FROM gone WHERE gone.item_id = o.intent_id)
   AND (i.item_id IS NULL OR i.kind <> 2 OR i.recorder <> o.recorder OR i.caller <> o.caller OR i.idx > o.idx);

-- name: open_intents
-- $grace: until when an act that began may be under way, or waits to be closed by its service
SELECT i.item_id, i.idx, i.recorder, i.appended_at < %(grace)s AS late, k.intent_id IS NOT NULL AS listed
  FROM ledger.entry AS i
  LEFT JOIN ledger.entry AS o ON o.intent_id = i.item_id
  LEFT JOIN ledger.open_intent AS k ON k.intent_id = i.item_id
 WHERE i.kind = 2
   AND o.item_id IS NULL;

-- name: closed_but_listed
-- Intents that are listed as open, and are closed or were never appended.
SELECT k.intent_id
  FROM ledger.open_intent AS k
  LEFT JOIN ledger.entry AS i ON i.item_id = k.intent_id AND i.kind = 2
  LEFT JOIN ledger.entry AS o ON o.intent_id = k.intent_id
 WHERE i.item_id IS NULL
    OR o.item_id IS NOT NULL;

-- name: openings
SELECT count(*) FILTER (WHERE p.item_id IS NULL) AS closed_for_good,
       count(*) FILTER (WHERE e.item_id IS NULL) AS without_entry
  FROM ledger.entry AS e
  FULL JOIN ledger.opening AS p ON p.item_id = e.item_id;

-- name: knows_shredding
-- Whether the auditor may see what was destroyed: a database may not have had that migration yet.
SELECT coalesce(has_column_privilege(to_regclass('ledger.shredding_batch'), 'item_ids', 'SELECT'), false) AS known;

-- name: missing_openings
-- Entries whose opening is gone, and named by no batch that was carried out.
WITH destroyed AS (
    SELECT unnest(item_ids) AS item_id
      FROM ledger.shredding_batch
     WHERE destroyed_at IS NOT NULL
)
SELECT e.idx
  FROM ledger.entry AS e
  LEFT JOIN ledger.opening AS p ON p.item_id = e.item_id
 WHERE p.item_id IS NULL
   AND NOT EXISTS (SELECT FROM destroyed AS d WHERE d.item_id = e.item_id)
 ORDER BY e.idx;

-- name: destroyed_batches
SELECT shredding_id, batch, item_ids
  FROM ledger.shredding_batch
 WHERE destroyed_at IS NOT NULL
 ORDER BY shredding_id, batch;

-- name: destroying_outcomes
SELECT item_id, intent_id
  FROM ledger.entry
 WHERE kind = 3
   AND recorder = 'ledger'
   AND position('"method":"ledger.shred"'::bytea IN leaf) > 0;

-- name: pruned_of
-- %(ids)s item ids
SELECT item_id
  FROM ledger.pruned_entry
 WHERE item_id = ANY (%(ids)s::uuid[]);

-- name: entries_of
-- %(ids)s item ids
SELECT item_id, idx, kind, recorder, leaf
  FROM ledger.entry
 WHERE item_id = ANY (%(ids)s::uuid[]);
