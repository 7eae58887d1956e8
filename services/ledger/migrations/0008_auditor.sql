-- An auditor reads the log, which holds no identity payload, and of the openings only which there are.
GRANT SELECT ON entry, tile, checkpoint, head, open_intent TO onestop_auditor;
GRANT SELECT (item_id) ON opening TO onestop_auditor;
