"""PDF (ISO 32000-2, PAdES): reading, laying out, checking."""
