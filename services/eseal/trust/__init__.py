"""Whom seals are believed by: authorities, timestamps, what became of certificates."""
