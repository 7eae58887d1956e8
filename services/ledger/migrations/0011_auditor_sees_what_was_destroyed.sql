-- An auditor sees which openings were destroyed by a decision, so as to find those that are gone without one. Who
-- asked and who approved stays with the operators.
GRANT SELECT (shredding_id, batch, item_ids, destroyed_at) ON shredding_batch TO onestop_auditor;
