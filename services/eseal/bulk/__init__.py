"""Seals on thousands of documents by one stream."""
