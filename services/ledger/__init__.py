"""The append-only, tamper-evident record of every disclosure and act."""
