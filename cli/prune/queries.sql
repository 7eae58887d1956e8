-- name: prune_ends
-- %(before)s a moment. Up to where entries are gone, and the first entry that has to stay.
SELECT coalesce((SELECT max(end_idx) FROM ledger.pruning), 0),
       least(coalesce((SELECT min(idx) FROM ledger.entry WHERE appended_at >= %(before)s),
                      (SELECT size FROM ledger.head)),
             (SELECT size FROM ledger.head),
             (SELECT min(e.idx)
                FROM ledger.open_intent AS i
                JOIN ledger.entry AS e ON e.item_id = i.intent_id));

-- name: take_role
SET LOCAL ROLE onestop_ledger_prune;

-- name: note_pruning
INSERT INTO ledger.pruning (end_idx, item_id) VALUES (%(end)s, %(item_id)s);

-- name: note_entries
INSERT INTO ledger.pruned_entry (item_id, idx, caller)
SELECT item_id, idx, caller
  FROM ledger.entry
 WHERE idx < %(end)s;

-- name: remove_openings
DELETE FROM ledger.opening
 WHERE item_id IN (SELECT item_id FROM ledger.entry WHERE idx < %(end)s);

-- name: remove_entries
DELETE FROM ledger.entry
 WHERE idx < %(end)s;

-- name: was_done
SELECT 1
  FROM ledger.pruning
 WHERE item_id = %(item_id)s;
