-- Each confirmed use names the entry that it was confirmed for, and an auditor compares them: uses, consents and
-- requests with the ledger. Whose they are the auditor does not see but as a random id.

ALTER TABLE consent_use ADD COLUMN entry_id uuid;
COMMENT ON COLUMN consent_use.entry_id IS 'the ledger entry that confirmed the use; null before that';

GRANT UPDATE (entry_id) ON consent_use TO onestop_agricredit;
GRANT SELECT (use_id, consent_id, item, state, reserved_at, entry_id) ON consent_use TO onestop_auditor;
GRANT SELECT (consent_id, request_id, partner_id, uses, granted_at, revoked_at) ON consent TO onestop_auditor;
GRANT SELECT (request_id, partner_id, requested_at) ON consent_request TO onestop_auditor;
