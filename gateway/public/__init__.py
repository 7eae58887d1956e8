"""What belongs to no single audience: tokens, the ledger, keys, documents, operations."""
