-- The end of a seal's keys, wherever they lie.

-- A destroyed key lies nowhere any more; which token it lay on is still told.
ALTER TABLE seal_key ADD CHECK (destroyed_at IS NULL OR private_key IS NULL);
GRANT SELECT (keystore, token) ON seal_key TO onestop_administration, onestop_security;

-- A seal that is revoked gets no new key, and with it goes the key that waits for a certificate. (One that waits on a
-- token is withdrawn by whoever asked for its certificate.)
CREATE FUNCTION seal_key_is_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM seal WHERE id = NEW.seal_id AND standing IN (3, 7)) THEN
        RAISE EXCEPTION 'SEAL_STEP_NOT_POSSIBLE: a revoked seal gets no new key' USING ERRCODE = 'raise_exception';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER seal_key_is_late BEFORE INSERT ON seal_key FOR EACH ROW EXECUTE FUNCTION seal_key_is_late();

CREATE FUNCTION seal_act_ends_requests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM key_request WHERE seal_id = NEW.seal_id AND keystore = 'vault';
    RETURN NEW;
END
$$;
CREATE TRIGGER seal_act_ends_requests AFTER INSERT ON seal_act
   FOR EACH ROW WHEN (NEW.action = 'destroy') EXECUTE FUNCTION seal_act_ends_requests();

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION seal_key_is_late() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION seal_act_ends_requests() SET search_path = %I, pg_temp', current_schema());
END
$$;
