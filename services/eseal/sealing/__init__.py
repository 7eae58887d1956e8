"""How a seal comes onto a document: placed, laid out, signed, recorded, by one path for all callers."""
