-- The oldest entries may go when the law's time is over (docs/pruning.md): their rows and what opens them. The
-- tiles of hashes stay, so that every later proof stays as it was. What is gone is always a beginning of the
-- log, in whole tiles, and an entry of the log says so.

CREATE TABLE pruning (
    end_idx   bigint PRIMARY KEY CHECK (end_idx > 0 AND end_idx % 256 = 0),  -- the first entry that stays
    item_id   uuid        NOT NULL UNIQUE,   -- of the intent in the log by which it was decided
    pruned_at timestamptz NOT NULL DEFAULT now()
);

-- What is left of an entry that is gone: that there was one, and whose it was, for whoever asks for its receipt.
CREATE TABLE pruned_entry (
    item_id uuid PRIMARY KEY,
    idx     bigint NOT NULL UNIQUE,
    caller  text   NOT NULL
);

-- An entry goes only if a pruning covers it, and never before three years have passed (Personal Information
-- Protection Law, Article 56), whoever asks.
CREATE FUNCTION refuse_unless_pruned() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.appended_at > now() - interval '3 years'
       OR NOT EXISTS (SELECT FROM pruning WHERE end_idx > OLD.idx)
       OR NOT EXISTS (SELECT FROM pruned_entry WHERE item_id = OLD.item_id AND idx = OLD.idx) THEN
        RAISE EXCEPTION '%: the log is only ever added to', TG_TABLE_NAME
              USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END
$$;

DROP TRIGGER entry_only_grows ON entry;
CREATE TRIGGER entry_only_grows BEFORE UPDATE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entry_goes_when_pruned BEFORE DELETE ON entry
    FOR EACH ROW EXECUTE FUNCTION refuse_unless_pruned();
CREATE TRIGGER pruning_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON pruning
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pruned_entry_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON pruned_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON pruning, pruned_entry TO onestop_ledger, onestop_auditor;

-- The role that prunes has no login: the owner takes it for one transaction, and can do nothing else in it.
DO $$
BEGIN
    CREATE ROLE onestop_ledger_prune NOLOGIN NOINHERIT;
EXCEPTION
    WHEN duplicate_object THEN NULL;  -- Roles belong to the server: another database of it has made this one.
END
$$;
GRANT onestop_ledger_prune TO CURRENT_USER;
GRANT USAGE ON SCHEMA ledger TO onestop_ledger_prune;
GRANT SELECT, DELETE ON entry, opening TO onestop_ledger_prune;
GRANT SELECT, INSERT ON pruning, pruned_entry TO onestop_ledger_prune;
GRANT SELECT ON open_intent TO onestop_ledger_prune;
