-- Of a consent the service changes how often it was used and whether it was revoked, and nothing else: what was
-- consented to, by whom and until when stays as it was granted, whatever becomes of the service's process.

REVOKE UPDATE ON consent, consent_use, partner_day, farmer FROM onestop_agricredit;
GRANT UPDATE (uses, revoked_at) ON consent TO onestop_agricredit;
GRANT UPDATE (state, held_until, request_key) ON consent_use TO onestop_agricredit;
GRANT UPDATE (fetches) ON partner_day TO onestop_agricredit;
GRANT UPDATE (subject_id) ON farmer TO onestop_agricredit;  -- locking a row takes the right to change one column

CREATE FUNCTION refuse_reviving() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a revoked consent stays revoked' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER consent_stays_revoked BEFORE UPDATE OF revoked_at ON consent
    FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
    EXECUTE FUNCTION refuse_reviving();
