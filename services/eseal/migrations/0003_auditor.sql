-- An auditor compares each signature with its entries in the ledger.
GRANT SELECT (id, intent_id, signed_at, caller, office_code, case_number) ON signature TO onestop_auditor;
