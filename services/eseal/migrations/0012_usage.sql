-- Who may use a seal: an office, for one matter or all, by one registered caller or any, by one member of its staff or
-- anybody; and how often. An empty text means any. Changed by the acts `permit` and `withdraw` of a seal's history.

ALTER TABLE seal_user
    ADD COLUMN rule_id  uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN caller   text NOT NULL DEFAULT '',
    -- An account, never a person's name or number.
    ADD COLUMN operator text NOT NULL DEFAULT '' CHECK (operator ~ '^[A-Za-z0-9._@:-]{0,64}$'),
    DROP CONSTRAINT seal_user_pkey,
    ADD PRIMARY KEY (office_code, seal_id, matter_code, operator, caller);

-- Of rules with a limit alone: rules without one wait for nobody.
CREATE TABLE seal_quota (
    rule_id  uuid    PRIMARY KEY REFERENCES seal_user (rule_id) ON DELETE CASCADE,
    per_day  integer CHECK (per_day > 0),
    in_all   integer CHECK (in_all > 0),
    day      date    NOT NULL DEFAULT '-infinity',  -- the last day on which it was used, in China
    day_uses integer NOT NULL DEFAULT 0,
    all_uses bigint  NOT NULL DEFAULT 0,
    CHECK (per_day IS NOT NULL OR in_all IS NOT NULL),
    CHECK (day_uses BETWEEN 0 AND coalesce(per_day, day_uses)),  -- Not even a mistake overruns it.
    CHECK (all_uses BETWEEN 0 AND coalesce(in_all, all_uses))
);
GRANT SELECT ON seal_quota TO onestop_eseal, onestop_administration, onestop_security;
GRANT UPDATE (day, day_uses, all_uses) ON seal_quota TO onestop_eseal;

-- The rule that an act of a seal's history gives or takes away.
CREATE FUNCTION seal_act_rules() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    given uuid;
BEGIN
    IF NEW.action = 'permit' THEN
        DELETE FROM seal_user
         WHERE seal_id = NEW.seal_id AND office_code = NEW.details ->> 'office'
           AND matter_code = coalesce(NEW.details ->> 'matter', '')
           AND operator = coalesce(NEW.details ->> 'operator', '')
           AND caller = coalesce(NEW.details ->> 'caller', '');
        INSERT INTO seal_user (seal_id, office_code, matter_code, operator, caller)
        VALUES (NEW.seal_id, NEW.details ->> 'office', coalesce(NEW.details ->> 'matter', ''),
                coalesce(NEW.details ->> 'operator', ''), coalesce(NEW.details ->> 'caller', ''))
        RETURNING rule_id INTO given;
        IF NEW.details ? 'per_day' OR NEW.details ? 'in_all' THEN
            INSERT INTO seal_quota (rule_id, per_day, in_all)
            VALUES (given, (NEW.details ->> 'per_day')::integer, (NEW.details ->> 'in_all')::integer);
        END IF;
    ELSIF NEW.action = 'withdraw' THEN
        DELETE FROM seal_user
         WHERE seal_id = NEW.seal_id AND office_code = NEW.details ->> 'office'
           AND matter_code = coalesce(NEW.details ->> 'matter', '')
           AND operator = coalesce(NEW.details ->> 'operator', '')
           AND caller = coalesce(NEW.details ->> 'caller', '');
        IF NOT FOUND THEN
            RAISE EXCEPTION 'SEAL_RULE_NOT_FOUND: there is no such permission' USING ERRCODE = 'raise_exception';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER seal_act_rules AFTER INSERT ON seal_act FOR EACH ROW EXECUTE FUNCTION seal_act_rules();
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION seal_act_rules() SET search_path = %I, pg_temp', current_schema());
END
$$;
