-- Destroying what opens an entry's commitments, for good (crypto-shredding). Administration asks, security
-- approves: two people, whom the database tells apart by their own logins, members of these two roles. The
-- service's role may not delete an opening: it may carry out what was approved, after the ledger holds an
-- intent for it, and nothing else (docs/decisions/0008).

DO $$
DECLARE
    operators text;
BEGIN
    FOREACH operators IN ARRAY ARRAY['onestop_administration', 'onestop_security'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = operators) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', operators);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), operators);
    END LOOP;
END
$$;

CREATE TABLE shredding (
    shredding_id uuid PRIMARY KEY,
    reason       text        NOT NULL CHECK (reason IN ('retention_over', 'holder_request', 'court_order')),
    before       timestamptz NOT NULL,  -- only openings of entries older than this
    asked_by     text        NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    approved_by  text CHECK (approved_by <> asked_by),
    approved_at  timestamptz CHECK ((approved_at IS NULL) = (approved_by IS NULL))
);

-- So many openings as one entry of the log can name; each batch has its own intent and outcome.
CREATE TABLE shredding_batch (
    shredding_id uuid NOT NULL REFERENCES shredding,
    batch        integer NOT NULL,
    item_ids     uuid[]  NOT NULL CHECK (cardinality(item_ids) BETWEEN 1 AND 400),
    destroyed_at timestamptz,
    recorded_at  timestamptz,           -- since when the ledger holds the outcome
    PRIMARY KEY (shredding_id, batch)
);
CREATE INDEX shredding_batch_open ON shredding_batch (shredding_id, batch) WHERE recorded_at IS NULL;

-- The entries about these subjects. Replaced where an entry can be about more than the one in its opening.
CREATE FUNCTION openings_about(subjects bytea[]) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT item_id FROM opening WHERE subject_index = ANY (subjects)
$$;

-- Asks for the openings of these entries, and of all entries about these subjects, that are older than `before`.
-- An entry that is named must be old enough and closed; one whose opening is gone already is left out.
CREATE FUNCTION ask_for_shredding(
    wanted uuid, why text, older_than timestamptz, items uuid[], subjects bytea[]
) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    unfit bigint;
    chosen integer;
BEGIN
    IF EXISTS (SELECT FROM shredding WHERE shredding_id = wanted) THEN
        RETURN (SELECT coalesce(sum(cardinality(item_ids)), 0) FROM shredding_batch WHERE shredding_id = wanted);
    END IF;
    IF older_than > now() - interval '3 years' THEN
        RAISE EXCEPTION 'handling records are kept for at least 3 years' USING ERRCODE = 'raise_exception';
    END IF;
    SELECT count(*) INTO unfit
      FROM unnest(items) AS named (item_id)
      LEFT JOIN entry AS e USING (item_id)
      LEFT JOIN open_intent AS i ON i.intent_id = named.item_id
     WHERE e.item_id IS NULL OR e.appended_at >= older_than OR i.intent_id IS NOT NULL;
    IF unfit > 0 THEN
        RAISE EXCEPTION '% of the entries named are unknown, too young, or intents without outcome', unfit
              USING ERRCODE = 'raise_exception';
    END IF;
    INSERT INTO shredding (shredding_id, reason, before, asked_by)
    VALUES (wanted, why, older_than, session_user);
    WITH found AS (
        SELECT o.item_id, (row_number() OVER (ORDER BY e.idx) - 1) / 400 AS batch
          FROM opening AS o
          JOIN entry AS e ON e.item_id = o.item_id
         WHERE (o.item_id = ANY (items) OR o.item_id IN (SELECT openings_about(subjects)))
           AND e.appended_at < older_than
           AND NOT EXISTS (SELECT FROM open_intent WHERE intent_id = o.item_id)
    )
    INSERT INTO shredding_batch (shredding_id, batch, item_ids)
    SELECT wanted, batch, array_agg(item_id) FROM found GROUP BY batch;
    SELECT coalesce(sum(cardinality(item_ids)), 0) INTO chosen
      FROM shredding_batch WHERE shredding_id = wanted;
    IF chosen = 0 THEN
        RAISE EXCEPTION 'there is nothing to destroy' USING ERRCODE = 'raise_exception';
    END IF;
    RETURN chosen;
END
$$;

-- Approves what somebody else has asked for; approving it again changes nothing.
CREATE FUNCTION approve_shredding(wanted uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    asked shredding%ROWTYPE;
BEGIN
    SELECT * INTO asked FROM shredding WHERE shredding_id = wanted FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such request' USING ERRCODE = 'raise_exception';
    END IF;
    IF asked.asked_by = session_user THEN
        RAISE EXCEPTION 'whoever asks does not approve' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE shredding
       SET approved_by = session_user, approved_at = now()
     WHERE shredding_id = wanted AND approved_by IS NULL;
END
$$;

-- Destroys a batch of an approved request, once the log holds its intent; again, it finds nothing left.
CREATE FUNCTION carry_out_shredding(wanted uuid, which integer, intent uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM shredding WHERE shredding_id = wanted AND approved_by IS NOT NULL) THEN
        RAISE EXCEPTION 'it is not approved' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT EXISTS (SELECT FROM entry WHERE item_id = intent AND kind = 2 AND recorder = 'ledger') THEN
        RAISE EXCEPTION 'the log holds no intent for it' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM opening
     USING shredding_batch AS b
     WHERE b.shredding_id = wanted AND b.batch = which AND opening.item_id = ANY (b.item_ids);
    UPDATE shredding_batch
       SET destroyed_at = now()
     WHERE shredding_id = wanted AND batch = which AND destroyed_at IS NULL;
END
$$;

REVOKE ALL ON FUNCTION ask_for_shredding(uuid, text, timestamptz, uuid[], bytea[]),
                       approve_shredding(uuid), openings_about(bytea[]),
                       carry_out_shredding(uuid, integer, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ask_for_shredding(uuid, text, timestamptz, uuid[], bytea[])
   TO onestop_administration;
GRANT EXECUTE ON FUNCTION approve_shredding(uuid) TO onestop_security;
GRANT EXECUTE ON FUNCTION carry_out_shredding(uuid, integer, uuid) TO onestop_ledger;
GRANT SELECT ON shredding, shredding_batch TO onestop_ledger, onestop_administration, onestop_security;
GRANT UPDATE (recorded_at) ON shredding_batch TO onestop_ledger;

-- What these functions name is the ledger's own, whatever whoever calls them has made.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOREACH one IN ARRAY ARRAY[
        'ask_for_shredding(uuid, text, timestamptz, uuid[], bytea[])'::regprocedure,
        'approve_shredding(uuid)'::regprocedure,
        'openings_about(bytea[])'::regprocedure,
        'carry_out_shredding(uuid, integer, uuid)'::regprocedure
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', one, current_schema());
    END LOOP;
END
$$;
