-- The statements of `./onestop shred`, run by an operator's own login. Parameters are named, for psycopg.

-- name: ask
SELECT ledger.ask_for_shredding(%(id)s, %(reason)s, %(before)s, %(items)s::uuid[], %(subjects)s::bytea[]);

-- name: approve
SELECT ledger.approve_shredding(%(id)s);

-- name: show
SELECT s.shredding_id, s.reason, s.asked_by, s.approved_by,
       sum(cardinality(b.item_ids)),
       coalesce(sum(cardinality(b.item_ids)) FILTER (WHERE b.destroyed_at IS NOT NULL), 0),
       coalesce(sum(cardinality(b.item_ids)) FILTER (WHERE b.recorded_at IS NOT NULL), 0)
  FROM ledger.shredding AS s
  JOIN ledger.shredding_batch AS b USING (shredding_id)
 GROUP BY s.shredding_id
 ORDER BY s.asked_at;
