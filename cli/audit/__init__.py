"""`onestop audit`: reconciles the ledger with every service's own records; reads, and writes nothing."""
