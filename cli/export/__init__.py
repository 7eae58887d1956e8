"""`onestop export`: a period of the ledger as one file that proves itself, for auditors."""
