"""`onestop prune`: the oldest entries of the ledger go when the law's time is over; every proof stays."""
