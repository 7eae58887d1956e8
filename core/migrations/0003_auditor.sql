-- Ends of acts are forgotten once nobody can need them (core/replies.py), so they are found by their age.
CREATE INDEX intent_terminal_closed_at ON intent_terminal (closed_at);

-- What an auditor compares with the ledger (./onestop audit): which acts ended how, and which entry each kept
-- answer was released under. Nothing of it identifies anybody; the auditor has no right to what is sealed.

ALTER TABLE reply ADD COLUMN receipt_id uuid;  -- of a read: its entry in the ledger

DO $$
BEGIN
    EXECUTE format('GRANT DELETE ON intent_terminal TO %I', 'onestop_' || current_schema());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO onestop_auditor', current_schema());
    GRANT SELECT (intent_id, completed, closed_at) ON intent_terminal TO onestop_auditor;
    GRANT SELECT (receipt_id, expires_at) ON reply TO onestop_auditor;
END
$$;
